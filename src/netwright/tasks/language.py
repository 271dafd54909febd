"""Causal language modelling: from the tokens so far to the next one, at every place of a window.

Letters: B windows, T tokens of a window, V vocabulary.
"""

from pathlib import Path
from typing import Any, cast, final

from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.messages import say
from netwright.core.schemas import Count, Size
from netwright.core.seeds import generator
from netwright.data.batching import Batch, BatchSource
from netwright.data.preprocess import Preprocessor
from netwright.data.tokens import CharTokenizer
from netwright.losses import LossFunction
from netwright.metrics.running import Surprise
from netwright.tasks.base import Phase, StepOutput, Task

__all__ = ["LanguageModeling"]

_SAMPLE = 0x7E87  # keeps the samples' random numbers apart from everybody else's
_TEMPERATURES = (0.5, 0.8, 1.0)
_TOP = 5


@final
class LanguageModeling(Task):
    """Cross-entropy of the next token over all places.

    Args:
        prompt: text that the samples of the report go on from; by default the first tokens of the validation text.
        samples: how many texts the report shows at each temperature.
        sample_tokens: how many tokens each of them adds.

    Shapes: batch inputs and targets (B, T) int64; the network gives (B, T, V).
    """

    name = "language-modeling"
    monitor = "loss"
    default_loss = "cross-entropy"
    target_kinds = ("next-token",)

    def __init__(
        self,
        preprocess: Preprocessor,
        loss: LossFunction | None = None,
        *,
        seed: int = 0,
        prompt: str | None = None,
        samples: Count = 1,
        sample_tokens: Size = 200,
    ) -> None:
        self._tokenizer = preprocess.tokenizer
        self._loss = loss if loss is not None else nn.CrossEntropyLoss()
        self._seed, self._prompt, self._samples, self._sample_tokens = seed, prompt, samples, sample_tokens

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The mean loss over all places."""
        assert batch.targets is not None
        logits_BTV = model(batch.inputs)
        return StepOutput(self._loss(logits_BTV.flatten(0, 1), batch.targets.flatten()), predictions=logits_BTV)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The loss, and as predictions the nats a token of each window (B,)."""
        assert batch.targets is not None
        logits_BTV = model(batch.inputs)
        flat, targets = logits_BTV.flatten(0, 1).float(), batch.targets.flatten()
        nats_BT = F.cross_entropy(flat, targets, reduction="none").view_as(batch.targets)
        return StepOutput(self._loss(flat, targets), predictions=nats_BT.mean(1))

    def measure(self) -> Surprise:
        """Perplexity and bits."""
        return Surprise("bits_per_char" if isinstance(self._tokenizer, CharTokenizer) else "bits_per_token")

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Texts that the network writes, from calm to daring."""
        prompt_T = self._start(source)
        if prompt_T is None or self._tokenizer is None or not hasattr(model, "generate"):
            return []
        texts, generate, device = [], cast(Any, model.generate), next(model.parameters()).device
        for number, temperature in enumerate(t for t in _TEMPERATURES for _ in range(self._samples)):
            dice = generator(self._seed, _SAMPLE, number)
            made = generate(prompt_T[None].to(device), self._sample_tokens, temperature=temperature, generator=dice)
            caption = say("temperature {temperature}", temperature=temperature)
            texts.append({"caption": caption, "text": self._tokenizer.decode(made[0].cpu())})
        return [{"kind": "text", "title": say("What the network writes"), "items": texts}] if texts else []

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The likeliest tokens after the last place of each input, (B, T, V) or (B, V)."""
        last_BV = outputs[:, -1] if outputs.dim() == 3 else outputs
        probability_BK, token_BK = last_BV.float().softmax(1).topk(min(_TOP, last_BV.shape[1]))
        rows = zip(token_BK.tolist(), probability_BK.tolist(), strict=True)
        return [{"next": [self._token(*pair) for pair in zip(*row, strict=True)]} for row in rows]

    def _start(self, source: BatchSource) -> Tensor | None:
        """What the samples go on from. Shapes: -> (T,) int64."""
        if self._prompt and self._tokenizer is not None:
            return self._tokenizer.encode(self._prompt)
        batch = next(iter(source.epoch(0)), None)
        if batch is None or not isinstance(batch.inputs, Tensor):
            return None
        first: Tensor = batch.inputs[0, : min(16, batch.inputs.shape[1])]
        return first

    def _token(self, token: int, share: float) -> dict[str, Any]:
        text = token if self._tokenizer is None else self._tokenizer.decode([token])
        return {"token": text, "probability": share}
