"""NW123: trainable parameters absent from the optimizer, cut from the graph, never used, or not registered."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from netwright.core.messages import few, say
from netwright.doctor.check.case import Case
from netwright.doctor.check.graph import Graph
from netwright.doctor.check.ops import WEIGHTED
from netwright.doctor.findings import Finding

CODE, FAULT = "NW123", "frozen-parameters"


def rule(case: Case) -> Iterator[Finding]:
    """Parameters with requires_grad=False are frozen on purpose and are left alone."""
    if case.training is not None:
        yield from _unregistered(case, case.training)
    trainable = {name: p for name, p in case.net.named_parameters() if p.requires_grad}
    if case.optimizer is not None:
        yield from _absent(case, trainable)
    if not trainable:
        if case.optimizer is not None and any(True for _ in case.net.parameters()):
            yield _all_frozen(case)
        return
    yield from _gradients(case)
    if case.training is not None and case.optimizer is not None:
        yield from _shift(case.training, trainable)


def _shift(graph: Graph, trainable: Mapping[str, Tensor]) -> Iterator[Finding]:
    """Only a bias behind the last weights is left to learn: no answer can depend on the input more than it does."""
    last = next((node for node in graph.ending().path if node.op in WEIGHTED), None)
    if last is None or len(last.parameters) < 2 or any(tensor.dim() > 1 for tensor in trainable.values()):
        return
    if set(trainable) <= set(last.parameters):
        evidence = say("Only {names} can change.", names=few(list(trainable)))
        why = say("It moves all answers by the same amount, whatever the input. Everything else is frozen.")
        remedy = say("Unfreeze at least the last layer: layer.requires_grad_(True).")
        yield Finding(CODE, FAULT, "error", next(iter(trainable)), evidence, why, remedy, proven=True)


def _absent(case: Case, trainable: Mapping[str, Tensor]) -> Iterator[Finding]:
    held = case.optimized()
    missing = [name for name, parameter in trainable.items() if id(parameter) not in held]
    if not missing:
        return
    everything = len(missing) == len(trainable)
    evidence = say(
        "{count} of {all} trainable tensors are not in the optimizer: {names}.",
        count=len(missing),
        all=len(trainable),
        names=few(missing),
    )
    if everything:
        why = say(
            "The optimizer holds parameters of another network (or of this "
            "one before it was rebuilt), so nothing here will change."
        )
        remedy = say("Make the optimizer after the network is complete: Adam(net.parameters()).")
    else:
        why = say(
            "They get gradients, but no step ever moves them. If they should stay "
            "as they are, requires_grad=False says so and saves the work."
        )
        remedy = say("Pass them to the optimizer, or freeze them with requires_grad_(False).")
    yield Finding(
        CODE, FAULT, "error" if everything else "warning", missing[0], evidence, why, remedy, proven=everything
    )


def _all_frozen(case: Case) -> Finding:
    evidence = say("No parameter of the network has requires_grad=True.")
    why = say("There is nothing for the optimizer to learn.")
    return Finding(
        CODE,
        FAULT,
        "error",
        "parameters",
        evidence,
        why,
        say("Unfreeze at least the last layer: layer.requires_grad_(True)."),
        proven=True,
    )


def _gradients(case: Case) -> Iterator[Finding]:
    if case.loss_has_gradient is False:
        yield _no_gradient()
        return
    lost = [name for name, gradient in (case.gradients or {}).items() if gradient is None]
    if not lost or case.training is None:
        return
    ran = {name for node in case.training.nodes for name in node.parameters}
    quiet = {name for node in case.quiet.nodes for name in node.parameters} if case.quiet is not None else set()
    severed = _severed(case.training)
    cut = [name for name in lost if name in ran and (severed or _reaches_output(case, name))]
    idle = [name for name in lost if name not in ran | quiet]  # stochastic depth skips layers in training
    if cut:
        yield _cut(cut)
    if idle:
        yield _idle(idle)
    elif not cut and case.alone:
        yield from _dropped([name for name in lost if name in ran])


def _no_gradient() -> Finding:
    evidence = say("The loss has no gradient with respect to any parameter.")
    why = say("Somewhere the graph is cut for all of them: by detach(), .data, argmax, NumPy or no_grad.")
    remedy = say("Keep to torch operations between the network and the loss.")
    return Finding(CODE, FAULT, "error", "loss", evidence, why, remedy, proven=True)


def _cut(names: list[str]) -> Finding:
    evidence = say("{count} tensor(s) are used but get no gradient: {names}.", count=len(names), names=few(names))
    why = say(
        "The graph is cut between them and the loss (detach, .data, "
        "no_grad, argmax or NumPy), so they will never learn."
    )
    remedy = say("Remove the cut, or freeze them with requires_grad_(False) if it is meant.")
    return Finding(CODE, FAULT, "error", names[0], evidence, why, remedy, proven=True)


def _idle(names: list[str]) -> Finding:
    evidence = say(
        "{count} trainable tensor(s) are never used in the forward pass: {names}.", count=len(names), names=few(names)
    )
    why = say("They cannot learn and only take memory. Perhaps a layer was made but not called.")
    remedy = say("Call the layer in forward, or delete it.")
    return Finding(CODE, FAULT, "warning", names[0], evidence, why, remedy, proven=True)


def _dropped(names: list[str]) -> Iterator[Finding]:
    """What a layer makes is thrown away; with a single output there is nobody else to read it."""
    if names:
        evidence = say("{count} trainable tensor(s) are used, but what they make never reaches the output: {names}.",
                       count=len(names), names=few(names))  # fmt: skip
        why = say("They cannot learn and only take time. Perhaps a later line takes an earlier result.")
        remedy = say("Use the result in forward, or delete the layer.")
        yield Finding(CODE, FAULT, "warning", names[0], evidence, why, remedy, proven=True)


def _reaches_output(case: Case, name: str) -> bool:
    """A branch that ends nowhere, or in a second output that this loss does not read, is no cut."""
    graph = case.training
    if graph is None or graph.output is None:
        return False
    reaching = graph.reaching()
    return any(name in node.parameters and node in reaching for node in graph.nodes)


def _severed(graph: Graph) -> bool:
    """Whether no way leads from an input to the output: it went through NumPy, or was made anew."""
    reaching = graph.reaching()
    return graph.output is not None and bool(graph.inputs) and not any(node in reaching for node in graph.inputs)


def _unregistered(case: Case, graph: Graph) -> Iterator[Finding]:
    """Parameters outside the modules, and plain tensors that are multiplied with as weights are."""
    if graph.strays:
        path, tensor = graph.strays[0]
        yield _stray(path or type(case.net).__name__, len(graph.strays), tensor)
    weights = {name: tensor for name, tensor in graph.loose.items() if tensor.shape[-1] != tensor.shape[-2]}
    learnable = [name for name, tensor in graph.loose.items() if tensor.requires_grad]
    for name in learnable or list(weights)[:1]:
        yield _loose(name, graph.loose[name])
        return


def _stray(place: str, count: int, tensor: Tensor) -> Finding:
    evidence = say(
        "{place} uses {count} parameter(s) that the network does not know, the first of shape {shape}.",
        place=place,
        count=count,
        shape=tuple(tensor.shape),
    )
    why = say(
        "Layers in a plain Python list or dict, or made anew in forward, are not registered: "
        "net.parameters(), .to(device) and the state dict all miss them."
    )
    remedy = say("Make them in __init__, and use nn.ModuleList, nn.ModuleDict or nn.ParameterList for several.")
    return Finding(CODE, FAULT, "error", place, evidence, why, remedy, proven=True)


def _loose(name: str, tensor: Tensor) -> Finding:
    evidence = say(
        "{name} of shape {shape} is multiplied with like a weight, but is a plain tensor.",
        name=name,
        shape=tuple(tensor.shape),
    )
    why = say("Only nn.Parameter is found by net.parameters(). As it is, no optimizer and no state dict will hold it.")
    remedy = say("Make it nn.Parameter(…) to learn it, or register_buffer(…) if it is meant to stay.")
    return Finding(CODE, FAULT, "error" if tensor.requires_grad else "warning", name, evidence, why, remedy)
