"""Recurrent networks: one that reads a text and names its class, one that writes, one that forecasts a series.

Elman, 1990 (rnn); Hochreiter and Schmidhuber, 1997 (lstm); Cho et al., 2014 (gru); what the cells compute, and how they
begin, is in `blocks/recurrent.py`. Dropout falls where nothing recurs: on embeddings, between layers, before the head
(Zaremba et al., 2014). ``B`` batch, ``T`` time, ``C`` channels, ``D`` width, ``V`` vocabulary, ``K`` classes.
"""

from typing import Unpack

from torch import Tensor, nn

from netwright.blocks.generation import Writing, generate_tokens, writing
from netwright.blocks.heads import TiedHead, new_head, output_layer, token_scores
from netwright.blocks.pooling import PoolingName, SequencePooling
from netwright.blocks.recurrent import CellName, Recurrent, RecurrentState
from netwright.blocks.tokens import Embedding, as_mask, check_tokens
from netwright.core.errors import ConfigError
from netwright.core.schemas import Probability, Size, preset

__all__ = [
    "RecurrentClassifier", "RecurrentForecaster", "RecurrentLanguageModel", "gru", "gru_forecaster", "gru_lm", "lstm",
    "lstm_forecaster", "lstm_lm", "rnn", "rnn_forecaster", "rnn_lm",
]  # fmt: skip


