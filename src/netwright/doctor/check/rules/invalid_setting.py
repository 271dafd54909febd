"""NW124: settings with which nothing can be learned, whatever the network."""

from collections.abc import Iterator

from netwright.core.messages import say
from netwright.doctor.check.case import Case
from netwright.doctor.findings import Finding
from netwright.metrics.catalog import METRICS

CODE, FAULT = "NW124", "invalid-setting"

_CLASS_METRICS = {name for name, card in METRICS.items() if {"multiclass", "binary"} & set(card.kinds)}
_NUMBER_METRICS = {name for name, card in METRICS.items() if "regression" in card.kinds} - _CLASS_METRICS
_CLIPS = ("train.clip", "train.clip_norm", "train.gradient_clip", "train.clip_grad_norm", "optimizer.clip")


def rule(case: Case) -> Iterator[Finding]:
    """The optimizer's groups, the config, and the metrics against the target."""
    yield from _optimizer(case)
    yield from _config(case)
    yield from _counts(case)
    yield from _metrics(case)


def _optimizer(case: Case) -> Iterator[Finding]:
    for group in case.optimizer.param_groups if case.optimizer is not None else []:
        lr, decay, momentum = (
            float(group.get("lr", 1.0)),
            float(group.get("weight_decay", 0.0)),
            group.get("momentum", 0.0),
        )
        if not 0 <= lr < float("inf") or (
            lr == 0 and not group.get("initial_lr")
        ):  # a warm-up starts at 0 and remembers where it goes
            why = say("A step of size zero changes nothing, and a negative one climbs the loss.")
            yield _setting(
                "optimizer.lr",
                lr,
                why,
                say("Use a positive learning rate, such as 1e-3 for Adam."),
                case.patch("optimizer.lr", 1e-3),
            )
            return
        if decay < 0:
            why = say("Negative decay makes weights grow without bound.")
            yield _setting(
                "optimizer.weight_decay",
                decay,
                why,
                say("Use zero or a small positive number."),
                case.patch("optimizer.weight_decay", 0.0),
            )
            return
        if isinstance(momentum, int | float) and momentum >= 1:
            why = say("With a momentum of one or more past steps never fade, and the weights run away.")
            yield _setting("optimizer.momentum", momentum, why, say("Use 0.9."), case.patch("optimizer.momentum", 0.9))
            return
        if group.get("maximize") and case.loss is not None and case.loss.kind is not None and case.loss.sign > 0:
            why = say("The optimizer climbs, but this loss is to be made small.")
            yield _setting("optimizer.maximize", True, why, say("Leave out maximize=True."), None)
            return


def _config(case: Case) -> Iterator[Finding]:
    clip = case.option(*_CLIPS)
    if clip is not None and isinstance(clip[1], int | float) and not isinstance(clip[1], bool) and clip[1] <= 0:
        why = say("All gradients are cut down to nothing, so no weight ever changes.")
        yield _setting(clip[0], clip[1], why, say("Use 1.0, or leave it out."), case.patch(clip[0], 1.0))
    size = case.option("train.batch_size")
    if size is not None and case.examples and isinstance(size[1], int) and size[1] > case.examples:
        why = say(
            "There are only {count} training examples, so there is one "
            "update an epoch, or none where a short batch is dropped.",
            count=case.examples,
        )
        smaller = max(1, case.examples // 10)
        yield _setting(size[0], size[1], why, say("Use {size} or less.", size=smaller), case.patch(size[0], smaller))
    epochs = case.option("train.epochs")
    if epochs is not None and isinstance(epochs[1], int | float) and epochs[1] <= 0:
        yield _setting(
            epochs[0],
            epochs[1],
            say("The run ends before its first step."),
            say("Train for at least one epoch."),
            case.patch(epochs[0], 10),
        )
    lr = case.option("optimizer.lr")
    if case.optimizer is None and lr is not None and isinstance(lr[1], int | float) and lr[1] <= 0:
        why = say("A step of size zero changes nothing, and a negative one climbs the loss.")
        yield _setting(
            lr[0], lr[1], why, say("Use a positive learning rate, such as 1e-3 for Adam."), case.patch(lr[0], 1e-3)
        )


def _counts(case: Case) -> Iterator[Finding]:
    """More examples in the batch than there are in the data."""
    given = case.main_input
    if case.config is not None or case.examples is None or not case.batched or given is None or not given.dim():
        return
    if len(given) > case.examples:
        why = say("The batch holds more than the whole of the data: the same examples twice, or other data.")
        remedy = say("Give the true number of training examples, or a smaller batch.")
        yield _setting("examples", f"{case.examples} < {len(given)}", why, remedy, None)


def _metrics(case: Case) -> Iterator[Finding]:
    """Metrics that cannot be computed for this kind of target."""
    asked = {str(name).lower() for name in case.metrics}
    for option in ("train.monitor", "train.early_stop.monitor", "monitor"):
        found = case.option(option)
        asked |= {str(found[1]).lower()} if found is not None and isinstance(found[1], str) else set()
    for option in ("expect", "metrics"):
        chosen = case.option(option)
        asked |= (
            {str(name).lower() for name in chosen[1]}
            if chosen is not None and isinstance(chosen[1], dict | list)
            else set()
        )
    if case.target is None:
        return
    numbers = (
        case.target.kind == "number"
        and not case.target.integer
        and (case.loss is None or case.loss.target_kind == "number")
    )
    wrong = asked & (_CLASS_METRICS if numbers else _NUMBER_METRICS if _surely_classes(case) else set())
    if wrong:
        kind = say("numbers") if numbers else say("classes")
        why = say("The targets are {kind}; this metric has no meaning for them.", kind=kind)
        remedy = say("Use rmse, mae or r2.") if numbers else say("Use accuracy or f1.")
        yield _setting("metrics", ", ".join(sorted(wrong)), why, remedy, None)


def _surely_classes(case: Case) -> bool:
    target, loss = case.target, case.loss
    by_loss = loss is not None and loss.target_kind == "class"
    return target is not None and target.classes and (target.sure or by_loss)


def _setting(where: str, value: object, why: str, remedy: str, fix: dict[str, object] | None) -> Finding:
    return Finding(
        CODE,
        FAULT,
        "error",
        where,
        say("{where}={value}.", where=where, value=value),
        why,
        remedy,
        proven=True,
        fix=fix,
    )
