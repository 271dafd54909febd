"""The cards of the policy networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

CARDS: Mapping[str, ModelCard] = {
    "dqn": ModelCard(
        target="netwright.models.policy.dqn:DQN",
        family="policy",
        kin="dqn",
        tasks=("q-learning",),
        summary="value of every action from an observation; plain or dueling head",
        parameters=10_934,
        input=(4,),
        paper="Mnih et al., 2015, Human-level control through deep reinforcement learning",
        idea="One network gives the expected return of all actions at once, learned by bootstrapping from its own "
        "later estimates. Replay and a slowly following copy keep that stable.",
        when="Few discrete actions, observations that are short vectors, and a simulator cheap enough for many steps.",
    ),
}
