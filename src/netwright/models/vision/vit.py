"""ViT: an image as a sequence of patches, read by a Transformer encoder.

Dosovitskiy et al., 2021, "An image is worth 16x16 words: Transformers for image recognition at scale". The sizes ti and
s: Touvron et al., 2021, "Training data-efficient image transformers & distillation through attention". ``B`` batch,
``C`` channels, ``H``, ``W`` pixels, ``T`` tokens (the class token, then the patches row by row), ``D`` width.

Differs from the paper: the head starts from small random weights in place of zeros, so that the trunk learns from the
first step; DropPath is Touvron's addition; the head of pre-training's extra hidden layer is left out, as it is in
fine-tuning.
"""

import torch
from torch import Tensor, nn

from netwright.blocks.attention import SelfAttention, check_heads
from netwright.blocks.drop_path import DropPath, drop_path_rates
from netwright.blocks.feedforward import FeedForward
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.patches import PatchEmbedding, resize_positions
from netwright.blocks.positions import LearnedPositions
from netwright.core.errors import ConfigError
from netwright.core.schemas import Positive, Probability, Size, preset

__all__ = [
    "ViT", "ViTBlock", "vit_b_8", "vit_b_16", "vit_b_32", "vit_l_8", "vit_l_16", "vit_l_32", "vit_s_8", "vit_s_16",
    "vit_s_32", "vit_ti_8", "vit_ti_16", "vit_ti_32",
]  # fmt: skip


class ViTBlock(nn.Module):
    """x + drop_path(attention(norm(x))), then x + drop_path(feed_forward(norm(x))); equations 2 and 3.

    Shapes:
        [B, T, D] -> [B, T, D]
    """

    def __init__(
        self, hidden_size: int, num_heads: int, inner_size: int, dropout: float, drop_path: float, norm_eps: float
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden_size, norm_eps)
        self.attention = SelfAttention(hidden_size, num_heads, dropout=dropout)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, norm_eps)
        self.feed_forward = FeedForward(hidden_size, inner_size, "gelu", dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = x_BTD + self.drop_path(self.attention(self.attention_norm(x_BTD)))
        out: Tensor = x_BTD + self.drop_path(self.feed_forward(self.feed_forward_norm(x_BTD)))
        return out


class ViT(nn.Module):
    """The encoder over patches and a class token; the defaults are ViT-B/16.

    Positions are learned for one size of image; `resize_positions` makes the network ready for another. Weights start
    from Glorot's uniform distribution, as in the paper's code; patches and head from LeCun's.

    dropout: on tokens, attention and both residual branches. drop_path: of the last block; rises linearly from 0 at the
    first. norm_eps: 1e-6 in the paper's code and torchvision, 1e-12 in transformers. qkv_bias: whether queries, keys
    and values have biases.

    Shapes:
        [B, in_channels, image_size, image_size] -> [B, num_classes]; features: [B, hidden_size]

    Raises:
        ConfigError: `patch_size` does not divide `image_size`, or `num_heads` not `hidden_size`; in `forward`, images
            of another shape.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        image_size: Size = 224,
        num_classes: Size = 1000,
        patch_size: Size = 16,
        num_layers: Size = 12,
        num_heads: Size = 12,
        hidden_size: Size = 768,
        inner_size: Size = 3072,
        dropout: Probability = 0.0,
        drop_path: Probability = 0.0,
        norm_eps: Positive = 1e-6,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        check_heads(num_heads, hidden_size)
        side = _side(image_size, patch_size)
        self.input_shape = (in_channels, image_size, image_size)
        self.patch_size = patch_size
        self.patches = PatchEmbedding(in_channels, hidden_size, patch_size)
        self.class_token = nn.Parameter(torch.zeros(hidden_size))
        self.positions = LearnedPositions(1 + side**2, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            ViTBlock(hidden_size, num_heads, inner_size, dropout, rate, norm_eps)
            for rate in drop_path_rates(drop_path, num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size, norm_eps)
        self.head = output_layer(hidden_size, num_classes)
        self._init_blocks(qkv_bias)

    def _init_blocks(self, qkv_bias: bool) -> None:
        for name, layer in self.blocks.named_modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
                if name.endswith("query_key_value") and not qkv_bias:
                    layer.register_parameter("bias", None)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The class token after the last norm, [B, hidden_size]."""
        if image_BCHW.shape[1:] != self.input_shape:
            raise ConfigError(
                "this ViT takes images of {wanted}, got {got}; resize them, build it with that image_size, or call its "
                "resize_positions(image_size)",
                wanted=_text(self.input_shape), got=_text(tuple(image_BCHW.shape[1:])),
            )  # fmt: skip
        patches_BTD = self.patches(image_BCHW).flatten(1, 2)
        token_B1D = self.class_token.expand(patches_BTD.shape[0], 1, -1)
        x_BTD = torch.cat((token_B1D, patches_BTD), dim=1)
        x_BTD = self.dropout(x_BTD + self.positions(x_BTD.shape[1]))
        for block in self.blocks:
            x_BTD = block(x_BTD)
        token_BD: Tensor = self.norm(x_BTD[:, 0])
        return token_BD

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.features(image_BCHW))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)

    @torch.no_grad()
    def resize_positions(self, image_size: int) -> None:
        """Take images of `image_size` pixels from now on: the position table is interpolated, bicubic (section 3.2).

        The table is a new parameter; call it before the optimizer is made.

        Raises:
            ConfigError: the patch does not divide `image_size`.
        """
        old = self.positions.weight
        table_TD = resize_positions(old, _side(image_size, self.patch_size))
        self.positions.weight = nn.Parameter(table_TD, requires_grad=old.requires_grad)
        self.input_shape = (self.input_shape[0], image_size, image_size)


