"""What comes into a network of tokens: codes, which become vectors, and masks, which mean the same to all of them.

``B`` batch, ``T`` time, ``D`` width.
"""

from typing import Literal

from torch import Tensor, nn

from netwright.core.errors import ConfigError

__all__ = ["Embedding", "as_mask", "check_tokens"]


class NoVector(ConfigError, IndexError):
    """torch's own error, for those who wait for it, that says which code it was."""


class Embedding(nn.Embedding):
    """torch.nn.Embedding that names the code which it has no vector for; on a GPU only the driver notices one.

    setting: the argument of the network that says how many codes there are.

    Shapes:
        [...] int64 -> [..., D]

    Raises:
        ConfigError: in `forward`, a code below 0 or beyond the last.
    """

    def __init__(self, codes: int, hidden_size: int, setting: Literal["vocab_size", "segments"] = "vocab_size") -> None:
        super().__init__(codes, hidden_size)
        self.setting = setting

    def forward(self, codes: Tensor) -> Tensor:
        try:
            return super().forward(codes)
        except IndexError as error:
            strange = codes[(codes < 0) | (codes >= self.num_embeddings)]
            raise NoVector(
                "code {code} has no vector: model.{setting}={size} has those of 0 to {last}; use the tokenizer that "
                "belongs to the network, or a larger {setting}",
                code=int(strange[0]), setting=self.setting, size=self.num_embeddings, last=self.num_embeddings - 1,
            ) from error  # fmt: skip


def check_tokens(tokens_BT: Tensor) -> None:
    """Refuse what is no batch of rows.

    Raises:
        ConfigError: another number of dimensions.
    """
    if tokens_BT.dim() != 2:
        got = list(tokens_BT.shape)
        raise ConfigError("tokens are a batch of rows of integer codes, [batch, time]; got shape {got}", got=got)


def as_mask(mask_BT: Tensor | None, tokens_BT: Tensor) -> Tensor | None:
    """The mask of these tokens as booleans, from booleans or from the integers 0 and 1 that other tokenizers give.

    Floats are refused: many libraries' are added to scores, and mean the opposite.

    Raises:
        ConfigError: tokens that are no batch of rows; a mask of another shape or type.
    """
    check_tokens(tokens_BT)
    if mask_BT is None:
        return None
    if mask_BT.is_floating_point():
        template = "masks are True where there is something to look at; got {dtype}, give booleans: mask > 0.5"
        raise ConfigError(template, dtype=str(mask_BT.dtype).removeprefix("torch."))
    if mask_BT.shape != tokens_BT.shape:
        got, expected = list(mask_BT.shape), list(tokens_BT.shape)
        raise ConfigError("the mask has shape {got}; expected the tokens' {expected}", got=got, expected=expected)
    return mask_BT.bool()
