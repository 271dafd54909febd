"""Causal language modelling: from the tokens so far to the next one, at every place of a window.

Letters: B windows, T tokens of a window, V vocabulary, N tokens of a batch that count, K likeliest ones.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.core.errors import DataError
from netwright.core.messages import say
from netwright.core.schemas import Count, Size
from netwright.core.seeds import generator
from netwright.data.batching import Batch, BatchSource, forward
from netwright.data.preprocess import Preprocessor
from netwright.data.tokenizing import CharTokenizer
from netwright.losses import LossFunction
from netwright.metrics.running import Surprise
from netwright.tasks.base import Phase, StepOutput, Task
from netwright.tasks.texts import IGNORED, counted_loss, token_bytes

__all__ = ["LanguageModeling", "token_nats"]

_SAMPLE = 0x7E87  # keeps the samples' random numbers apart from everybody else's
_TEMPERATURES = (0.5, 0.8, 1.0)
_TOP = 5
_ANSWER, _WARMTH = 60, 0.8  # tokens of a continuation that `predict` gives, and how daring it is


@final
class LanguageModeling(Task):
    """Cross-entropy of the next token over all places.

    Perplexity and bits are of a token, and so compare between networks of one tokenizer only; `bits_per_byte` counts
    the bytes of UTF-8 that the predicted tokens stand for, and compares with everything that compresses texts. It is
    left out where the tokenizer does not give texts back as they were (words, small letters only).

    Args:
        prompt: text that the samples of the report go on from; by default the first tokens of the validation text.
        samples: how many texts the report shows at each temperature.
        sample_tokens: how many tokens each of them adds.

    Shapes: batch inputs and targets (B, T) int64; the network gives (B, T, V).
    """

    monitor = "loss"
    default_loss = "cross-entropy"
    data_kinds = ("text",)
    target_kinds = ("next-token",)
    usual_model = "gpt"
    answers_targets = True

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
        self._loss = self.chosen_loss(loss)
        self._seed, self._prompt, self._samples, self._sample_tokens = seed, prompt, samples, sample_tokens
        self._bytes_V = token_bytes(self._tokenizer)

    def training_step(self, model: nn.Module, batch: Batch, phase: Phase) -> StepOutput:
        """The mean loss over all places."""
        assert batch.targets is not None
        logits_BTV = forward(model, batch.inputs)
        return StepOutput(counted_loss(self._loss, logits_BTV, batch.targets), predictions=logits_BTV)

    def evaluation_step(self, model: nn.Module, batch: Batch) -> StepOutput:
        """The loss, and as predictions the nats of each token that counts (N,)."""
        assert batch.targets is not None
        logits_BTV = forward(model, batch.inputs).float()
        return StepOutput(
            counted_loss(self._loss, logits_BTV, batch.targets), predictions=token_nats(logits_BTV, batch.targets)
        )

    def measure(self) -> Surprise:
        """Perplexity and bits."""
        bits = "bits_per_char" if isinstance(self._tokenizer, CharTokenizer) else "bits_per_token"
        return Surprise(bits, self._bytes_V)

    def exhibits(self, model: nn.Module, source: BatchSource, folder: Path) -> list[dict[str, Any]]:
        """Texts that the network writes, from calm to daring."""
        prompt_T = self._start(source)
        if prompt_T is None or self._tokenizer is None or not hasattr(model, "generate"):
            return []
        texts = []
        for number, temperature in enumerate(t for t in _TEMPERATURES for _ in range(self._samples)):
            made_T = self._continued(model, prompt_T, self._sample_tokens, temperature, number)
            caption = say("temperature {temperature}", temperature=temperature)
            texts.append({"caption": caption, "text": self._tokenizer.decode(made_T)})
        return [{"kind": "text", "title": say("What the network writes"), "items": texts}] if texts else []

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The likeliest tokens after the last place of each input, (B, T, V) or (B, V)."""
        last_BV = outputs[:, -1] if outputs.dim() == 3 else outputs
        probability_BK, token_BK = last_BV.float().softmax(1).topk(min(_TOP, last_BV.shape[1]))
        rows = zip(token_BK.tolist(), probability_BK.tolist(), strict=True)
        return [{"next": [self._token(*pair) for pair in zip(*row, strict=True)]} for row in rows]

    def replies(self, model: nn.Module, inputs: Sequence[Any]) -> list[dict[str, Any]] | None:
        """How the network goes on with each text, and the likeliest tokens that come first."""
        if self._tokenizer is None:
            return None
        told, place = [], next(model.parameters()).device
        for text in inputs:
            if not isinstance(text, str) or not len(tokens_T := self._tokenizer.encode(text)):
                kind = "blank" if isinstance(text, str) else type(text).__name__
                raise DataError("a {kind} where text is expected; give a string", kind=kind)
            seen_T = tokens_T[-int(getattr(model, "context", len(tokens_T))) :].to(place)
            answer = self.answers(model(seen_T[None]))[0]
            if hasattr(model, "generate"):
                made_T = self._continued(model, tokens_T, _ANSWER, _WARMTH, 0)
                answer = {"continuation": self._tokenizer.decode(made_T[len(tokens_T) :]), **answer}
            told.append(answer)
        return told

    def _continued(self, model: nn.Module, prompt_T: Tensor, count: int, temperature: float, number: int) -> Tensor:
        """The prompt and what follows it, the same every time. Shapes: (T,) -> (T + new,), on the CPU."""
        generate, device = cast(Any, model.generate), next(model.parameters()).device
        dice = generator(self._seed, _SAMPLE, number)
        made_BT: Tensor = generate(prompt_T[None].to(device), count, temperature=temperature, generator=dice)
        return made_BT[0].cpu()

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
        text = token if self._tokenizer is None else self._tokenizer.decode([token], skip_special=False)
        return {"token": text, "probability": share}


def token_nats(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """The negative log-likelihood of every target that counts. Shapes: (B, T, V), (B, T) -> (N,)."""
    kept_BT = targets_BT != IGNORED
    nats_BT = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), reduction="none", ignore_index=IGNORED)
    return torch.masked_select(nats_BT, kept_BT.flatten())
