"""Swin: a Transformer over windows that shift from layer to layer, on feature maps that halve from stage to stage.

Liu et al., 2021, "Swin Transformer: hierarchical vision transformer using shifted windows". ``B`` batch, ``C``
channels, ``H``, ``W`` sides of the image or the map, ``D`` width.

Images of any size: the windows and the merges pad their maps with zeros.

Differs from the paper: as in torchvision, and unlike the paper's code, the patches do not pad, so pixels at the right
and the bottom that fill no patch are not seen; and initial weights follow each layer's width (Glorot) in place of a
deviation of 0.02, with which narrow networks start slowly.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.drop_path import DropPath, drop_path_rates
from netwright.blocks.feedforward import FeedForward
from netwright.blocks.heads import new_head, output_layer
from netwright.blocks.patches import PatchEmbedding
from netwright.blocks.sizes import require_size
from netwright.blocks.windows import WindowAttention
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size, preset

__all__ = ["PatchMerging", "Swin", "SwinBlock", "swin_b", "swin_s", "swin_t"]

_INNER = 4  # the feed-forward block's inner width over its outer, in every published size


class PatchMerging(nn.Module):
    """Four neighbours side by side, a norm, and a linear map to twice the width: the map halves, an odd side rounds up.

    Shapes:
        [B, H, W, D] -> [B, ceil(H / 2), ceil(W / 2), 2 D]
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * hidden_size)
        self.reduction = nn.Linear(4 * hidden_size, 2 * hidden_size, bias=False)

    def forward(self, x_BHWD: Tensor) -> Tensor:
        below, beside = x_BHWD.shape[1] % 2, x_BHWD.shape[2] % 2
        if below or beside:
            x_BHWD = F.pad(x_BHWD, (0, 0, 0, beside, 0, below))
        batch, height, width, depth = x_BHWD.shape
        fours = x_BHWD.reshape(batch, height // 2, 2, width // 2, 2, depth)
        # Column first, then row: the order in which published weights expect the four.
        out_BHWD: Tensor = self.reduction(self.norm(fours.permute(0, 1, 3, 4, 2, 5).flatten(3)))
        return out_BHWD


class SwinBlock(nn.Module):
    """x + drop_path(attention(norm(x))), then x + drop_path(feed_forward(norm(x))), on a map; equation 3.

    Shapes:
        [B, H, W, D] -> [B, H, W, D]
    """

    def __init__(
        self, hidden_size: int, num_heads: int, window: int, shift: int, dropout: float, drop_path: float
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.attention = WindowAttention(hidden_size, num_heads, window, shift, dropout)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward = FeedForward(hidden_size, _INNER * hidden_size, "gelu", dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BHWD: Tensor) -> Tensor:
        x_BHWD = x_BHWD + self.drop_path(self.attention(self.attention_norm(x_BHWD)))
        out_BHWD: Tensor = x_BHWD + self.drop_path(self.feed_forward(self.feed_forward_norm(x_BHWD)))
        return out_BHWD


class Swin(nn.Module):
    """Patches, then stages of blocks with a merge between two of them, then the mean over places; defaults: Swin-T.

    Every second block of a stage shifts its windows by half of their width. Linear layers of the stages start from
    Glorot's uniform distribution, patches and head from LeCun's.

    width: of the first stage; each stage doubles it. depths: blocks of each stage. num_heads: of each stage. window:
    places on a side of a window. dropout: on patches, attention and both residual branches. drop_path: of the last
    block; rises linearly from 0 at the first.

    Shapes:
        [B, in_channels, H, W] -> [B, num_classes]; features: [B, width * 2^(stages - 1)]

    Raises:
        ConfigError: `depths` and `num_heads` of different lengths, heads that do not divide a stage's width; in
            `forward`, images smaller than a patch or of other channels.
    """

    def __init__(
        self,
        in_channels: Size = 3,
        num_classes: Size = 1000,
        patch_size: Size = 4,
        width: Size = 96,
        depths: Sequence[Size] = (2, 2, 6, 2),
        num_heads: Sequence[Size] = (3, 6, 12, 24),
        window: Size = 7,
        dropout: Probability = 0.0,
        drop_path: Probability = 0.2,
    ) -> None:
        super().__init__()
        _check_stages(depths, num_heads)
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.patches = PatchEmbedding(in_channels, width, patch_size)
        self.patch_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        rates, taken = drop_path_rates(drop_path, sum(depths)), 0
        self.stages = nn.ModuleList()
        for index, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            its_rates, taken = rates[taken : taken + depth], taken + depth
            self.stages.append(_stage(index, width * 2**index, heads, window, dropout, its_rates))
        features = width * 2 ** (len(depths) - 1)
        self.norm = nn.LayerNorm(features)
        self.head = output_layer(features, num_classes)
        self._init_stages()

    def _init_stages(self) -> None:
        for layer in self.stages.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def features(self, image_BCHW: Tensor) -> Tensor:
        """The mean over all places after the last norm, [B, width * 2^(stages - 1)]."""
        require_size(image_BCHW, least=self.patch_size, layer="patches", network="Swin", in_channels=self.in_channels)
        x_BHWD = self.dropout(self.patch_norm(self.patches(image_BCHW)))
        for stage in self.stages:
            x_BHWD = stage(x_BHWD)
        mean_BD: Tensor = self.norm(x_BHWD).mean(dim=(1, 2))
        return mean_BD

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Scores before any softmax, [B, num_classes]."""
        scores: Tensor = self.head(self.features(image_BCHW))
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh last layer for `num_classes` classes; the trunk stays as it is."""
        self.head = new_head(self.head, num_classes)


def _stage(
    index: int, hidden_size: int, num_heads: int, window: int, dropout: float, rates: Sequence[float]
) -> nn.Sequential:
    """The blocks of one width, one a rate of DropPath; a merge before them in all stages but the first."""
    stage = nn.Sequential()
    if index:
        stage.add_module("merge", PatchMerging(hidden_size // 2))
    for number, rate in enumerate(rates):
        shift = window // 2 if number % 2 else 0
        stage.add_module(f"block{number}", SwinBlock(hidden_size, num_heads, window, shift, dropout, rate))
    return stage


def _check_stages(depths: Sequence[int], num_heads: Sequence[int]) -> None:
    if not depths or len(depths) != len(num_heads):
        raise ConfigError(
            "model.depths={depths} and model.num_heads={num_heads} differ in length; give each one number a stage",
            depths=list(depths), num_heads=list(num_heads),
        )  # fmt: skip


swin_t = preset(Swin, "swin_t", width=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24), drop_path=0.2)
swin_s = preset(Swin, "swin_s", width=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24), drop_path=0.3)
swin_b = preset(Swin, "swin_b", width=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32), drop_path=0.5)
