"""Images that a network cannot read are refused by name, before a layer deep inside fails on an empty map.

Every convolution and pooling without padding takes something off an image, so a network has a least size, and one of
its layers is the first to be left with nothing. ``B`` batch, ``C`` channels, ``H`` and ``W`` height and width in
pixels.
"""

from torch import Tensor

from netwright.core.errors import ConfigError

__all__ = ["require_size"]


def require_size(image_BCHW: Tensor, *, least: int, layer: str, network: str, in_channels: int | None = None) -> None:
    """Refuse images of fewer than `least` pixels a side, or of other than `in_channels` channels (None: any).

    The sizes are plain numbers in a traced graph too, so the check leaves nothing behind in an exported network.

    Args:
        layer: the layer that would be left with nothing. network: what the sentence calls the network.

    Shapes:
        [B, C, H, W]

    Raises:
        ConfigError: the images are too small, have other channels, or are no batch of images.
    """
    shape = tuple(image_BCHW.shape)
    if len(shape) != 4 or (in_channels is not None and shape[1] != in_channels):
        wanted = "channels" if in_channels is None else in_channels
        raise ConfigError(
            "this {network} takes images [batch, {wanted}, height, width], got {got}; put the channels there, or build "
            "it with another in_channels",
            network=network, wanted=wanted, got=f"[{', '.join(map(str, shape))}]",
        )  # fmt: skip
    if min(shape[2:]) < least:
        raise ConfigError(
            "images of {got} pixels are too small for {network}: nothing is left at {layer}; use images of at least "
            "{least}x{least}",
            got="x".join(map(str, shape[2:])), network=network, layer=layer, least=least,
        )  # fmt: skip
