"""The passes over private copies that a case is made from.

Order matters. First evaluation mode, which changes no buffers: a timed pass decides how many examples are run, a
recorded one gives the quiet graph. Then one pass in training mode with the loss and its gradients. Gradients are
taken with `torch.autograd.grad`, never `backward`, since a loss may reach the user's own parameters through a
closure.
"""

import contextlib
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from netwright.core.seeds import seed_everything, undisturbed
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph, Watcher, loose_tensors
from netwright.doctor.check.losses import view_loss
from netwright.doctor.check.reading import rows
from netwright.doctor.check.structured import of_main
from netwright.doctor.check.targets import view_targets
from netwright.doctor.check.trouble import Trouble
from netwright.metrics.architecture import Recorder, main_tensor, private_copy, tensors_in, trace

__all__ = ["examine"]

# Examples that are run: by work and not by the clock, so that findings are the same on any machine.
_LEAST, _MOST = 3, 256
_WORK, _BYTES = 4e9, 3e8  # operations and activations of a pass; some six passes are made
_WHOLE = 5_000_000  # numbers, up to which a batch that cannot be cut is run whole


def examine(case: Case) -> None:
    """Fill in what running the network shows."""
    if isinstance(case.targets, Tensor):
        case.target = view_targets(case.targets, case.schema)
    if case.loss is not None and isinstance(case.loss.function, nn.Module):
        case.loss = replace(case.loss, function=private_copy(case.loss.function))
    twin = private_copy(case.net)
    twin.eval()
    _choose_examples(case, twin)
    _run_quietly(case, twin)
    case.rerun = lambda inputs, seed=0: _quiet_output(twin, inputs, seed)
    _run_in_training(case, private_copy(case.net))
    case.resteps = lambda steps: _sign_steps(case, private_copy(case.net), steps)


def _choose_examples(case: Case, twin: nn.Module) -> None:
    """As many examples as a pass may cost, spread evenly over what was given."""
    tensors = [*tensors_in(case.inputs), *tensors_in(case.targets)]
    sizes = {tensor.shape[0] if tensor.dim() else 0 for tensor in tensors}
    total = tensors[0].shape[0] if tensors and tensors[0].dim() else 0
    case.batched = len(sizes) == 1 and not any(tuple(tensor.shape) == (total, total) for tensor in tensors[1:])
    if not case.batched or total <= 8:
        return
    whole = case.few_inputs, case.few_targets
    try:
        _take(case, total, 2)
        cost = trace(twin, *case.few_inputs)
        affordable = min(_WORK / max(cost.flops, 1), _BYTES / max(cost.activation_bytes, 1))
        _take(case, total, max(_LEAST, min(_MOST, int(affordable))))
    except Exception:  # rows may belong together, as a graph's nodes do; else the recorded pass will show the fault
        _take(case, total, _LEAST)
        if sum(tensor.numel() for tensor in tensors) <= _WHOLE:
            case.few_inputs, case.few_targets = whole


def _take(case: Case, total: int, wanted: int) -> None:
    index = torch.linspace(0, total - 1, min(wanted, total)).long()
    case.few_inputs = tuple(rows(value, index) for value in case.inputs)
    case.few_targets = rows(case.targets, index)


def _run_quietly(case: Case, twin: nn.Module) -> None:
    watcher = Watcher()
    recorder = Recorder(twin, case.few_inputs, watcher)
    try:
        with torch.no_grad(), recorder:
            seed_everything(0)
            output = twin(*case.few_inputs)
    except Exception as error:  # the user's forward may raise anything
        case.trouble = Trouble.of_network(error, recorder, training=False)
        return
    case.quiet_output = _plain(main_tensor(output))
    recorder.finish(output)
    case.quiet = Graph.of(twin, recorder, watcher)
    case.pairwise = _is_pairwise(case, twin)


def _is_pairwise(case: Case, twin: nn.Module) -> bool:
    """Whether the output is (B, B), examples against examples: one example less then makes it smaller both ways."""
    output = case.quiet_output
    if output is None or output.dim() != 2 or output.shape[0] != output.shape[1] or output.shape[0] < 2:
        return False
    fewer = _quiet_output(twin, tuple(rows(value, torch.arange(output.shape[0] - 1)) for value in case.few_inputs))
    return fewer is not None and fewer.shape[1] == output.shape[1] - 1


