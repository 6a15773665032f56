"""Meta-World's tasks beside the package's own environments: the same goals, the same actions, the largest difference.

    python scripts/compare_metaworld.py [TASK ...] [--goals 10] [--steps 300] [--version v1]
    python scripts/compare_metaworld.py --record FILE.npz

It needs the package and what it imports, in this environment: `pip install --no-deps metaworld==3.1.1`. Actions are
random ones, and those of the package's scripted policies. `--record` writes the sample of its numbers that
`tests/envs/families/metaworld` checks where the package is not installed.
"""

import argparse
import json
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import mujoco
import numpy as np

from envs.families.metaworld.environment import TASKS, MetaWorld, MetaWorldConfig
from envs.families.metaworld.first_rewards import FIRST
from envs.families.metaworld.scene import Scene

TOLD = ("near_object", "grasp_reward", "in_place_reward", "obj_to_target")
WELD = [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5]
READ = ("body", "site", "local", "geom", "turned", "rotated", "joint")
Version = Literal["v1", "v2"]
RECORDED = (25, 50, 75, 120)  # steps of the recorded sample


def mended(env: Any) -> None:
    """The package's `reset_mocap_welds`, for MuJoCo's longer rows."""
    for row in np.flatnonzero(env.model.eq_type == mujoco.mjtEq.mjEQ_WELD):
        env.model.eq_data[row] = 0.0
        env.model.eq_data[row, : len(WELD)] = WELD


def reference(task: str, places: np.ndarray, goal_shown: bool = False, version: Version = "v2") -> Any:
    """The package's environment of a task, at a goal."""
    from metaworld import sawyer_xyz_env
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    sawyer_xyz_env.SawyerMocapBase.reset_mocap_welds = mended
    env = ALL_V3_ENVIRONMENTS[task](reward_function_version=version)
    env._partially_observable, env._set_task_called = not goal_shown, True
    if goal_shown:
        del env.sawyer_observation_space
    env._last_rand_vec = places[: len(TASKS[task].low)].copy()
    return env


def side_by_side(
    task: str, goals: int, steps: int, scripted: bool, goal_shown: bool = False, version: Version = "v2"
) -> Iterator[tuple[MetaWorld, np.ndarray, np.ndarray, dict[str, np.ndarray], list[Any]]]:
    """Ours after the reset and each step, with its observation, reward and info; and the package's answers."""
    from metaworld.policies import ENV_POLICY_MAP

    ours = MetaWorld(goals, 1, MetaWorldConfig(task=task, goal_shown=goal_shown, reward=version), threads=1)
    theirs = [reference(task, places, goal_shown, version) for places in ours.tasks["places"]]
    policies = [ENV_POLICY_MAP[task]() for _ in theirs]
    seen, _ = ours.reset(seed=0)
    answers: list[Any] = [env.reset() for env in theirs]
    yield ours, seen, np.zeros(goals), {}, answers
    rng = np.random.default_rng(3)
    for _ in range(steps):
        actions = rng.uniform(-1.2, 1.2, (goals, 4))
        if scripted:  # the policies are shown the goal
            shown = [
                np.concatenate([answer[0][:36], env._target_pos]) for answer, env in zip(answers, theirs, strict=True)
            ]
            actions = np.array([policy.get_action(s) for policy, s in zip(policies, shown, strict=True)], np.float64)
        answers = [env.step(action) for env, action in zip(theirs, actions, strict=True)]
        seen, reward, *_, info = ours.step(actions)
        yield ours, seen, reward, info, answers


def compare(
    task: str, goals: int = 10, steps: int = 300, goal_shown: bool = False, version: Version = "v2"
) -> tuple[float, float]:
    """The largest difference of any number, and the share of goals that the scripted policy reached."""
    worst, solved = 0.0, np.zeros(goals)
    names = (*TOLD, "success") if version == "v2" else ("success",)
    for scripted in (False, True):
        for _, seen, reward, info, answers in side_by_side(task, goals, steps, scripted, goal_shown, version):
            differences = [seen - [answer[0] for answer in answers]]
            if info:
                told = {name: np.array([float(answer[4][name]) for answer in answers]) for name in names}
                differences += [reward - [answer[1] for answer in answers]]
                differences += [info[name] - told[name] for name in told]
                solved = np.maximum(solved, told["success"]) if scripted else solved
            worst = max(worst, *(float(np.abs(difference).max()) for difference in differences))
    return worst, float(solved.mean())


def record(path: str) -> None:
    """Write, of two goals of each task at some steps, what our functions read and what the package says to it."""
    sample: dict[str, list[np.ndarray]] = {}

    def note(name: str, values: np.ndarray) -> np.ndarray:
        sample.setdefault(name, []).append(np.array(values))
        return values

    for task in TASKS:
        versions: tuple[Version, ...] = ("v2", "v1")
        both = zip(*(side_by_side(task, 2, max(RECORDED), True, version=version) for version in versions), strict=True)
        for step, ((env, _, _, info, answers), (first, *_, others)) in enumerate(both):
            if step not in RECORDED:
                continue
            scene = Noted(env.scene, lambda key, values, task=task: note(f"{task}/{key}", values))
            scene.first, scene.start = env.scene.first.copy(), first.scene.start | env.scene.start
            for name, values in {"action": env.action, "first": env.scene.first, **scene.start}.items():
                note(f"{task}/kept/{name}", values)
            note(f"{task}/touching", env.scene.touching if env.task.touch else np.zeros(2, bool))
            env.task.objects(scene), [scene.body(name) for name in ("hand", "leftclaw", "rightclaw")]
            env.task.reward(scene)
            FIRST[task.removesuffix("-v3")].reward(scene)
            note(f"{task}/seen", [answer[0] for answer in answers])
            for version, said in zip(versions, (answers, others), strict=True):
                note(f"{task}/reward/{version}", [answer[1] for answer in said])
                note(f"{task}/success/{version}", [float(answer[4]["success"]) for answer in said])
            assert info
    packed, layout = {}, {}
    for task in TASKS:  # a matrix a task: files in an archive take more than these numbers
        whole = {
            name.removeprefix(task + "/"): np.concatenate(rows)
            for name, rows in sample.items()
            if name.startswith(task + "/")
        }
        packed[task] = np.concatenate([values.reshape(len(values), -1) for values in whole.values()], axis=1)
        layout[task] = {name: int(np.prod(values.shape[1:])) for name, values in whole.items()}
    np.savez_compressed(path, layout=json.dumps(layout), **packed)


class Noted(Scene):
    """A scene that tells, once, of everything that is read of it."""

    def __init__(self, scene: Scene, note: Any) -> None:
        self.__dict__ |= scene.__dict__
        self._told: set[str] = set()
        self._note = note

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in READ:
            return found

        def read(*of: str) -> np.ndarray:
            key, values = "/".join((name, *of)), found(*of)
            if key not in self._told:
                self._told.add(key)
                self._note(key, values)
            return np.asarray(values)

        return read


def main() -> None:
    """Compare all tasks, or those named."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--goals", type=int, default=10)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--version", choices=["v1", "v2"], default="v2", help="of the reward")
    parser.add_argument("--record")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    if given.record:
        return record(given.record)
    for task in given.tasks:
        worst, solved = compare(task, given.goals, given.steps, version=given.version)
        print(f"{task:32} largest difference {worst:.2g}, scripted policy succeeds at {solved:.0%}", flush=True)
    return None


if __name__ == "__main__":
    main()
