"""The cards of the policy networks. Imports no torch: listing must be instant."""

from collections.abc import Mapping
from typing import Any

from netwright.models.card import ModelCard

__all__ = ["CARDS"]

_DQN: dict[str, Any] = {"family": "policy", "kin": "dqn", "tasks": ("q-learning",)}
_Q_PAPER = "Mnih et al., 2015, Human-level control through deep reinforcement learning"

CARDS: Mapping[str, ModelCard] = {
    "actor_critic": ModelCard(
        target="netwright.models.policy.actor_critic:ActorCritic",
        family="policy",
        tasks=("actor-critic", "policy-gradient"),
        summary="a distribution over actions and the value of the state; for A2C and PPO, or as a learned baseline",
        parameters=9_155,
        input=(4,),
        paper="Mnih et al., 2016, Asynchronous methods for deep reinforcement learning",
        idea="The actor says what to do, the critic what return to expect. An action that turned out better than the "
        "critic expected becomes more likely, one that turned out worse less.",
        when="Discrete or continuous actions, and a simulator that is quick enough to be asked anew for every update.",
    ),
    "dqn": ModelCard(
        target="netwright.models.policy.dqn:DQN",
        summary="value of every action from an observation; plain or dueling head, convolutions for pictures",
        parameters=10_934,
        input=(4,),
        paper=_Q_PAPER,
        idea="One network gives the expected return of all actions at once, learned by bootstrapping from its own "
        "later estimates. Replay and a slowly following copy keep that stable.",
        when="Few discrete actions, and a simulator cheap enough for many steps.",
        **_DQN,
    ),
    "dqn_atari": ModelCard(
        target="netwright.models.policy.dqn:dqn_atari",
        summary="the Q-network of the Atari games: three convolutions on four frames of 84x84",
        parameters=1_686_180,
        input=(4, 84, 84),
        paper=_Q_PAPER,
        idea="Convolutions see what is where, and stacked frames how it moves: one design learned 49 games from their "
        "pictures alone.",
        when="Observations that are pictures, a few of them stacked so that motion can be seen.",
        **_DQN,
    ),
    "dqn_dueling": ModelCard(
        target="netwright.models.policy.dqn:dqn_dueling",
        summary="a Q-network that tells the value of a state from the advantages of its actions",
        parameters=11_019,
        input=(4,),
        paper="Wang et al., 2016, Dueling network architectures for deep reinforcement learning",
        idea="A state's value is learnt from every action that is tried in it, and only how actions differ needs each "
        "of them.",
        when="Many actions that matter little in most states.",
        **_DQN,
    ),
    "policy": ModelCard(
        target="netwright.models.policy.policy:Policy",
        family="policy",
        tasks=("policy-gradient",),
        summary="a distribution over actions, be they a fixed set or numbers; for REINFORCE",
        parameters=4_610,
        input=(4,),
        paper="Williams, 1992, Simple statistical gradient-following algorithms for connectionist reinforcement "
        "learning",
        idea="Make what was done more likely in proportion to the return that followed. No value of anything is "
        "estimated, so nothing can be wrong but by chance.",
        when="Short episodes; to understand what actor-critic methods improve on.",
    ),
}
