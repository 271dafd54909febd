"""Environments by name: making them, what they show and take as tensors, and their schema.

Gymnasium (the extra `rl`) is imported only when an environment is wanted.
"""

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import ConfigError, DataError, MissingExtra, need
from netwright.core.messages import say
from netwright.data.schema import Schema, Target

__all__ = ["Actions", "actions_of", "environment_schema", "make", "observer"]


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


@dataclass(frozen=True)
class Actions:
    """What an environment takes: one of `count` actions, or `count` numbers, each between a `low` and a `high`.

    `convert` makes the environment's own of an action's place or of its numbers; numbers beyond their bounds become the
    nearest that is allowed. `space` is what the environment calls it all.
    """

    count: int
    convert: Callable[[Any], Any]
    space: str
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @property
    def continuous(self) -> bool:
        """Whether an action is numbers."""
        return bool(self.low)


def environment_schema(name: str) -> Schema:
    """What a network for this environment must take and give.

    Raises:
        ConfigError: unknown name, or actions that are neither a fixed set nor numbers.
        MissingExtra: see `make`.
    """
    environment = make(name)
    try:
        shape, dtype = _observation(environment.observation_space)
        actions = actions_of(name, environment.action_space)
    finally:
        environment.close()
    if actions.continuous:
        names = tuple(f"action[{i}]" for i in range(actions.count))
        target = Target("control", names=names, low=actions.low, high=actions.high)
    else:
        target = Target("action", classes=tuple(str(action) for action in range(actions.count)))
    return Schema("environment", shape, str(dtype).removeprefix("torch."), target)


def actions_of(name: str, space: Any) -> Actions:
    """What may be done in an environment.

    Raises:
        ConfigError: neither one of a fixed set nor numbers.
    """
    if isinstance(space, need("gymnasium.spaces", "rl").Discrete):
        first = int(space.start)  # a few environments count actions from elsewhere
        return Actions(int(space.n), lambda action: np.int64(action + first), str(space))
    if _is_box(space) and np.issubdtype(space.dtype, np.floating) and math.prod(space.shape):
        # no infinity: JSON has none, and no float32 is beyond
        with np.errstate(over="ignore"):
            low, high = (np.nan_to_num(bound.astype(np.float32)) for bound in (space.low, space.high))
        bounds = tuple(low.flatten().tolist()), tuple(high.flatten().tolist())

        def convert(numbers: Any) -> Any:
            return np.clip(np.asarray(numbers, np.float32).reshape(space.shape), low, high).astype(space.dtype)

        return Actions(math.prod(space.shape), convert, str(space), *bounds)
    template = "environment {name} takes actions of {space}; expected one of a fixed set, or numbers; {do}"
    do = say("choose one such as CartPole-v1 or Pendulum-v1")
    raise ConfigError(template, path="data.environment", name=name, space=space, do=do)


def observer(space: Any) -> Callable[[Any], Tensor]:
    """How observations of this space become tensors (O,): numbers as float32, bytes as uint8, and everything else
    flattened (classes one-hot). Pictures become (C, H, W): of three dimensions the last are the channels where it is
    the smallest, and bytes in two dimensions are a picture of one channel.
    """
    shape, dtype = _observation(space)
    if _is_box(space):
        moved = _channels_last(space)

        def numbers(raw: Any) -> Tensor:
            made = torch.as_tensor(np.asarray(raw)).to(dtype, copy=True)
            return made.permute(2, 0, 1).contiguous() if moved else made.reshape(shape)

        return numbers
    flatten = need("gymnasium.spaces.utils", "rl").flatten
    return lambda raw: torch.as_tensor(np.asarray(flatten(space, raw))).to(dtype).reshape(shape)


def _observation(space: Any) -> tuple[tuple[int, ...], torch.dtype]:
    if not _is_box(space):
        return (int(need("gymnasium.spaces.utils", "rl").flatdim(space)),), torch.float32
    shape = tuple(int(size) for size in space.shape)
    dtype = torch.uint8 if space.dtype == np.uint8 else torch.float32
    if len(shape) == 2 and dtype == torch.uint8:
        return (1, *shape), dtype
    return ((shape[2], *shape[:2]) if _channels_last(space) else shape or (1,)), dtype


def _channels_last(space: Any) -> bool:
    return len(space.shape) == 3 and int(space.shape[2]) < min(space.shape[:2])


def _is_box(space: Any) -> bool:
    return isinstance(space, need("gymnasium.spaces", "rl").Box)


def _near(name: str, known: list[str]) -> str:
    folded = {candidate.lower(): candidate for candidate in known}
    near = [folded[match] for match in difflib.get_close_matches(str(name).lower(), folded, n=3, cutoff=0.5)]
    if near:
        return say("did you mean {names}?", names=", ".join(near))
    return say("gymnasium's registry lists {count} environments, such as CartPole-v1 and Acrobot-v1", count=len(known))
