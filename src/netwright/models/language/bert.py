"""BERT: a Transformer encoder that reads a text in both directions at once, and its heads.

Devlin et al., 2019, "BERT: pre-training of deep bidirectional transformers for language understanding", whose
mathematics this is: post-norm blocks, learned positions, a vector for each of two segments, exact GELU. The small
sizes: Turc et al., 2019, "Well-read students learn better". MiniLM: Wang et al., 2020, "MiniLM"; its sentence vectors:
Reimers & Gurevych, 2019, "Sentence-BERT". ``B`` batch, ``T`` time, ``D`` width, ``V`` vocabulary, ``K`` classes.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.blocks.activations import ActivationName, activation
from netwright.blocks.attention import SelfAttention, check_heads
from netwright.blocks.feedforward import FeedForward
from netwright.blocks.positions import LearnedPositions
from netwright.blocks.tokens import Embedding, as_mask
from netwright.core.errors import ConfigError
from netwright.core.schemas import Positive, Probability, Size, preset

__all__ = [
    "Bert", "BertBlock", "BertTask", "MaskedHead", "SpanHead", "bert_base", "bert_large", "bert_medium", "bert_mini",
    "bert_small", "bert_tiny", "mean_over", "minilm_l6",
]  # fmt: skip

BertTask = Literal["classification", "masked-language-modeling", "question-answering", "embedding"]

_INIT_STD = 0.02  # the paper's code draws it from a truncated normal; two deviations make no difference here
_CLASSES = 2  # of a classifier that nobody told
_HEADS = {  # beginnings of the names that each head has, and that a network with another head does without
    "classification": ("pooler.", "head.weight", "head.bias"),
    "masked-language-modeling": ("head.transform.", "head.norm.", "head.output_bias", "cls."),
    "question-answering": ("head.span.",),
    "embedding": ("head.weight", "head.bias"),
}


class BertBlock(nn.Module):
    """norm(x + attention(x)), then norm(x + feed_forward(x)).

    Shapes:
        [B, T, D] -> [B, T, D]; mask_BT is True where there is a token
    """

    def __init__(
        self, hidden_size: int, num_heads: int, inner_size: int, dropout: float, norm_eps: float,
        activation_name: ActivationName = "gelu",
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention = SelfAttention(hidden_size, num_heads, dropout=dropout)
        self.attention_norm = nn.LayerNorm(hidden_size, norm_eps)
        self.feed_forward = FeedForward(hidden_size, inner_size, activation_name, dropout)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, norm_eps)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        x_BTD = self.attention_norm(x_BTD + self.attention(x_BTD, mask_BT))
        out: Tensor = self.feed_forward_norm(x_BTD + self.feed_forward(x_BTD))
        return out


class MaskedHead(nn.Module):
    """Scores of all tokens: a layer more, then the embedding's own vectors and a bias a token.

    It takes any number of places, so that a loss over the masked ones need not score the others.

    Shapes:
        hidden [..., D], embedding [V, D] -> [..., V]
    """

    def __init__(
        self, hidden_size: int, vocab_size: int, norm_eps: float, activation_name: ActivationName = "gelu"
    ) -> None:
        super().__init__()
        self.transform = nn.Linear(hidden_size, hidden_size)
        self.activation = activation(activation_name)
        self.norm = nn.LayerNorm(hidden_size, norm_eps)
        self.output_bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, embedding_VD: Tensor) -> Tensor:
        return F.linear(self.norm(self.activation(self.transform(hidden))), embedding_VD, self.output_bias)


class SpanHead(nn.Module):
    """For each place a score that the answer begins there, and one that it ends there (section 4.2).

    Shapes:
        [B, T, D] -> [B, 2, T]
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.span = nn.Linear(hidden_size, 2)

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        return self.span(hidden_BTD).transpose(1, 2)  # type: ignore[no-any-return]


