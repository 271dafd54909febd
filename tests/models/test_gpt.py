"""GPT beyond the laws: causality, the cache, generation, initial weights."""

import math

import pytest
import torch
from torch import Tensor

from netwright.blocks.attention import KeyValueCache
from netwright.blocks.generation import left_padded
from netwright.core.errors import ConfigError
from netwright.models import build
from netwright.models.language.gpt import GPT


def small(**more: object) -> GPT:
    torch.manual_seed(0)
    sizes = {"vocab_size": 17, "context": 12, "num_layers": 2, "num_heads": 2, "hidden_size": 16, "dropout": 0.0}
    net = build("gpt", **(sizes | more))
    for weight in net.parameters():  # far enough from the initial weights that places differ
        weight.data.add_(torch.randn_like(weight) * 0.3)
    return net.eval()


@pytest.fixture(name="tokens_BT")
def random_tokens() -> Tensor:
    return torch.randint(0, 17, (2, 12), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_token_changes_nothing_before_it(tokens_BT: Tensor, dtype: torch.dtype) -> None:
    net = small().to(dtype)
    before = net(tokens_BT)
    for place in (3, 11):
        changed = tokens_BT.clone()
        changed[:, place] = (changed[:, place] + 1) % 17
        after = net(changed)
        assert torch.equal(after[:, :place], before[:, :place])
        assert not torch.equal(after[:, place:], before[:, place:])


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
@pytest.mark.parametrize("steps", [[1] * 12, [5, 1, 6], [4, 8], [12]])
def test_cached_and_uncached_scores_agree(tokens_BT: Tensor, positions: str, steps: list[int]) -> None:
    net = small(positions=positions)
    caches = [KeyValueCache(12) for _ in net.blocks]
    hidden = [net.features(part, caches) for part in tokens_BT.split(steps, dim=1)]
    torch.testing.assert_close(torch.cat(hidden, dim=1), net.features(tokens_BT), rtol=1e-4, atol=1e-5)


def test_greedy_generation_is_the_uncached_argmax(tokens_BT: Tensor) -> None:
    net, prompt = small(), tokens_BT[:, :4]
    wanted = prompt
    for _ in range(8):
        wanted = torch.cat((wanted, net(wanted)[:, -1].argmax(-1, keepdim=True)), dim=1)
    assert torch.equal(net.generate(prompt, 8, temperature=0), wanted)


def test_generation_goes_on_past_the_context(tokens_BT: Tensor) -> None:
    net = small()
    out = net.generate(tokens_BT, 20, temperature=0)
    assert out.shape == (2, 32)
    # The first token after a full context is scored from its later half.
    assert torch.equal(out[:, 13], net(out[:, 7:13])[:, -1].argmax(-1))


def test_a_generator_makes_sampling_repeatable(tokens_BT: Tensor) -> None:
    net = small()

    def draw(seed: int) -> Tensor:
        return net.generate(tokens_BT[:, :2], 10, top_k=5, top_p=0.9, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_generation_stops_at_the_end_token(tokens_BT: Tensor) -> None:
    net = small()
    free = net.generate(tokens_BT[:, :3], 9, temperature=0)
    eos = int(free[0, 4])
    out = net.generate(tokens_BT[:, :3], 9, temperature=0, eos=eos)
    ends = (out[:, 3:] == eos).int()
    first = [row.argmax().item() if row.any() else len(row) for row in ends]
    for row, end in enumerate(first):
        assert torch.equal(out[row, : 3 + end], free[row, : 3 + end])
        assert (out[row, 3 + end :] == eos).all()
    alone = net.generate(tokens_BT[:1, :3], 9, temperature=0, eos=eos)
    assert alone.shape[1] <= 5


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
@pytest.mark.parametrize("how", [{"temperature": 0}, {"num_beams": 3, "eos": 5}, {"temperature": 0, "eos": 2}])
def test_prompts_of_several_lengths_are_written_on_as_if_alone(positions: str, how: dict[str, int]) -> None:
    net = small(positions=positions)
    prompts = [torch.tensor([3, 1, 4, 1, 5]), torch.tensor([9]), torch.tensor([2, 6, 5])]
    tokens_BT, mask_BT = left_padded(prompts, padding=7)
    together = net.generate(tokens_BT, 7, mask_BT=mask_BT, **how)[:, 5:]
    for row, prompt in zip(together, prompts, strict=True):
        alone = net.generate(prompt[None], 7, **how)[0, len(prompt) :]
        assert torch.equal(row[: len(alone)], alone) and bool((row[len(alone) :] == alone[-1]).all())


def test_padding_before_the_tokens_is_not_seen(tokens_BT: Tensor) -> None:
    net = small()
    mask_BT = torch.arange(12)[None] >= torch.tensor([[4], [0]])
    hidden = net.features(tokens_BT, mask_BS=mask_BT)
    torch.testing.assert_close(hidden[:1, 4:], net.features(tokens_BT[:1, 4:]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(hidden[1:], net.features(tokens_BT[1:]), rtol=1e-4, atol=1e-5)


def test_beams_rank_texts_by_the_uncached_network(tokens_BT: Tensor) -> None:
    """With beams enough it is the likeliest of all texts, past the end of the context too."""
    net, prompt = small(vocab_size=3, context=3), tokens_BT[:, :2] % 3
    texts = torch.cartesian_prod(*[torch.arange(3)] * 4)
    for row in prompt:
        tokens = torch.cat((row.expand(81, 2), texts), dim=1)
        seen = [
            tokens[:, :2],
            tokens[:, :3],
            tokens[:, 3:4],
            tokens[:, 3:5],
        ]  # a full window goes on from its later half
        total = sum(net(part)[:, -1].log_softmax(-1).gather(1, tokens[:, [2 + n]])[:, 0] for n, part in enumerate(seen))
        assert isinstance(total, Tensor)
        assert torch.equal(net.generate(row[None], 4, num_beams=81)[0, 2:], texts[total.argmax()])


def test_generation_leaves_mode_and_gradients_alone(tokens_BT: Tensor) -> None:
    net = small(dropout=0.5).train()
    out = net.generate(tokens_BT[:, :3], 5, temperature=0)
    assert net.training
    assert all(weight.grad is None for weight in net.parameters())
    assert torch.equal(out, net.eval().generate(tokens_BT[:, :3], 5, temperature=0)), "dropout must be off"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"temperature": -1}, "temperature=-1"), ({"top_k": 0}, "top_k=0"), ({"top_p": 1.5}, "top_p=1.5"),
        ({"top_p": 0}, "top_p=0"),
    ],
)  # fmt: skip
def test_senseless_sampling_is_refused(tokens_BT: Tensor, settings: dict[str, float], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        small().generate(tokens_BT, 1, **settings)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ConfigError, match="prompt"):
        small().generate(torch.zeros(1, 0, dtype=torch.int64), 1)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigError) as error:
        build("gpt", hidden_size=64, num_heads=5)
    assert str(error.value) == "model.num_heads=5 does not divide hidden_size=64; use 1, 2, 4, 8, 16, 32 or 64"


def test_initial_weights() -> None:
    torch.manual_seed(0)
    net = build("gpt", vocab_size=65, context=32, num_layers=8, num_heads=4, hidden_size=128)
    block = net.blocks[3]
    assert block.attention.query_key_value.weight.std().item() == pytest.approx(0.02, rel=0.02)
    for projection in (block.attention.project, block.feed_forward.project):
        assert projection.weight.std().item() == pytest.approx(0.02 / 4, rel=0.02)  # sqrt(2 * 8 layers)
        assert not projection.bias.any()
    tokens_BT = torch.randint(0, 65, (4, 32))
    loss = torch.nn.functional.cross_entropy(net(tokens_BT).flatten(0, 1), tokens_BT.roll(-1, 1).flatten())
    assert loss.item() == pytest.approx(math.log(65), rel=0.05)


def test_the_head_is_the_embedding_until_it_is_reset() -> None:
    net = small()
    assert "head.weight" not in net.state_dict()
    net.reset_head(3)
    assert net.state_dict()["head.weight"].shape == (3, 16)
