"""The cards of the language networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping
from dataclasses import replace

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

_GPT = ModelCard(
    target="netwright.models.language.gpt:GPT",
    family="language",
    kin="gpt",
    tasks=("language-modeling",),
    summary="causal Transformer with tied head, key-value cache and sampling; defaults are GPT-2 small",
    parameters=124_439_808,
    input=(1024,),
    input_kind="tokens",
    paper="Radford et al., 2019, Language models are unsupervised multitask learners",
    idea="Every place attends to the places before it, and all places predict their next token at once. Pre-norm "
    "residual blocks and a head tied to the embedding keep depth trainable and the vocabulary cheap.",
    when="Generating text or any sequence of tokens; start with 4 layers 128 wide for characters.",
    layouts="netwright.models.weights.gpt:LAYOUTS",
    aliases=("gpt2",),
)


def _gpt2(name: str, parameters: int, summary: str) -> ModelCard:
    """A published size."""
    target = f"netwright.models.language.gpt:{name}"
    return replace(_GPT, target=target, parameters=parameters, summary=summary, aliases=())


_BERT = ModelCard(
    target="netwright.models.language.bert:Bert",
    family="language",
    kin="bert",
    tasks=("text-classification", "masked-language-modeling", "question-answering"),
    summary="Transformer encoder that sees both sides of a token; classes, masked tokens, answers or a text's vector",
    parameters=109_483_778,
    input=(512,),
    input_kind="tokens",
    paper="Devlin et al., 2019, BERT: pre-training of deep bidirectional transformers for language understanding",
    idea="Some tokens are hidden and guessed from both sides, so that every hidden state comes to know its whole "
    "context. The same encoder then serves any task on texts with one small layer on top.",
    when="Understanding texts: classes, answers in a passage, or vectors to compare; best from published weights.",
    layouts="netwright.models.weights.bert:LAYOUTS",
)


def _bert(name: str, parameters: int, summary: str, paper: str = "") -> ModelCard:
    """A published size."""
    target = f"netwright.models.language.bert:{name}"
    return replace(_BERT, target=target, parameters=parameters, summary=summary, paper=paper or _BERT.paper)


_T5 = ModelCard(
    target="netwright.models.language.t5:T5",
    family="language",
    kin="t5",
    tasks=("sequence-to-sequence",),
    summary="text-to-text Transformer with relative positions; defaults are T5 small",
    parameters=60_506_624,
    input=(128,),
    input_kind="token-pairs",
    paper="Raffel et al., 2020, Exploring the limits of transfer learning with a unified text-to-text Transformer",
    idea="Every task is written as text to text, with a few words in front that name it. An encoder reads the source, "
    "a decoder writes the answer, and attention learns a bias for each distance, so that no length is out of reach.",
    when="Summaries, translation, answers or any other text from a text; best from published weights.",
    layouts="netwright.models.weights.t5:LAYOUTS",
)


def _t5(name: str, parameters: int, summary: str, *aliases: str) -> ModelCard:
    """A published size."""
    target = f"netwright.models.language.t5:{name}"
    return replace(_T5, target=target, parameters=parameters, summary=summary, aliases=aliases)


_MINIATURES = "Turc et al., 2019, Well-read students learn better: on the importance of pre-training compact models"

CARDS: Mapping[str, ModelCard] = {
    "gpt": _GPT,
    "gpt2_medium": _gpt2("gpt2_medium", 354_823_168, "GPT-2 with 24 layers 1024 wide"),
    "gpt2_large": _gpt2("gpt2_large", 774_030_080, "GPT-2 with 36 layers 1280 wide"),
    "gpt2_xl": _gpt2("gpt2_xl", 1_557_611_200, "GPT-2 with 48 layers 1600 wide"),
    "bert": _BERT,
    "bert_tiny": _bert("bert_tiny", 4_386_178, "BERT with 2 layers 128 wide", _MINIATURES),
    "bert_mini": _bert("bert_mini", 11_171_074, "BERT with 4 layers 256 wide", _MINIATURES),
    "bert_small": _bert("bert_small", 28_764_674, "BERT with 4 layers 512 wide", _MINIATURES),
    "bert_medium": _bert("bert_medium", 41_374_210, "BERT with 8 layers 512 wide", _MINIATURES),
    "bert_base": _bert("bert_base", 109_483_778, "BERT with 12 layers 768 wide"),
    "bert_large": _bert("bert_large", 335_143_938, "BERT with 24 layers 1024 wide"),
    "minilm_l6": replace(
        _bert("minilm_l6", 22_565_376, "a 6-layer BERT 384 wide whose mean state stands for the sentence's meaning"),
        paper="Wang et al., 2020, MiniLM: deep self-attention distillation; Reimers & Gurevych, 2019, Sentence-BERT",
        tasks=("text-classification",),
        when="Comparing, searching or grouping sentences, from the published weights of all-MiniLM-L6-v2.",
        aliases=("all-MiniLM-L6-v2",),
    ),
    "word2vec": ModelCard(
        target="netwright.models.sequence.word2vec:Word2Vec",
        family="sequence",
        kin="word2vec",
        tasks=("word2vec",),
        summary="vectors of words by skip-gram or CBOW with negative sampling; the vocabulary comes from the data",
        parameters=1_600_000,
        input=(10,),
        input_kind="tokens",
        paper="Mikolov et al., 2013, Distributed representations of words and phrases and their compositionality",
        idea="A word is known by the company it keeps: a vector is moved towards those of the words around it and away "
        "from words drawn at random. Words that stand in like places end up with like vectors.",
        when="Looking up related words and analogies, or starting the embedding of a small network from a large text.",
    ),
    "transformer": ModelCard(
        target="netwright.models.language.transformer:Transformer",
        family="language",
        kin="transformer",
        tasks=("sequence-to-sequence",),
        summary="the encoder-decoder of 2017, pre- or post-norm; defaults are the paper's base model",
        parameters=63_084_544,
        input=(128,),
        input_kind="token-pairs",
        paper="Vaswani et al., 2017, Attention is all you need",
        idea="Attention alone carries everything: each place of the source looks at all others at once, and each place "
        "of the target at those before it and at the source. Nothing waits for the step before, so training is fast.",
        when="Translation and other text to text from your own pairs; start with 3 layers 256 wide and norm: pre.",
    ),
    "t5": _T5,
    "t5_small": _t5("t5_small", 60_506_624, "T5 with 6 + 6 layers 512 wide"),
    "t5_base": _t5("t5_base", 222_903_552, "T5 with 12 + 12 layers 768 wide"),
    "t5_large": _t5("t5_large", 737_668_096, "T5 with 24 + 24 layers 1024 wide"),
    "t5_v1_1_small": _t5(
        "t5_v1_1_small", 76_961_152, "T5 1.1 with 8 + 8 layers 512 wide, gated, head apart", "flan_t5_small"
    ),
    "t5_v1_1_base": _t5(
        "t5_v1_1_base", 247_577_856, "T5 1.1 with 12 + 12 layers 768 wide, gated, head apart", "flan_t5_base"
    ),
}