def mean_over(hidden_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
    """The mean of the hidden states where there is a token. Shapes: [B, T, D], [B, T] -> [B, D]."""
    if mask_BT is None:
        return hidden_BTD.mean(1)
    weight_BT1 = mask_BT[..., None].to(hidden_BTD.dtype)
    return (hidden_BTD * weight_BT1).sum(1) / weight_BT1.sum(1).clamp(min=1.0)


class Bert(nn.Module):
    """The encoder with one head; the defaults are BERT base.

    task: what the head is for, and so what the network gives:
        `classification`: scores of classes of the text, from its first place (`[CLS]`) through a layer with tanh;
        `masked-language-modeling`: scores of all tokens at each place;
        `question-answering`: scores of the answer's beginning and end at each place;
        `embedding`: a vector of length 1 for the text, the mean over its places; with `num_classes` given, scores of
        classes by a linear layer on that mean.
    num_classes: by default 2 for `classification`. context: the most tokens of a text. segments: kinds of tokens, such
    as question and context. dropout: on embeddings, attention and both residual branches. activation: of the blocks
    and of the masked head.

    Shapes:
        tokens [B, T] int64 with T <= context, mask [B, T] True where there is a token (everywhere, if None), segments
        [B, T] int64 (all 0, if None) -> [B, K]; [B, T, V]; [B, 2, T]; or [B, D]. features: [B, T, D]

    Raises:
        ConfigError: `num_heads` does not divide `hidden_size`; in `forward`, more tokens than `context`, a code without
            a vector, or a mask that does not fit.
    """

    def __init__(
        self,
        vocab_size: Size = 30522,
        num_classes: Size | None = None,
        task: BertTask = "classification",
        context: Size = 512,
        num_layers: Size = 12,
        num_heads: Size = 12,
        hidden_size: Size = 768,
        inner_size: Size = 3072,
        segments: Size = 2,
        dropout: Probability = 0.1,
        norm_eps: Positive = 1e-12,
        activation: ActivationName = "gelu",
    ) -> None:
        super().__init__()
        check_heads(num_heads, hidden_size)
        self.task, self.context = task, context
        self.tokens = Embedding(vocab_size, hidden_size)
        self.positions = LearnedPositions(context, hidden_size)
        self.segments = Embedding(segments, hidden_size, "segments")
        self.norm = nn.LayerNorm(hidden_size, norm_eps)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            BertBlock(hidden_size, num_heads, inner_size, dropout, norm_eps, activation) for _ in range(num_layers)
        )
        self.pooler = nn.Linear(hidden_size, hidden_size) if task == "classification" else None
        self.head = self._new_head(num_classes, norm_eps, activation)
        self.apply(_init)
        # What `load_pretrained` may leave out of a file, and what it may leave as it is where a file has none of it.
        others = {name for heads in _HEADS.values() for name in heads} - set(_HEADS[task])
        self.spare_weights = (*sorted(others), "next_sentence.")
        self.fresh_weights = ("head.", "pooler.")

    def _new_head(self, num_classes: int | None, norm_eps: float, activation_name: ActivationName) -> nn.Module:
        vocab_size, hidden_size = self.tokens.weight.shape
        if self.task == "masked-language-modeling":
            return MaskedHead(hidden_size, vocab_size, norm_eps, activation_name)
        if self.task == "question-answering":
            return SpanHead(hidden_size)
        if self.task == "embedding" and num_classes is None:
            return nn.Identity()
        return nn.Linear(hidden_size, num_classes or _CLASSES)

    def features(self, tokens_BT: Tensor, mask_BT: Tensor | None = None, segments_BT: Tensor | None = None) -> Tensor:
        """Hidden states after the last block, [B, T, D]; those where there is no token mean nothing."""
        mask_BT = as_mask(mask_BT, tokens_BT)
        time = tokens_BT.shape[1]
        if time > self.context:
            raise ConfigError(
                "{got} tokens are more than model.context={context}; use shorter windows, or a larger context",
                got=time, context=self.context,
            )  # fmt: skip
        kind = self.segments.weight[0] if segments_BT is None else self.segments(segments_BT)
        x_BTD: Tensor = self.dropout(self.norm(self.tokens(tokens_BT) + self.positions(time) + kind))
        for block in self.blocks:
            x_BTD = block(x_BTD, mask_BT)
        return x_BTD

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor | None = None, segments_BT: Tensor | None = None) -> Tensor:
        """What the head says; see the class."""
        hidden_BTD, out = self.features(tokens_BT, mask_BT, segments_BT), self.head
        if self.pooler is not None:
            out_BK: Tensor = out(self.dropout(torch.tanh(self.pooler(hidden_BTD[:, 0]))))
            return out_BK
        if self.task == "embedding":
            mean_BD = mean_over(hidden_BTD, mask_BT)
            if not isinstance(out, nn.Identity):
                scores: Tensor = out(mean_BD)
                return scores
            return F.normalize(mean_BD, dim=1, eps=torch.finfo(mean_BD.dtype).tiny)  # the usual one is 0 in float16
        scores = out(hidden_BTD, self.tokens.weight) if isinstance(out, MaskedHead) else out(hidden_BTD)
        return scores

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh linear head: `num_classes` scores a text, or a place where the old head scored every place."""
        like = self.tokens.weight
        self.head = nn.Linear(like.shape[1], num_classes, device=like.device, dtype=like.dtype)
        _init(self.head)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=_INIT_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


bert_tiny = preset(Bert, "bert_tiny", num_layers=2, num_heads=2, hidden_size=128, inner_size=512)
bert_mini = preset(Bert, "bert_mini", num_layers=4, num_heads=4, hidden_size=256, inner_size=1024)
bert_small = preset(Bert, "bert_small", num_layers=4, num_heads=8, hidden_size=512, inner_size=2048)
bert_medium = preset(Bert, "bert_medium", num_layers=8, num_heads=8, hidden_size=512, inner_size=2048)
bert_base = preset(Bert, "bert_base")
bert_large = preset(Bert, "bert_large", num_layers=24, num_heads=16, hidden_size=1024, inner_size=4096)
minilm_l6 = preset(
    Bert, "minilm_l6", task="embedding", num_layers=6, num_heads=12, hidden_size=384, inner_size=1536
)  # fmt: skip
