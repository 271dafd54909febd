"""Codes without a vector are named, and a mask means the same as booleans or integers and nothing else."""

import pytest
import torch
from torch import Tensor, nn

from netwright.blocks.tokens import Embedding, as_mask, check_tokens
from netwright.core.errors import ConfigError

TOKENS_BT = torch.tensor([[3, 0, 4], [1, 1, 2]])
MASK_BT = torch.tensor([[True, False, True], [True, True, False]])


def test_the_embedding_is_torchs() -> None:
    ours, theirs = Embedding(5, 3), nn.Embedding(5, 3)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours(TOKENS_BT), theirs(TOKENS_BT))


@pytest.mark.parametrize("code", [5, -1])
@pytest.mark.parametrize("kind", [ConfigError, IndexError])
def test_a_code_without_a_vector_is_named(code: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=rf"code {code} has no vector: model\.segments=5 has those of 0 to 4"):
        Embedding(5, 3, "segments")(torch.tensor([[4, code, 7]]))


@pytest.mark.parametrize("mask", [MASK_BT, MASK_BT.long(), MASK_BT.byte()])
def test_integers_are_booleans(mask: Tensor) -> None:
    got = as_mask(mask, TOKENS_BT)
    assert got is not None and got.dtype == torch.bool and torch.equal(got, MASK_BT)
    assert as_mask(None, TOKENS_BT) is None


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (torch.where(MASK_BT, 0.0, -1e4), "got float32, give booleans"),
        (MASK_BT[:, :2], "has shape [2, 2]; expected the tokens' [2, 3]"),
        (MASK_BT[:, None], "has shape [2, 1, 3]"),
    ],
)
def test_other_masks_are_refused(mask: Tensor, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        as_mask(mask, TOKENS_BT)
    assert said in str(told.value)


@pytest.mark.parametrize("tokens", [TOKENS_BT[0], TOKENS_BT[None]])
def test_tokens_are_rows(tokens: Tensor) -> None:
    with pytest.raises(ConfigError, match="a batch of rows"):
        check_tokens(tokens)
