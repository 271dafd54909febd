"""Environments by name: making them, what they show and take as tensors, and their schema.

Gymnasium (the extra `rl`) is imported only when an environment is wanted.
"""

import difflib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import ConfigError, DataError, MissingExtra, need
from netwright.core.messages import say
from netwright.data.schema import Schema, Target

__all__ = ["action_count", "environment_schema", "make", "observer"]


def make(name: str) -> Any:
    """A new environment (`gymnasium.Env`).

    Raises:
        MissingExtra: Gymnasium, or a library this environment needs, is not installed.
        ConfigError: no environment of that name; says the nearest.
        DataError: the environment itself cannot start.
    """
    gym = need("gymnasium", "rl")
    try:
        return gym.make(name)
    except gym.error.DependencyNotInstalled as error:
        template = "environment {name} needs more than gymnasium ({error}); install that, or choose CartPole-v1"
        raise MissingExtra(template, name=name, error=str(error).replace("\n", " ")) from error
    except (gym.error.UnregisteredEnv, gym.error.DeprecatedEnv, gym.error.Error) as error:
        if name in gym.registry:
            template = "environment {name} cannot start ({error}); try gymnasium.make({name!r}) by itself"
            raise DataError(template, name=name, error=error) from error
        template, near = "unknown environment {name!r}; {near}", _near(name, list(gym.registry))
        raise ConfigError(template, path="data.environment", name=name, near=near) from None


def environment_schema(name: str, discrete: bool = True) -> Schema:
    """What a network for this environment must take and give.

    Args:
        discrete: whether the task chooses among a fixed set of actions (Q-learning); otherwise each dimension of a
            continuous action has a name.

    Raises:
        ConfigError: unknown name, or actions that the task cannot take.
        MissingExtra: see `make`.
    """
    environment = make(name)
    try:
        shape, dtype = _observation(environment.observation_space)
        if _is_discrete(environment.action_space):
            count = action_count(name, environment.action_space)
            target = Target("action", classes=tuple(str(action) for action in range(count)))
        elif discrete:
            action_count(name, environment.action_space)  # says why not
        else:
            dimensions = math.prod(environment.action_space.shape)
            target = Target("action", names=tuple(f"action[{i}]" for i in range(dimensions)))
    finally:
        environment.close()
    return Schema("environment", shape, str(dtype).removeprefix("torch."), target)


def action_count(name: str, space: Any) -> int:
    """How many actions there are to choose from.

    Raises:
        ConfigError: they are not a fixed set.
    """
    if _is_discrete(space):
        return int(space.n)
    template = "environment {name} takes actions of {space}, and q-learning needs a fixed set of them; {do}"
    do = say("choose one such as CartPole-v1 or LunarLander-v3")
    raise ConfigError(template, path="data.environment", name=name, space=space, do=do)


def observer(space: Any) -> Callable[[Any], Tensor]:
    """How observations of this space become tensors (O,): numbers as float32, pictures as uint8 of their own shape, and
    everything else flattened (classes one-hot).
    """
    shape, dtype = _observation(space)
    if _is_box(space):
        return lambda raw: torch.as_tensor(np.asarray(raw)).to(dtype, copy=True).reshape(shape)
    flatten = need("gymnasium.spaces.utils", "rl").flatten
    return lambda raw: torch.as_tensor(np.asarray(flatten(space, raw))).to(dtype).reshape(shape)


def _observation(space: Any) -> tuple[tuple[int, ...], torch.dtype]:
    if _is_box(space):
        shape = tuple(int(size) for size in space.shape)
        return shape or (1,), torch.uint8 if space.dtype == np.uint8 else torch.float32
    return (int(need("gymnasium.spaces.utils", "rl").flatdim(space)),), torch.float32


def _is_box(space: Any) -> bool:
    return isinstance(space, need("gymnasium.spaces", "rl").Box)


def _is_discrete(space: Any) -> bool:
    return isinstance(space, need("gymnasium.spaces", "rl").Discrete)


def _near(name: str, known: list[str]) -> str:
    folded = {candidate.lower(): candidate for candidate in known}
    near = [folded[match] for match in difflib.get_close_matches(str(name).lower(), folded, n=3, cutoff=0.5)]
    if near:
        return say("did you mean {names}?", names=", ".join(near))
    return say("gymnasium's registry lists {count} environments, such as CartPole-v1 and Acrobot-v1", count=len(known))
