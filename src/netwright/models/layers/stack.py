"""`LayerStack`: a hand-made network from a list of layers.

The list is read twice: first every entry by itself (unknown kinds, wrong options), then from the input on with sizes,
where a layer that does not fit says so and the next ones are still looked at. All mistakes come in one error.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from netwright.blocks.activations import ACTIVATIONS
from netwright.blocks.heads import new_head, require_outputs
from netwright.blocks.init import scaled_init
from netwright.core.errors import ConfigError, Problem
from netwright.core.messages import say
from netwright.core.schemas import Size, arguments
from netwright.models.layers.entries import JOINS, RESIDUAL, Entry, read_entries
from netwright.models.layers.joins import concatenate, sum_join
from netwright.models.layers.kinds import KINDS, OUTPUT_KINDS
from netwright.models.layers.signal import Layer, LayerMisfitError, Signal

__all__ = ["LayerStack"]

_WEIGHTED = ("conv", "depthwise-conv", "linear", "separable-conv", "transposed-conv")
# These may stand between a weighted layer and the activation that its weights start scaled for.
_SCALE_FREE = ("drop-path", "dropout", "norm", "pool")

Built = list[tuple[str, nn.Module]]  # the kind and the module of each entry


class LayerStack(nn.Module):
    """The layers of a list, in order; `layers[i]` of the module is entry i of the list.

    layers: names (`relu`) and mappings (`{conv: 32, kernel: 3}`); `{residual: [...]}` adds its input to its branch's
    output, `{dense: [...]}` puts the two side by side, and `{branches: [[...], [...]]}` the outputs of several. A bare
    `linear` takes `num_classes` units; a bias that the next norm would remove is left out. Weights start scaled for the
    activation that follows them. An empty `input_shape` is a stream of tokens, read in windows of `context`; a bare
    `linear` is then one score a token of the vocabulary.

    Shapes:
        [B, *input_shape] -> [B, *output_shape]; features: what the last linear or convolution layer is given

    Raises:
        ConfigError: with every mistake of the list; in `forward`, an input that does not fit `input_shape`.
    """

    def __init__(
        self,
        layers: list[Any],
        input_shape: Sequence[Size],
        num_classes: Size | None = None,
        vocab_size: Size | None = None,
        context: Size = 64,
    ) -> None:
        super().__init__()
        self.context = context
        self.input_shape = tuple(input_shape) or (context,)
        outputs = num_classes if input_shape else num_classes or vocab_size
        builder = _Builder({"num_classes": outputs, "vocab_size": vocab_size})
        built, self.output_shape = builder.build(layers, self.input_shape)
        self.layers = nn.Sequential(*(module for _, module in built))
        kinds = [kind for kind, _ in built]
        # Only a layer that mixes places fixes the size of the input; others work on any.
        self._fixed_size = any(kind in ("flatten", "reshape") for kind in kinds)
        heads = [i for i, kind in enumerate(kinds) if kind in ("linear", "conv")]
        self._head = max(heads, key=lambda i: (kinds[i] == "linear", i), default=None)

    def features(self, x: Tensor) -> Tensor:
        """What the head, the last linear (or else convolution) layer, is given."""
        self._check(x)
        out: Tensor = self.layers[: self._head](x) if self._head is not None else self.layers(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output, [B, *output_shape]."""
        self._check(x)
        out: Tensor = self.layers(x)
        return out

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh layer for `num_classes` outputs in the place of the last linear (or else convolution) layer.

        Raises:
            ConfigError: the network has neither.
        """
        if self._head is None:
            raise ConfigError("this network has no linear or conv layer to be its head; add a linear to its layers")
        at = self.layers[self._head]
        if isinstance(at, nn.Sequential):  # a convolution after the turning of a sequence
            at[-1] = _replacement(at[-1], num_classes)
        else:
            self.layers[self._head] = _replacement(at, num_classes)

    def _check(self, x: Tensor) -> None:
        got, wanted = tuple(x.shape[1:]), self.input_shape
        fits = got == wanted if self._fixed_size else len(got) == len(wanted) and (len(got) < 2 or got[0] == wanted[0])
        if not fits and not (len(wanted) == 2 and not self._fixed_size and len(got) == 2 and got[1] == wanted[1]):
            raise ConfigError(
                "these layers take an input of {wanted} an example, got {got}; give that, or change input_shape",
                wanted="x".join(map(str, wanted)), got="x".join(map(str, got)),
            )  # fmt: skip


def _replacement(old: Any, outputs: int) -> nn.Module:
    """A fresh linear or convolution layer like `old`, for another number of outputs."""
    if isinstance(old, nn.Linear):
        return new_head(old, outputs)
    require_outputs(outputs)
    place = {"device": old.weight.device, "dtype": old.weight.dtype}
    window = (old.kernel_size, old.stride, old.padding, old.dilation)
    new: nn.Module = type(old)(old.in_channels, outputs, *window, bias=old.bias is not None, **place)
    scaled_init(new)
    return new


class _Builder:
    """Reads a list, builds it, and keeps what is wrong with it."""

    def __init__(self, sizes: Mapping[str, int | None]) -> None:
        self.sizes = {name: size for name, size in sizes.items() if size is not None}
        self.problems: list[Problem] = []

    def build(self, layers: object, input_shape: tuple[int, ...]) -> tuple[Built, tuple[int, ...]]:
        """The kind and module of each entry, and the shape of an example's output."""
        entries = read_entries(layers, "model.layers", self.problems)
        signal: Signal | None = Signal.of_input(input_shape)
        if not 1 <= len(input_shape) <= 4:
            message = say("model.input_shape={got} must have one to four sizes", got=list(input_shape))
            self._add("model.input_shape", message)
            signal = None
        built, signal = self.lay(entries, signal, last=True)
        if self.problems:
            raise ConfigError.of(self.problems)
        assert signal is not None
        return built, signal.shape

    def lay(
        self, entries: Sequence[Entry | None], signal: Signal | None, last: bool = False
    ) -> tuple[Built, Signal | None]:
        """Build a row of layers from `signal` on; stops where the signal is lost."""
        built: Built = []
        for index, entry in enumerate(entries):
            if entry is None or signal is None:
                return built, None
            following = entries[index + 1] if index + 1 < len(entries) else None
            if entry.kind in OUTPUT_KINDS and not (last and index + 1 == len(entries)):
                message = "{place} is for the output only; use relu, gelu or tanh between layers"
                self._add(entry.place, say(message, place=entry.place))
            try:
                module, signal = self._layer(entry, following, signal)
            except LayerMisfitError as problem:
                self._add(entry.place, f"{entry.place}: {problem}")
                signal = problem.then
            else:
                if entry.kind in _WEIGHTED:
                    _start_weights(module, entries[index + 1 :])
                built.append((entry.kind, module))
        return built, signal

    def _layer(self, entry: Entry, following: Entry | None, signal: Signal) -> Layer:
        if entry.kind in JOINS:
            branches = [self._branch(branch, signal) for branch in entry.branches]
            if entry.kind == RESIDUAL:
                return sum_join(signal, *branches[0])
            return concatenate(entry.kind, signal, branches)
        bound: dict[str, Any] = {"signal": signal, **self.sizes}
        if entry.kind in _WEIGHTED and _cancels_bias(following, signal):
            bound["bias"] = False
        module, after = KINDS[entry.kind](**arguments(KINDS[entry.kind], entry.options, entry.place, bound))
        return module, after

    def _branch(self, entries: Sequence[Entry], signal: Signal) -> Layer:
        built, after = self.lay(entries, signal)
        if after is None:
            raise LayerMisfitError("the branch cannot be built")
        return nn.Sequential(*(module for _, module in built)), after

    def _add(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))


def _cancels_bias(following: Entry | None, signal: Signal) -> bool:
    """Whether the next layer is a norm that removes each channel's mean, and with it the bias before it."""
    if following is None or following.kind != "norm":
        return False
    kind = following.options.get("norm")
    return kind in ("batch", "instance") or (kind is None and signal.layout != "sequence")


def _start_weights(module: nn.Module, following: Sequence[Entry | None]) -> None:
    """Scale a layer's weights for the activation that comes next; the first of a separable pair has none."""
    name = next((entry.kind for entry in following if entry and entry.kind not in _SCALE_FREE), "identity")
    weighted = [part for part in module.modules() if isinstance(getattr(part, "weight", None), Tensor)]
    for part in weighted:
        scaled_init(part, name if part is weighted[-1] and name in ACTIVATIONS else "identity")
