"""Methods and trials that are small enough to look into."""

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

import envs
from metarl.algorithms import ALGORITHMS, config_class, make_algorithm
from metarl.algorithms.adam_updates import Clipped, Reptile
from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.promp import ProMP
from metarl.algorithms.trust_region_update import TrustRegion
from metarl.core.inner_step import for_tasks
from metarl.core.meta_gradient import meta_gradient
from metarl.core.replay import by_slot, remembered
from metarl.core.types import Batch, Params, Rollout, State, Transition, Trial
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect

N, E, T = 3, 6, 8
CPU = torch.device("cpu")
ADDRESSES = [Address(3, task) for task in range(N)]
OBSERVATIONS = Box(-np.inf, np.inf, (2,), np.float64)
GRADIENT_BASED = [name for name, entry in ALGORITHMS.items() if entry.pair]


def make(name: str, actions: Box | Discrete | None = None, **options: Any) -> Any:
    """A method with a policy of 8 hidden units; two observations and, by default, two continuous actions."""
    config = config_class(name, options)(**{"hidden": (8,), **options})
    return make_algorithm(name, config, Spaces(OBSERVATIONS, actions or Box(-1, 1, (2,), np.float64)), CPU)


def descended(algorithm: Any, meta: Params, support: tuple[Batch, ...], query: Batch, penalty: float = 0.1) -> Params:
    """What an update of a gradient method goes down, before it is shortened or made a trust-region step."""
    outer = algorithm.outer
    if isinstance(outer, TrustRegion):
        return outer.gradient(meta, algorithm.inner.adaptation(meta, support, len(query.mask)), support, query)[0]
    if isinstance(outer, Reptile):
        return outer.direction(meta, support, query)
    if isinstance(outer, ProMP):  # whose penalty needs what the rounds were sampled from
        sampled = for_tasks(outer.sampled_from, shared=[0])(meta, support)
        coefficients = torch.full((len(query.mask),), penalty, dtype=query.mask.dtype)
        return meta_gradient(outer.penalised, meta, sampled, query, coefficients)[0]
    judge = outer.judge if isinstance(outer, Clipped) else algorithm.learned.judge
    return algorithm.inner.meta_gradient(judge, meta, support, query)[0]


def navigate(algorithm: Any, state: State) -> Trial:
    """A trial on the plane; episodes of different lengths."""
    env = envs.make("point-nav", num_tasks=N, lanes_per_task=E, horizon=T, ends="near-goal")
    return collect(env, algorithm, state, algorithm.rounds, Address(1))


def wander(algorithm: Any, state: State) -> Trial:
    """A trial on a grid, whose five actions are discrete; all episodes of one length."""
    env = envs.make("grid-navi", num_tasks=N, lanes_per_task=E, horizon=T)
    return collect(env, algorithm, state, algorithm.rounds, Address(1))


def imagine(algorithm: Any, state: State) -> Trial:
    """A trial on random observations and rewards; its actions may be discrete."""
    random = torch.Generator().manual_seed(0)
    acting = algorithm.acting(state)
    memory, rollouts = algorithm.begin(acting, ADDRESSES, E), []
    for _ in range(algorithm.rounds):
        observation = torch.randn(N, E * T, 2, generator=random)
        discrete = not hasattr(algorithm.learned.model, "log_std")
        noise = torch.rand(N, E * T, *([] if discrete else [2]), generator=random)
        action, memory = algorithm.act(acting, memory, observation, torch.ones(N, E * T, dtype=torch.bool), noise)
        flags = torch.zeros(N, E, T, dtype=torch.bool)
        rollout = Rollout(
            observation=observation.reshape(N, E, T, 2),
            action=action.action.reshape(N, E, T, *action.action.shape[2:]),
            log_probability=action.log_probability.reshape(N, E, T),
            reward=torch.randn(N, E, T, generator=random),
            terminated=flags,
            truncated=flags,
            first=flags,
            mask=torch.ones(N, E, T),
            next_observation=torch.randn(N, E, T, 2, generator=random),
        )
        rollouts.append(rollout)
        memory = algorithm.adapt(state, memory, rollout)
    return Trial(rollouts)


def uneven(algorithm: Any, state: State, rounds: int, horizon: int, seen: int = 2) -> Trial:
    """A trial on random observations, of so many numbers `seen`, and rewards, whose episodes have any length; for
    methods with an `actor`."""
    random = torch.Generator().manual_seed(0)
    acting = algorithm.acting(state)
    memory, rollouts = algorithm.begin(acting, ADDRESSES, E), []
    for _ in range(rounds):
        length = torch.randint(1, horizon + 1, (N, E), generator=random)
        steps = []
        for t in range(horizon):
            observation = torch.randn(N, E, seen, generator=random)
            continuous = hasattr(algorithm.actor, "log_std")
            noise = torch.randn(N, E, 2, generator=random) if continuous else torch.rand(N, E, generator=random)
            live = t < length
            action, memory = algorithm.act(acting, memory, observation, live, noise)
            ended = t == length - 1
            reward = torch.randn(N, E, generator=random) * live
            first = live & torch.tensor(t == 0)
            following = torch.randn(N, E, seen, generator=random)
            step = Transition(observation, *action, reward, ended, ended & False, first, live.float(), following)
            memory = algorithm.observe(acting, memory, step)
            steps.append(step)
        rollouts.append(Rollout(*(torch.stack(field, dim=2) for field in zip(*steps, strict=True))))
        memory = algorithm.adapt(state, memory, rollouts[-1])
    return Trial(rollouts)


def with_rewards(trial: Trial, reward: Any) -> Trial:
    """The same trial with other rewards: a function of each rollout."""
    return Trial([rollout._replace(reward=reward(rollout)) for rollout in trial.rollouts])


def tensors(value: Any) -> list[torch.Tensor]:
    """All tensors of a state or a trial."""
    leaves: list[Any] = torch.utils._pytree.tree_leaves(value)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def copies(value: Any) -> list[torch.Tensor]:
    """What all tensors of a state or a trial hold now."""
    return [tensor.clone() for tensor in tensors(value)]


def counted(state: State, trial: Trial) -> State:
    """A state without the slots of its replay that count for nothing: room for the next trial like this one."""
    if "replay" not in state:
        return state
    N, E, T = trial.rollouts[0].mask.shape
    steps = E * T * len(trial.rollouts)
    slots = remembered(state["replay"], N, steps)
    rooms = {name: by_slot(room, steps)[slots] for name, room in state["replay"].items() if name != "meetings"}
    return {**state, "replay": {**rooms, "meetings": state["replay"]["meetings"]}}


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    """Bit for bit, where a NaN equals a NaN."""
    return len(a) == len(b) and all(
        torch.equal(x.nan_to_num(12345.0), y.nan_to_num(12345.0)) for x, y in zip(a, b, strict=True)
    )


def doubled(value: Any) -> Any:
    """The same state or batch in double precision."""
    return torch.utils._pytree.tree_map(lambda x: x.double() if x.is_floating_point() else x, value)
