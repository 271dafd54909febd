"""Static rules, like a linter's: codes, evidence, why, remedy, and a fix where a config can be mended."""

from netwright.doctor.check.check import check
from netwright.doctor.check.fix import apply_fixes

__all__ = ["apply_fixes", "check"]
