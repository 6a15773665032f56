"""What a trained run needs before it meets tasks, to be deployed or evaluated: a machine, sound numbers, the tasks."""

from dataclasses import replace

from envs.contract.base import TaskEnv
from envs.contract.tasks import TaskList
from metarl.runs.config import RunConfig
from metarl.runtime.errors import InputError
from metarl.runtime.options import check_number
from metarl.runtime.randomness import Address
from metarl.training.loop import set_new_tasks


def on_this_machine(config: RunConfig, threads: int = 0) -> RunConfig:
    """A run's config where it need not have been trained: there may be no GPU, and other cores (0 threads: all)."""
    device = "auto" if config.train.device == "cuda" else config.train.device
    return replace(config, train=replace(config.train, device=device, threads=threads))


def check_meeting(tasks: int, adaptations: int, seed: int) -> None:
    """Refuse impossible numbers by the option that gives them.

    Raises:
        InputError: names the option.
    """
    check_number("--tasks", tasks, least=1, most=1_000_000)
    check_number("--adaptations", adaptations, least=0, most=1_000_000)
    check_number("--seed", seed, least=0, most=2**32 - 1)


def set_tasks_of(env: TaskEnv, split: str, address: Address, first: int = 0) -> None:
    """Tasks `first` … of a split, as many as `env` has: those of a fixed list, or fresh ones from a stream each.

    Raises:
        InputError: the environment does not have the split, or its list not the tasks.
    """
    law, end = env.splits.get(split), first + env.num_tasks
    if not isinstance(law, TaskList):
        set_new_tasks(env, address, split, first)
    elif end > law.count:
        raise InputError(f"there are {law.count} {split} tasks — ask for no more")
    else:
        env.set_tasks({name: values[first:end] for name, values in law.tasks.items()})