def _quiet_output(twin: nn.Module, inputs: tuple[Any, ...], seed: int = 0) -> Tensor | None:
    with undisturbed(), torch.no_grad(), contextlib.suppress(Exception):
        seed_everything(seed)
        return _plain(main_tensor(twin(*inputs)))
    return None


def _run_in_training(case: Case, twin: nn.Module) -> None:
    twin.train(True)
    _keep_frozen_norms_quiet(case.net, twin)
    watcher = Watcher(measuring=case.quiet is None, loose=loose_tensors(twin))
    recorder = Recorder(twin, case.few_inputs, watcher)
    try:
        with torch.enable_grad(), recorder:
            seed_everything(0)
            output = twin(*case.few_inputs)
    except Exception as error:  # as above
        case.trouble = case.trouble or Trouble.of_network(error, recorder, training=True)
        return
    recorder.finish(output)
    main = main_tensor(output)
    case.output = _plain(main)
    case.training = Graph.of(twin, recorder, watcher)
    if case.loss is not None:
        scores = case.output if not case.pairwise else None
        targets = case.few_targets if isinstance(case.few_targets, Tensor) else None
        case.score_loss = of_main(case.loss.function, output, main)
        case.loss = view_loss(case.loss.function, scores, targets, case.score_loss)
        _take_gradients(case, twin, output)


def _keep_frozen_norms_quiet(net: nn.Module, twin: nn.Module) -> None:
    """A part that the user holds in evaluation mode within a network in training mode stays so."""
    if not net.training:
        return
    for module, copied in zip(net.modules(), twin.modules(), strict=False):
        copied.training = module.training


def _take_gradients(case: Case, twin: nn.Module, output: Any) -> None:
    assert case.loss is not None
    try:
        with torch.enable_grad():
            value = _loss(case, output)
        case.loss_value = float(value.detach().double().mean())
    except Exception as error:  # as above
        shapes = [tuple(tensor.shape) for tensor in tensors_in((case.output, case.few_targets))]
        trouble = Trouble.of_loss(error, shapes)
        case.trouble = case.trouble or trouble
        return
    trained = {name: p for name, p in twin.named_parameters() if p.requires_grad}
    case.loss_has_gradient = isinstance(value, Tensor) and value.requires_grad
    if not case.loss_has_gradient or not trained or _checkpointed(value):
        return
    case.penalty = _past_the_output(case, value)
    with contextlib.suppress(Exception):
        found = torch.autograd.grad(value.mean(), list(trained.values()), allow_unused=True)
        case.gradients = dict(zip(trained, found, strict=True))


def _past_the_output(case: Case, value: Tensor) -> dict[str, Tensor | None] | None:
    """Gradients on the user's own parameters: the passes ran on copies, so only a closure reaches these."""
    own = {name: p for name, p in case.net.named_parameters() if p.requires_grad}
    with contextlib.suppress(Exception):
        found = torch.autograd.grad(value.mean(), list(own.values()), allow_unused=True, retain_graph=True)
        return dict(zip(own, found, strict=True)) if any(each is not None for each in found) else None
    return None


def _checkpointed(value: Tensor) -> bool:
    """Reentrant activation checkpointing gives its gradients to `backward` only, so here they would seem cut off."""
    seen: set[Any] = set()
    todo = [value.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            if "CheckpointFunction" in node.name():
                return True
            seen.add(node)
            todo += [following for following, _ in node.next_functions]
    return False


def _loss(case: Case, output: Any) -> Tensor:
    assert case.loss is not None
    value: Tensor = case.loss.function(output, case.few_targets)
    return value


def _sign_steps(case: Case, twin: nn.Module, steps: int) -> dict[str, Tensor] | None:
    """Weights after a few small steps along the gradient's sign, in evaluation mode so that chance breaks no
    symmetry.
    """
    if case.loss is None:
        return None
    with undisturbed(), contextlib.suppress(Exception), torch.enable_grad():
        twin.eval()
        trained = [p for p in twin.parameters() if p.requires_grad]
        for _ in range(steps):
            value = _loss(case, twin(*case.few_inputs)).mean()
            found = torch.autograd.grad(value, trained, allow_unused=True)
            with torch.no_grad():
                for parameter, gradient in zip(trained, found, strict=True):
                    if gradient is not None:
                        parameter.sub_(1e-2 * gradient / (gradient.abs().max() + 1e-30))
        return {name: p.detach() for name, p in twin.named_parameters()}
    return None


def _plain(tensor: Tensor | None) -> Tensor | None:
    return tensor.detach() if tensor is not None else None
