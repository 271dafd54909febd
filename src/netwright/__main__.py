"""`python -m netwright`, where the command `netwright` is not on the path."""

import sys

from netwright.cli.main import main

sys.exit(main())
