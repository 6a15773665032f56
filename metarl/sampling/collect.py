"""An agent meets tasks: `K + 1` rounds of one episode in every lane, adapting in between.

This is the only place where agents and environments touch, for every family of methods and for training,
evaluation and deployment alike.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from envs.contract.base import TaskEnv
from metarl.core.types import Action, Rollout, State, Transition, Trial
from metarl.runtime.interruption import interruption_point
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.threads import torch_threads
from metarl.sampling.blame import blaming_environment
from metarl.sampling.diagnostics import Diagnostics
from metarl.sampling.noise import draw_noise, likeliest_noise
from metarl.sampling.normalisation import Normaliser
from metarl.sampling.record import Record

Acting = Any
"""What an agent acts with: its meta-parameters as it needs them then."""

Memory = Any
"""What an agent knows of the tasks it has met; a value that only its own functions look into."""


@runtime_checkable
class Agent(Protocol):
    """Memory in, memory out: an agent keeps nothing about a task in `self`, and in its memory nothing but that."""

    def acting(self, state: State) -> Acting:
        """What acting needs of the meta-parameters, on the CPU; prepared once for all that is met with them."""

    def begin(self, acting: Acting, addresses: Sequence[Address], lanes_per_task: int) -> Memory:
        """The memory before anything was seen; N tasks, whatever an agent draws for one coming from its address."""

    def act(
        self, acting: Acting, memory: Memory, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, Memory]:
        """Actions `[N, E, A]` at `observation` `[N, E, O]`, given `noise` to sample with; and the memory, which may
        move in the lanes that play this step: `live` `[N, E]`, bool."""

    def observe(self, acting: Acting, memory: Memory, transition: Transition) -> Memory:
        """Take in what one step led to, in the lanes that played it (`transition.mask`)."""

    def adapt(self, state: State, memory: Memory, rollout: Rollout) -> Memory:
        """Take in a whole round."""


def collect(
    env: TaskEnv,
    agent: Agent,
    state: State,
    rounds: int,
    address: Address,
    first_task: int = 0,
    *,
    likeliest: bool = False,
    explores: bool = False,
) -> Trial:
    """Meet the tasks that `env` is set to.

    With `likeliest` actions (of a Gaussian its mean; deterministic evaluation) an agent that learns from single
    episodes takes them in all rounds, so that they are its experience too: so do the authors of PEARL (oyster,
    rlkit/core/rl_algorithm.py: `collect_paths`) and VariBAD (varibad, utils/evaluation.py). Any other agent needs its
    actions' noise to learn from: it `explores` and adapts as ever, and what the trial holds are further episodes, one
    in every lane and round, from the same starts and with the same memory, which nobody learns from.

    Args:
        env: lanes of tasks, `N = env.num_tasks`, `E = env.lanes_per_task`.
        agent: how to act and adapt.
        state: its meta-parameters.
        rounds: how many rounds to play, `K + 1`.
        address: where this meeting's randomness starts; below it come purpose, task and round.
        first_task: the number of this environment's first task within the whole meta-batch.
        likeliest: whether the trial is of the likeliest actions instead of sampled ones.
        explores: whether such a trial is played beside what the agent learns from.

    Raises:
        EnvironmentBroke: the environment raised.
        NonFiniteError: an observation, reward or action was not finite.
    """
    tasks = range(first_task, first_task + env.num_tasks)
    with torch_threads(1):  # for adaptation too, so that its numbers are the same while other groups are sampled
        acting, normalise = agent.acting(state), Normaliser(state)
        memory = agent.begin(acting, [address.at(Purpose.AGENT, task) for task in tasks], env.lanes_per_task)
        rounds_played = list[Round]()
        for round_ in range(rounds):
            noise = draw_noise(env, [address.at(Purpose.ACTIONS, task, round_) for task in tasks])
            seeds = [address.at(Purpose.RESET, task, round_).seed() for task in tasks]
            shown = np.full_like(noise, likeliest_noise(env.single_action_space)) if likeliest else noise
            played = play_round(env, agent, acting, normalise, memory, seeds, shown)
            rounds_played.append(played)
            if round_ + 1 < rounds:
                if likeliest and explores:
                    played = play_round(env, agent, acting, normalise, memory, seeds, noise)
                memory = agent.adapt(state, played.memory, normalise.seen(played.rollout))
    rollouts, _, diverged, diagnostics = zip(*rounds_played, strict=True)
    said = {name: torch.stack([of_round[name] for of_round in diagnostics], dim=1) for name in diagnostics[0]}
    return Trial(list(rollouts), sum(diverged), task_rows(env), said)


def task_rows(env: TaskEnv) -> torch.Tensor:
    """All parameters of each task that `env` is set to in a row, in the order of the law: doubles `[N, P]`."""
    rows = [np.asarray(values, np.float64).reshape(env.num_tasks, -1) for values in env.tasks.values()]
    return torch.from_numpy(np.concatenate(rows, axis=1)) if rows else torch.zeros(env.num_tasks, 0).double()


class Round(NamedTuple):
    """An episode in every lane."""

    rollout: Rollout  # as it was
    memory: Memory  # after it
    diverged: int  # lanes whose physics broke
    diagnostics: dict[str, torch.Tensor]  # of tasks, [N] each


@torch.no_grad()
def play_round(
    env: TaskEnv,
    agent: Agent,
    acting: Acting,
    normalise: Normaliser,
    memory: Memory,
    seeds: list[int],
    noise: np.ndarray,
) -> Round:
    """One episode in every lane, of which the agent sees normalised observations."""
    record, diagnostics, N, E = Record(env), Diagnostics(env), env.num_tasks, env.lanes_per_task
    with blaming_environment(env, "at its reset"):
        reset, _ = env.reset(seed=seeds)
    observation = single_precision(reset, N, E)
    live = np.ones(N * E, dtype=bool)
    diverged = np.zeros(N * E, dtype=bool)
    for t in range(env.horizon):
        interruption_point()
        playing = torch.from_numpy(live.reshape(N, E))
        action, memory = agent.act(acting, memory, normalise(observation), playing, torch.from_numpy(noise[:, :, t]))
        chosen = action.action.numpy()
        with blaming_environment(env, f"at step {t}"):
            stepped, *outcome, info = env.step(chosen.reshape(N * E, *chosen.shape[2:]))
        following = single_precision(stepped, N, E)
        transition = record.write(t, observation, action, outcome, live, following)
        memory = agent.observe(acting, memory, normalise.seen(transition))
        diverged |= info["diverged"]
        diagnostics.note(info, live)
        _, terminated, truncated = outcome
        observation, live = following, live & ~(terminated | truncated)
        if not live.any():
            break
    return Round(record.rollout(diverged), memory, int(diverged.sum()), diagnostics.of_tasks(diverged))


def single_precision(observation: np.ndarray, tasks: int, lanes: int) -> torch.Tensor:
    """`[N · E, O]` -> `[N, E, O]` in torch's own memory.

    numpy's starts anywhere, and the last bits of a matrix product depend on where.
    """
    with np.errstate(over="ignore"):  # what single precision cannot hold is named when the round is over
        return torch.from_numpy(observation.reshape(tasks, lanes, -1)).to(torch.float32, copy=True)
