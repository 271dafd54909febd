"""The cards of the language networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

CARDS: Mapping[str, ModelCard] = {
    "gpt": ModelCard(
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
    ),
}
