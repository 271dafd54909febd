"""`check`: the doctor's static rules on a config - one batch through the assembled network, no step taken."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from netwright.core.errors import ConfigError
from netwright.core.seeds import generator
from netwright.data import Dataset, Preprocessor
from netwright.data.batching import Batch
from netwright.data.schema import Target
from netwright.doctor.check import check
from netwright.doctor.check.fix import apply_fixes
from netwright.doctor.findings import Finding, ranked
from netwright.experiment.assemble import Assembly, assemble
from netwright.experiment.config import load_config
from netwright.experiment.doctor.unusual import unusual_settings

__all__ = ["check_assembly", "check_config", "fix_config"]

_EXAMPLES = 256  # of a batch that the rules look at
_ORDERED = ("class", "multilabel", "number")  # targets in whose order a rule looks for blocks
_ALIKE = ("next-token", "forecast", "text", "span")  # targets that say nothing of whether a split is fair


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
    train, validation, schema = _sample(made, made.bundle.train), None, made.bundle.schema
    if (own := made.session.task.own_targets) is not None:
        schema = replace(schema, target=Target(own))
    # A series goes on where training ended: that it drifts there is no fault of the preprocessing.
    # Of graphs, nodes are alike without being the same: atoms of a kind, or all nodes of the one graph.
    if made.bundle.validation and schema.target.kind not in _ALIKE and schema.kind != "graph":
        held_out = _sample(made, made.bundle.validation)
        validation = (held_out.inputs, held_out.targets)
    updater = next(iter(made.session.engine.updaters.values()))
    targets = made.session.task.loss_targets(made.model, train)
    found = check(
        made.model, train.inputs, targets, loss=made.loss, optimizer=updater.optimizer,
        config=made.config.to_dict(), schema=schema, validation=validation,
        examples=made.session.train_source.examples, metrics=made.config.sections.metrics or (),
    )  # fmt: skip
    if _waits_for_unknown(made.preprocess, train.inputs):
        found = [finding for finding in found if finding.fault != "input-degenerate"]
    unusual = {finding.where: finding for finding in unusual_settings(made)}
    told = [replace(f, fix=f.fix or unusual.pop(f.where).fix) if f.where in unusual else f for f in found]
    return ranked([*told, *unusual.values()])


def _waits_for_unknown(preprocess: Preprocessor, inputs: object) -> bool:
    """Whether nothing is the same in all examples but the slots of categories that are not known yet."""
    names = getattr(preprocess, "feature_names", ())
    if not isinstance(inputs, torch.Tensor) or inputs.shape[1:] != (len(names),):
        return False
    constant = (inputs == inputs[:1]).all(dim=0).nonzero().flatten().tolist()
    return bool(constant) and all(names[place].endswith("=?") for place in constant)


def _sample(made: Assembly, dataset: Dataset) -> Batch:
    """Some examples as the network takes them, in an order drawn at random as in training (that of the files says
    nothing of a run), not augmented; of a text its first windows.
    """
    kind, most = made.bundle.schema.target.kind, _EXAMPLES
    if made.bundle.schema.kind == "text":  # they come by their lengths: of more than a batch these were the shortest
        most = min(most, made.config.train.batch_size)
    if kind in _ORDERED or (len(dataset) > most and kind != "next-token"):
        chosen = torch.randperm(len(dataset), generator=generator(made.config.train.seed, len(dataset)))[:most]
        dataset = dataset.subset(chosen if kind in _ORDERED else chosen.sort().values)
    return next(iter(made.sources.measuring(dataset).epoch(0)))


def fix_config(path: str | Path, findings: Sequence[Finding]) -> tuple[str, str]:
    """The config's text with every fix of the findings applied, comments kept, and the unified diff.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError("{file} cannot be read ({reason})", file=path, reason=error.strerror) from error
    mended, diff = apply_fixes(text.replace("\r\n", "\n"), list(findings), str(path))
    return mended.replace("\n", "\r\n") if "\r\n" in text else mended, diff
