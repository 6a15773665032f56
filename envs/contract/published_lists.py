"""The task lists that a publication's code always draws alike.

PEARL's (github.com/katerakelly/oyster, commit 44e20fd, rlkit/envs/half_cheetah_vel.py and point_robot.py) seeds numpy's
old global generator with 1337, draws its tasks, trains with the first and tests with the last of them. Its other
environments draw from that generator as the operating system seeded it: nobody knows those tasks any more.
"""

import numpy as np

from envs.contract.tasks import TaskDistribution, TaskList, Uniform

PEARL_SEED = 1337


def pearl_uniform(name: str, law: Uniform, train: int, test: int) -> tuple[TaskList, TaskList]:
    """Training and test tasks of PEARL's, whose one parameter is uniform."""
    rng = np.random.RandomState(PEARL_SEED)  # noqa: NPY002 - the source's
    tasks = rng.uniform(law.low, law.high, (train + test, *law.shape))
    laws = TaskDistribution({name: law})
    return TaskList({name: tasks[:train]}, laws), TaskList({name: tasks[train:]}, laws)


def pearl_semicircle(train: int, test: int) -> tuple[TaskList, TaskList]:
    """Training and test tasks of PEARL's sparse point robot: goals equally spaced on half a circle, shuffled.

    Parameter `angle` (rad).
    """
    angles = np.linspace(0.0, np.pi, train + test)
    np.random.RandomState(PEARL_SEED).shuffle(angles)  # noqa: NPY002 - the source's
    laws = TaskDistribution(angle=Uniform(0.0, np.pi))
    return TaskList({"angle": angles[:train]}, laws), TaskList({"angle": angles[train:]}, laws)