def _side(image_size: int, patch_size: int) -> int:
    """Patches on a side of the image."""
    if image_size % patch_size:
        fitting = [str(size) for size in range(1, image_size + 1) if image_size % size == 0]
        raise ConfigError(
            "model.patch_size={patch_size} does not divide image_size={image_size}; use a patch of {fitting}, or "
            "images of {near} pixels",
            patch_size=patch_size, image_size=image_size, fitting=", ".join(fitting),
            near=max(1, round(image_size / patch_size)) * patch_size,
        )  # fmt: skip
    return image_size // patch_size


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


_TI = {"num_layers": 12, "num_heads": 3, "hidden_size": 192, "inner_size": 768}
_S = {"num_layers": 12, "num_heads": 6, "hidden_size": 384, "inner_size": 1536}
_B = {"num_layers": 12, "num_heads": 12, "hidden_size": 768, "inner_size": 3072}
_L = {"num_layers": 24, "num_heads": 16, "hidden_size": 1024, "inner_size": 4096}

vit_ti_8 = preset(ViT, "vit_ti_8", patch_size=8, **_TI)
vit_ti_16 = preset(ViT, "vit_ti_16", patch_size=16, **_TI)
vit_ti_32 = preset(ViT, "vit_ti_32", patch_size=32, **_TI)
vit_s_8 = preset(ViT, "vit_s_8", patch_size=8, **_S)
vit_s_16 = preset(ViT, "vit_s_16", patch_size=16, **_S)
vit_s_32 = preset(ViT, "vit_s_32", patch_size=32, **_S)
vit_b_8 = preset(ViT, "vit_b_8", patch_size=8, **_B)
vit_b_16 = preset(ViT, "vit_b_16", patch_size=16, **_B)
vit_b_32 = preset(ViT, "vit_b_32", patch_size=32, **_B)
vit_l_8 = preset(ViT, "vit_l_8", patch_size=8, **_L)
vit_l_16 = preset(ViT, "vit_l_16", patch_size=16, **_L)
vit_l_32 = preset(ViT, "vit_l_32", patch_size=32, **_L)
