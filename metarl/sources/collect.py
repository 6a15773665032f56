"""`metarl collect-data`: source algorithms meet tasks, each alone, and what they did is stored."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from envs.contract.base import TaskEnv
from envs.contract.errors import nearest
from envs.registry import environment_class, load_attribute
from metarl.core.types import Action
from metarl.runtime.errors import InputError
from metarl.runtime.options import check_number
from metarl.runtime.randomness import Address
from metarl.sampling.blame import blaming_environment
from metarl.sampling.collect import Agent, collect
from metarl.sampling.histories import part_path, write_about, write_part
from metarl.sources import SOURCES
from metarl.training.loop import set_new_tasks

TASKS_OF_A_PART = 100


def source_class(name: str) -> Any:
    """The class behind a registered name or `module:attribute`.

    Raises:
        InputError: no such source.
    """
    if name not in SOURCES and ":" not in name:
        raise InputError(f"unknown source '{name}'" + nearest(name, SOURCES))
    found = load_attribute(SOURCES[name].target if name in SOURCES else name)
    missing = [part for part in ("Config", "begin", "act", "observe", "adapt") if not hasattr(found, part)]
    if missing:
        raise InputError(f"'{name}' is no source (it has no {missing[0]}) — see metarl.sources")
    return found


class Noting:
    """An agent that notes beside what another one does what who knows the task had done."""

    def __init__(self, agent: Any, env: TaskEnv) -> None:
        self.agent, self.env = agent, env
        self.begin, self.observe, self.acting = agent.begin, agent.observe, agent.acting
        self.noted: list[list[np.ndarray]] = [[]]

    def act(self, acting: Any, memory: Any, *seen: torch.Tensor) -> tuple[Action, Any]:
        """Note, and act."""
        informed = self.env.informed_action()
        if informed is not None:
            self.noted[-1].append(informed)
        did: tuple[Action, Any] = self.agent.act(acting, memory, *seen)
        return did

    def adapt(self, state: Any, memory: Any, rollout: Any) -> Any:
        """Begin another round."""
        self.noted.append([])
        return self.agent.adapt(state, memory, rollout)

    def informed(self) -> np.ndarray | None:
        """All that was noted, `[R, N·E, T, ...]`, zeros where no step was played; None where nobody knows."""
        if not any(self.noted):
            return None
        first = self.noted[0][0]
        noted = np.zeros((len(self.noted), len(first), self.env.horizon, *first.shape[1:]), first.dtype)
        for round_, steps in enumerate(self.noted):
            noted[round_, :, : len(steps)] = np.stack(steps, axis=1)
        return noted


def collect_data(
    environment: str,
    source: str,
    out: str | Path,
    *,
    tasks: int = 500,
    episodes: int = 100,
    seed: int = 0,
    env: Any = None,
    options: Any = None,
    quiet: bool = True,
) -> Path:
    """Store what a source algorithm did in training tasks, that alone in each; the same as `metarl collect-data`.

    Called again it goes on where it was interrupted: every task's numbers have an address of their own.

    Args:
        environment: a registered name or `module:attribute`.
        source: likewise, of `metarl.sources`.
        out: the folder, new or of the same call.
        tasks: how many, each with a history; where tasks can be counted some come more than once.
        episodes: R, of each history.
        seed: where all randomness starts.
        env: options of the environment, by its `Config`.
        options: those of the source, by its `Config`.
        quiet: show no progress.

    Raises:
        InputError: anything impossible, named.
        EnvironmentBroke: the environment raised.
        StorageError: something cannot be written.
    """
    for name, value, least in (("--tasks", tasks, 1), ("--episodes", episodes, 1), ("--seed", seed, 0)):
        check_number(name, value, least=least, most=2**32 - 1)
    family: Any = environment_class(environment)
    agent_class, folder = source_class(source), Path(out)
    sizes = [min(TASKS_OF_A_PART, tasks - first) for first in range(0, tasks, TASKS_OF_A_PART)]
    with blaming_environment(environment, "when it was made"):
        lanes = {size: family(size, 1, env) for size in dict.fromkeys(sizes)}
    first_env = lanes[sizes[0]]
    options = agent_class.Config() if options is None else options
    agents: dict[int, Agent] = {size: agent_class(options, env) for size, env in lanes.items()}
    about: dict[str, Any] = {
        "environment": environment,
        "env": asdict(first_env.config),
        "source": source,
        "options": asdict(options),
    }
    about |= {"seed": seed, "tasks": tasks, "episodes": episodes, "horizon": first_env.horizon, "parts": len(sizes)}
    write_about(folder, about)
    with Console(stderr=True, quiet=quiet).status("") as status:
        for number, size in enumerate(sizes):
            path = part_path(folder, number)
            if path.exists():
                continue
            status.update(f"{source} meets tasks {number * TASKS_OF_A_PART + 1} … of {tasks}, {episodes} episodes each")
            address, here = Address(seed), lanes[size]
            set_new_tasks(here, address, first_task=number * TASKS_OF_A_PART)
            noting = Noting(agents[size], here)
            trial = collect(here, noting, {}, episodes, address, number * TASKS_OF_A_PART)
            write_part(path, trial.rollouts, noting.informed(), here.tasks)
    return folder
