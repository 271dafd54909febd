"""The two networks that `augment: [{back-translation: {there: RUN, back: RUN}}]` names."""

from collections.abc import Callable, Sequence
from pathlib import Path

from netwright.core.errors import ConfigError
from netwright.data.augment import Augment
from netwright.data.augment.text import BackTranslation
from netwright.data.section import resolve

__all__ = ["bind_translators"]


def bind_translators(augment: Augment, base: Path | None) -> None:
    """Load the networks of every back-translation of a list.

    Args:
        base: folder that relative paths start from, if they are not found from the working folder.

    Raises:
        CheckpointError: no model there.
        ConfigError: a model that does not write a text for a text.
    """
    for change in augment.texts:
        if isinstance(change, BackTranslation):
            change.bind(*(_translator(name, getattr(change, name), base) for name in ("there", "back")))


def _translator(name: str, run: str, base: Path | None) -> Callable[[Sequence[str]], list[str]]:
    from netwright.experiment.predictor import load

    predict = load(resolve(run, base))
    if predict.schema.target.kind != "text":
        template = "augment.back-translation.{name}={run} does not translate; name a run of sequence-to-sequence"
        raise ConfigError(template, path=f"augment.back-translation.{name}", name=name, run=run)
    return lambda texts: [str(answer["text"]) for answer in predict.answers(list(texts))]
