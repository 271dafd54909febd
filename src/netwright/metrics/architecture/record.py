"""Watching one forward pass, call by call.

A `TorchFunctionMode` sees every torch call the way the author wrote it - `F.relu`, `x + skip`, `torch.softmax`,
`x.view` - and module hooks tell which module is at work. Together they give a graph: a `Node` a call, with edges from
the call that made a tensor to the calls that use it, and a `Call` a module. What happens inside a call (the matrix
products of `F.multi_head_attention_forward`) stays inside.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from netwright.metrics.architecture.node import Call, Node, Shape, call_name, literal, main_tensor, tensors_in

__all__ = ["Recorder"]


class Recorder(TorchFunctionMode):
    """Use: `with Recorder(net, inputs) as seen: output = net(*inputs)`, then `seen.finish(output)`.

    Args:
        net: a private copy; the recorder hangs hooks on it for as long as it is entered.
        inputs: the tensors that go in.
        observe: called with each node and the tensor it made, while the tensor still holds what the call left there.
    """

    def __init__(
        self,
        net: nn.Module,
        inputs: tuple[Any, ...],
        observe: Callable[[Node, Tensor, tuple[Any, ...]], None] | None = None,
    ) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.calls: list[Call] = []
        self.open: list[Call] = []
        self.strays: list[tuple[str, Tensor]] = []
        self.inputs: list[Node] = []
        self.output: Node | None = None
        self._net, self._observe = net, observe
        self._names = {id(parameter): name for name, parameter in net.named_parameters(remove_duplicate=True)}
        self._buffers = {id(buffer) for buffer in net.buffers()}
        self._made: dict[int, Node] = {}
        self._keep: list[object] = []  # ids are only good while the tensors live
        self._handles: list[Any] = []
        for tensor in tensors_in(inputs):
            self.inputs.append(self._add("input", [], [], [], tensor, (), {}))
            if observe is not None:
                observe(self.inputs[-1], tensor, ())

    def __enter__(self) -> "Recorder":
        for path, module in self._net.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):  # these take no hooks, and run where no mode sees them
                self._hook(path, module)
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for handle in self._handles:
            handle.remove()

    def finish(self, output: Any) -> Node | None:
        """Name the node that made the network's main output, and forget the tensors."""
        tensor = main_tensor(output)
        self.output = self._made.get(id(tensor)) if tensor is not None else None
        self._keep.clear()
        return self.output

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        op = call_name(func)
        if op is not None:
            self._see(op, args, kwargs, result)
        return result

    def _see(self, op: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        made = next(tensors_in(result), None)
        if made is None and op == "setitem":
            made = args[0]
        if made is None:
            return
        parents, parameters, shapes = [], [], []
        for tensor in tensors_in((args, kwargs)):
            shapes.append(tuple(tensor.shape))
            if id(tensor) in self._names:
                parameters.append(self._names[id(tensor)])
            elif (node := self._producer(tensor)) is not None and node not in parents:
                parents.append(node)
        node = self._add(op, parents, parameters, shapes, made, args, kwargs)
        for other in tensors_in(result):
            self._made[id(other)] = node
            self._keep.append(other)
        if self._observe is not None:
            self._observe(node, made, args)

    def _producer(self, tensor: Tensor) -> Node | None:
        known = self._made.get(id(tensor))
        if known is not None:
            return known
        if isinstance(tensor, nn.Parameter) and tensor.requires_grad and id(tensor) not in self._buffers:
            if all(tensor is not stray for _, stray in self.strays):
                self.strays.append((self.open[-1].path if self.open else "", tensor))
        elif tensor.grad_fn is not None and self.open and id(tensor) not in self._buffers:
            # Made where the mode does not look (a custom autograd function): by the open module, from its inputs.
            return self._add("opaque", list(self.open[-1].inputs), [], [], tensor, (), {})
        return None

    def _add(
        self,
        op: str,
        parents: list[Node],
        parameters: list[str],
        shapes: list[Shape],
        made: Tensor,
        args: Any,
        kwargs: Any,
    ) -> Node:
        path = self.open[-1].path if self.open else ""
        literal_args, literal_kwargs = literal(args), literal(kwargs)
        node = Node(
            len(self.nodes), op, path, parents, parameters, shapes, tuple(made.shape), literal_args, literal_kwargs
        )
        for parent in parents:
            parent.children.append(node)
        self.nodes.append(node)
        self._made[id(made)] = node
        self._keep.append(made)
        return node

    def _hook(self, path: str, module: nn.Module) -> None:
        depth = path.count(".") + 1 if path else 0

        def enter(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            given = list(tensors_in((args, kwargs)))
            nodes = [self._made[id(tensor)] for tensor in given if id(tensor) in self._made]
            call = Call(path, module, depth, [tuple(tensor.shape) for tensor in given], inputs=nodes)
            self.calls.append(call)
            self.open.append(call)

        def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            call = self.open[-1]
            for tensor in tensors_in(output):
                if id(tensor) not in self._made and call.inputs:
                    self._add("opaque", list(call.inputs), [], [], tensor, (), {})
                if id(tensor) in self._made:
                    call.outputs.append(self._made[id(tensor)])
                call.output_shapes.append(tuple(tensor.shape))
            self.open.pop()

        self._handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        self._handles.append(module.register_forward_hook(leave, with_kwargs=True))