class RecurrentClassifier(nn.Module):
    """Embedding, recurrent layers, pooling over time, a linear head.

    hidden_size: units a direction. pooling: each direction's last state, the mean or the largest of all, or the
    states weighted by trained attention. dropout: on embeddings, between layers and before the head.

    Shapes:
        tokens [B, T] int64, mask [B, T] True where there is a token (None: everywhere) -> scores [B, K];
        features: [B, T, D], zeros where the mask is False

    Raises:
        ConfigError: in `forward`, a code without a vector, or a mask that does not fit.
    """

    def __init__(
        self,
        cell: CellName = "lstm",
        vocab_size: Size = 8000,
        num_classes: Size = 2,
        embedding_size: Size = 128,
        hidden_size: Size = 128,
        num_layers: Size = 1,
        bidirectional: bool = True,
        pooling: PoolingName = "attention",
        dropout: Probability = 0.3,
    ) -> None:
        super().__init__()
        self.tokens = Embedding(vocab_size, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.recurrent = Recurrent(cell, embedding_size, hidden_size, num_layers, bidirectional, dropout)
        width = self.recurrent.output_size
        self.pooling = SequencePooling(pooling, width, directions=2 if bidirectional else 1)
        self.head = output_layer(width, num_classes)

    def features(self, tokens_BT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """The states of the last layer at every place, [B, T, D]."""
        states: Tensor = self.recurrent(self.dropout(self.tokens(tokens_BT)), as_mask(mask_BT, tokens_BT))
        return states

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """Scores of the classes, [B, K]."""
        mask_BT = as_mask(mask_BT, tokens_BT)
        pooled_BD = self.pooling(self.features(tokens_BT, mask_BT), mask_BT)
        logits: Tensor = self.head(self.dropout(pooled_BD))
        return logits

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head for `num_classes` classes."""
        self.head = new_head(self.head, num_classes)


class RecurrentLanguageModel(nn.Module):
    """Predicts the next token from a state that has read all those before.

    context: tokens of a training window; what it remembers when it writes has no such bound. tied: the head scores by
    the embedding's own vectors (Press and Wolf, 2017). dropout: on embeddings, between layers and before the head.

    Initial weights: embedding and head N(0, 1 / hidden_size).

    Shapes:
        tokens [B, T] int64 -> scores of each next token [B, T, V]; features: [B, T, D]
    """

    def __init__(
        self,
        cell: CellName = "lstm",
        vocab_size: Size = 8000,
        context: Size = 128,
        hidden_size: Size = 256,
        num_layers: Size = 2,
        dropout: Probability = 0.2,
        tied: bool = True,
    ) -> None:
        super().__init__()
        self.context = context
        self.tokens = Embedding(vocab_size, hidden_size)
        nn.init.normal_(self.tokens.weight, std=hidden_size**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.recurrent = Recurrent(cell, hidden_size, hidden_size, num_layers, dropout=dropout)
        self.head: nn.Module = TiedHead()
        if not tied:
            self.reset_head(vocab_size)

    def features(self, tokens_BT: Tensor, state: RecurrentState | None = None) -> Tensor:
        """The states of the last layer, [B, T, D]; with `state`, the tokens follow those it has read."""
        check_tokens(tokens_BT)
        states: Tensor = self.recurrent(self.dropout(self.tokens(tokens_BT)), state=state)
        return states

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Scores of the token that follows each place, [B, T, V]."""
        return self._scores(self.features(tokens_BT))

    def _scores(self, hidden_BTD: Tensor) -> Tensor:
        hidden_BTD = self.dropout(hidden_BTD)
        return token_scores(self.head, hidden_BTD, self.tokens.weight)

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head of `num_classes` scores a place, not tied to the embedding."""
        like = self.tokens.weight
        self.head = nn.Linear(like.shape[1], num_classes, bias=False, device=like.device, dtype=like.dtype)
        nn.init.normal_(self.head.weight, std=like.shape[1] ** -0.5)

    def generate(
        self, tokens_BT: Tensor, max_new_tokens: int, *, mask_BT: Tensor | None = None, **how: Unpack[Writing]
    ) -> Tensor:
        """Continue each row by up to `max_new_tokens` tokens; gives prompt and continuation together.

        A step costs one token's work whatever came before. Settings: those of `blocks.generation.generate_tokens`.

        Args:
            mask_BT: prompts of several lengths are padded on the left; True where there is a token.

        Raises:
            ConfigError: no prompt, a prompt padded on the right, or settings that mean nothing.
        """
        mask_BT = as_mask(mask_BT, tokens_BT)

        def step(new_BT: Tensor, state: RecurrentState | None) -> tuple[Tensor, RecurrentState]:
            if state is None:
                state = RecurrentState()
                new_BT = new_BT if mask_BT is None else self._read_unevenly(new_BT, mask_BT, state)
            return self._scores(self.features(new_BT, state)[:, -1]), state

        with writing(self):
            return generate_tokens(step, tokens_BT, max_new_tokens, mask_BT=mask_BT, **how)

    def _read_unevenly(self, tokens_BT: Tensor, mask_BT: Tensor, state: RecurrentState) -> Tensor:
        """Read place by place while some row is still padded; gives what is left, where none is."""
        padded = int((~mask_BT).sum(dim=1).max())
        for place in range(padded):
            before = RecurrentState(state.layers)
            self.features(tokens_BT[:, place : place + 1], state)
            state.keep(mask_BT[:, place], before)
        return tokens_BT[:, padded:]


class RecurrentForecaster(nn.Module):
    """Reads a window of a series and gives all values that follow at once, from the last state.

    num_classes: numbers of a forecast, the horizon's steps times the targets. dropout: between layers and before the
    head.

    Shapes:
        series [B, T, C] -> forecast [B, num_classes], step after step; features: [B, T, D]

    Raises:
        ConfigError: in `features`, another number of channels.
    """

    def __init__(
        self,
        cell: CellName = "lstm",
        in_channels: Size = 1,
        num_classes: Size = 1,
        hidden_size: Size = 64,
        num_layers: Size = 2,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.recurrent = Recurrent(cell, in_channels, hidden_size, num_layers, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = output_layer(hidden_size, num_classes)

    def features(self, series_BTC: Tensor) -> Tensor:
        """The states of the last layer, [B, T, D]."""
        if series_BTC.dim() != 3 or series_BTC.shape[2] != self.in_channels:
            got = "x".join(map(str, series_BTC.shape[1:]))
            template = (
                "the forecaster takes series [batch, time, {channels}], got [batch, {got}]; set model.in_channels"
            )
            raise ConfigError(template, channels=self.in_channels, got=got)
        states: Tensor = self.recurrent(series_BTC)
        return states

    def forward(self, series_BTC: Tensor) -> Tensor:
        """The values that follow, [B, num_classes]."""
        forecast: Tensor = self.head(self.dropout(self.features(series_BTC)[:, -1]))
        return forecast

    def reset_head(self, num_classes: int) -> None:
        """Put a fresh head for `num_classes` numbers."""
        self.head = new_head(self.head, num_classes)


rnn = preset(RecurrentClassifier, "rnn", cell="rnn")
lstm = preset(RecurrentClassifier, "lstm", cell="lstm")
gru = preset(RecurrentClassifier, "gru", cell="gru")

rnn_lm = preset(RecurrentLanguageModel, "rnn_lm", cell="rnn")
lstm_lm = preset(RecurrentLanguageModel, "lstm_lm", cell="lstm")
gru_lm = preset(RecurrentLanguageModel, "gru_lm", cell="gru")

rnn_forecaster = preset(RecurrentForecaster, "rnn_forecaster", cell="rnn")
lstm_forecaster = preset(RecurrentForecaster, "lstm_forecaster", cell="lstm")
gru_forecaster = preset(RecurrentForecaster, "gru_forecaster", cell="gru")
