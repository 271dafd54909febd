"""`check`: the doctor's static rules on a config - one batch through the assembled network, no step taken."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.core.errors import ConfigError
from netwright.doctor import check
from netwright.doctor.check.fix import apply_fixes
from netwright.doctor.findings import Finding
from netwright.experiment.assemble import Assembly, assemble
from netwright.experiment.config import load_config

__all__ = ["check_assembly", "check_config", "fix_config"]

_EXAMPLES = 256  # of a batch that the rules look at


def check_config(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> list[Finding]:
    """Findings about what a config describes, most severe first.

    Raises:
        ConfigError: the config itself does not fit together; that comes before any finding.
        DataError: the data cannot be used.
    """
    config = load_config(source, overrides)
    with tempfile.TemporaryDirectory() as nowhere:
        return check_assembly(assemble(config, Path(nowhere), quiet=True))


def check_assembly(made: Assembly) -> list[Finding]:
    """Findings about an assembled run. Tasks of several phases, or whose batches come from acting, have no single
    pair of inputs and targets to check; for them there are none yet.
    """
    if len(made.session.task.phases) > 1 or made.preprocess is None:
        return []
    batch = next(iter(made.session.train_source.epoch(0)))
    inputs = batch.inputs[:_EXAMPLES] if not isinstance(batch.inputs, tuple) else batch.inputs
    targets = batch.targets[:_EXAMPLES] if batch.targets is not None else None
    updater = next(iter(made.session.engine.updaters.values()))
    return check(
        made.model, inputs, targets, loss=made.loss, optimizer=updater.optimizer, config=made.config.to_dict(),
        schema=made.bundle.schema,
    )  # fmt: skip


def fix_config(path: str | Path, findings: Sequence[Finding]) -> tuple[str, str]:
    """The config's text with every fix of the findings applied, comments kept, and the unified diff.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError("{file} cannot be read ({reason})", file=path, reason=error.strerror) from error
    return apply_fixes(text, list(findings), str(path))
