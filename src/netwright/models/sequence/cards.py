"""The cards of the recurrent networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping
from dataclasses import replace

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

_RNN = ModelCard(
    target="netwright.models.sequence.rnn:rnn",
    family="sequence",
    kin="rnn",
    tasks=("text-classification",),
    summary="text classifier on plain recurrent layers (tanh), both directions, attention pooling",
    parameters=1_156_610,
    input=(64,),
    input_kind="tokens",
    paper="Elman, 1990, Finding structure in time",
    idea="One state is carried along the text and mixed with each token by the same weights. What lies far back has to "
    "survive every step in between, and mostly does not: gradients vanish.",
    when="Seeing what gates are for; for work take gru or lstm.",
    aliases=("elman",),
)

_LSTM = replace(
    _RNN,
    target="netwright.models.sequence.rnn:lstm",
    kin="lstm",
    summary="text classifier on LSTM layers, both directions, attention pooling",
    parameters=1_354_754,
    paper="Hochreiter & Schmidhuber, 1997, Long short-term memory",
    idea="A cell beside the state is only added to and gated: an input, a forget and an output gate decide what is "
    "written, kept and shown. Along the cell the gradient passes many steps unharmed.",
    when="Classifying texts from scratch with a few thousand examples, in minutes on a CPU.",
    aliases=(),
)

_GRU = replace(
    _LSTM,
    target="netwright.models.sequence.rnn:gru",
    kin="gru",
    summary="text classifier on GRU layers, both directions, attention pooling",
    parameters=1_288_706,
    paper="Cho et al., 2014, Learning phrase representations using RNN encoder-decoder",
    idea="One gate both forgets and writes, another decides how much of the state the new content may see. It does "
    "nearly all that an LSTM does with three quarters of its weights and no second memory.",
    when="Where an LSTM would do and speed or size counts; often as good on short texts.",
)


_LSTM_LM = replace(
    _LSTM,
    target="netwright.models.sequence.rnn:lstm_lm",
    tasks=("language-modeling",),
    summary="language model on LSTM layers, tied head; a step costs the same however long the text",
    parameters=3_100_672,
    input=(128,),
    when="Writing characters or words with little memory and no bound on length; gpt learns more from much text.",
)

_LSTM_FORECASTER = replace(
    _LSTM,
    target="netwright.models.sequence.rnn:lstm_forecaster",
    tasks=("forecasting",),
    summary="forecasts a time series by LSTM layers, the whole horizon at once",
    parameters=50_497,
    input=(48, 1),
    input_kind="float",
    when="Series with a season and covariates, some thousand steps or more; compare with the naive forecast.",
)


def _with_cell(base: ModelCard, other: ModelCard) -> ModelCard:
    """The card of a network like `base` with the cell of `other`."""
    return replace(base, kin=other.kin, paper=other.paper, idea=other.idea)


CARDS: Mapping[str, ModelCard] = {
    "rnn": _RNN,
    "lstm": _LSTM,
    "gru": _GRU,
    "rnn_lm": replace(
        _with_cell(_LSTM_LM, _RNN),
        target="netwright.models.sequence.rnn:rnn_lm",
        parameters=2_311_168,
        summary="language model on plain recurrent layers, tied head",
    ),
    "lstm_lm": _LSTM_LM,
    "gru_lm": replace(
        _with_cell(_LSTM_LM, _GRU),
        target="netwright.models.sequence.rnn:gru_lm",
        parameters=2_837_504,
        summary="language model on GRU layers, tied head",
    ),
    "rnn_forecaster": replace(
        _with_cell(_LSTM_FORECASTER, _RNN),
        target="netwright.models.sequence.rnn:rnn_forecaster",
        parameters=12_673,
        summary="forecasts a time series by plain recurrent layers",
    ),
    "lstm_forecaster": _LSTM_FORECASTER,
    "gru_forecaster": replace(
        _with_cell(_LSTM_FORECASTER, _GRU),
        target="netwright.models.sequence.rnn:gru_forecaster",
        parameters=37_889,
        summary="forecasts a time series by GRU layers",
    ),
    "seq2seq": ModelCard(
        target="netwright.models.sequence.seq2seq:Seq2Seq",
        family="sequence",
        kin="seq2seq",
        tasks=("sequence-to-sequence",),
        summary="recurrent encoder (both directions) and decoder with additive, dot or no attention",
        parameters=4_417_024,
        input=(64,),
        input_kind="token-pairs",
        paper="Sutskever et al., 2014, Sequence to sequence learning with neural networks; Bahdanau et al., 2015; "
        "Luong et al., 2015",
        idea="One recurrent network reads the source, another writes the target from where it ended. Attention lets "
        "every step of the writer look back at all states of the reader, so a long sentence need not fit one vector.",
        when="Translation or rewriting of short texts from tens of thousands of pairs; shows what it looked at.",
        aliases=("rnn_encoder_decoder",),
    ),
}
