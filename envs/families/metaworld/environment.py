"""Meta-World's tasks, each over random places of what is on the table: Yu et al. 2019, in its release 3.1.1.

A mocap body drags the hand, which an action moves by up to a centimetre along each axis; its fourth number closes the
gripper. An observation holds the hand, the gripper, an object or two, the same a step earlier, and the goal, or zeros
where it is hidden. An episode succeeds where any of its steps does (`success`).

Definitions are the package's own, written anew over all lanes at once; models are the user's installed ones
(`models.py`). Letter: n lanes.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from envs.contract.config import FamilyConfig, option
from envs.contract.definition import states
from envs.contract.errors import InputError, nearest
from envs.contract.sources import Source, Variant, after
from envs.contract.tasks import TaskDistribution, check_numbers
from envs.engine.mujoco_tasks import MujocoTasks
from envs.families.metaworld.first_rewards import FIRST
from envs.families.metaworld.models import model_of
from envs.families.metaworld.picking import PICKING
from envs.families.metaworld.pressing import PRESSING
from envs.families.metaworld.pushing import PUSHING
from envs.families.metaworld.scene import FIELDS, HAND_HIGH, HAND_LOW, Scene, Task
from envs.families.metaworld.terms import distance
from envs.families.metaworld.tools import USING
from envs.families.metaworld.turning import TURNING

TASKS: dict[str, Task] = {f"{name}-v3": task for name, task in (PRESSING | TURNING | PUSHING | PICKING | USING).items()}
SECONDS = 0.0125  # of a step: five of physics
STEP = 1.0 / 100  # how far an action of 1 moves the hand (m)
SETTLING = 50  # steps in which the hand goes to its start, at a reset
DOWN = (1.0, 0.0, 1.0, 0.0)  # the hand's quaternion
STATE = ("qpos", "qvel", "qacc_warmstart", "ctrl", "mocap_pos", "mocap_quat")
PLUS = Source(
    "McLean et al. 2025, Meta-World+", "2505.11289",
    "Farama-Foundation/Metaworld", "7ea2b501c4a698c8533cdc55a396fe2734e2649d", "metaworld/sawyer_xyz_env.py",
)  # fmt: skip
BECK = Source(
    "Beck et al. 2023, RNN+HN", "2309.14970",
    "jacooba/hyper", "3a7639beb7c4daae731deb30891346a89249ad76", "config/metaworld/args_ml10_varibad.py",
)  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Uniform in a box of one place or two (m), drawn again while these are too near each other; the rest is 0."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    apart: float = 0.0
    away_from: tuple[float, float] | None = None
    shape = (6,)

    def __str__(self) -> str:
        return f"uniform from {self.low} to {self.high}" + f", {self.apart:g} apart" * bool(self.apart)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        places = np.zeros(6)
        while True:
            places[: len(self.low)] = rng.uniform(self.low, self.high)
            other = places[3:5] if self.away_from is None else self.away_from
            if np.linalg.norm(places[:2] - other) >= self.apart:
                return places

    check = check_numbers


@dataclass(frozen=True)
class MetaWorldConfig(FamilyConfig):
    """The options of a task of Meta-World; what is None comes from the variant."""

    task: str | None = None
    """The task's name, such as "push-v3"."""
    goal_shown: bool | None = None
    """Whether the observation ends with the goal instead of zeros."""
    reward: Literal["v1", "v2"] | None = None
    """The version of the reward: of 2019, or of today."""
    ends_at_success: bool | None = option(unsaid=False)
    """Whether an episode ends where it succeeds, which changes no rate of success."""


REMARK = "as many goals as published, but not those: the release draws them from its user's seed"
SHORTER = "150 steps, as of most tasks in their copy of the package, whose tasks and rewards were those of 2021"


def variants_of(**options: Any) -> dict[str, Variant]:
    """The published definitions, with `options`: ours (whose presets are for two cores), Meta-World+'s and Beck's."""
    whole = {"horizon": 500, "goal_shown": False, "reward": "v2", **options}
    return {
        "metarl": Variant(whole, after(PLUS), REMARK),
        "plus": Variant(whole, PLUS, REMARK),
        "beck": Variant({**whole, "horizon": 150}, BECK, SHORTER),
    }


def ends(options: Any) -> str:
    """What ends an episode."""
    return "success" if options.ends_at_success else "never"


class MetaWorld(MujocoTasks):
    """Task parameter: `places` [6] (m), of the object and the goal, or of what stands on the table."""

    Config, variants = MetaWorldConfig, variants_of(task="reach-v3", train_tasks=50, test_tasks=50)
    events, dt = ("success",), SECONDS
    summary = states("{task}'s own, version {reward}", ends)

    def define(self, options: Any) -> dict[str, Any]:
        if options.task not in TASKS:
            raise InputError(
                f"unknown env.task '{options.task}'" + nearest(options.task, TASKS, "see docs/metaworld.md")
            )
        self.task = task = TASKS[options.task]
        self._first = FIRST[options.task.removesuffix("-v3")] if options.reward == "v1" else None
        return {
            "model": model_of(task.model, task.touch),
            "frame_skip": 5,
            "action_size": 4,
            "observation_size": 39,
            "fields": FIELDS,
            "task_distribution": TaskDistribution(places=Places(task.low, task.high, task.apart, task.away_from)),
        }

    def build(self) -> None:
        self.scene = Scene(self.batch, self.fields, self.task.hand)
        self.scene.first = self.lane_state(fill=np.nan)
        if self.task.touch:
            self.scene.touches = self.sensor("left_touch"), self.sensor("right_touch")
        self._bound = {name: self.batch.bind(name) for name in STATE}
        self._starts = {name: values.copy() for name, values in self._bound.items()}
        self._now = self._first_frame = np.zeros((self.num_envs, 18))
        low, high = self.task.goal or (self.task.low[3:], self.task.high[3:])
        if not low:
            low, high = self.task.reach_low, self.task.reach_high
        if not self.config.goal_shown:
            low = high = (0.0, 0.0, 0.0)
        bounds = [(*HAND_LOW, -1.0, *[-np.inf] * 14), (*HAND_HIGH, 1.0, *[np.inf] * 14)]
        self._low, self._high = (
            np.concatenate([frame, frame, place]) for frame, place in zip(bounds, (low, high), strict=True)
        )

    # Resets

    def apply_tasks(self, lanes: np.ndarray) -> None:
        """Let one lane of each task settle, as the package does at every reset; the others start as it did."""
        super().apply_tasks(lanes)
        scene, places = self.scene, self.lane_tasks["places"]
        by_task = lanes.reshape(self.num_tasks, -1)
        first = np.arange(self.num_tasks) * self.lanes_per_task + by_task.argmax(axis=1)
        leads = np.repeat(first, self.lanes_per_task)[lanes]  # whom each of the lanes follows
        scene.lead(np.isin(np.arange(self.num_envs), leads))
        if self.task.fixed is not None:
            body, begin, offset = self.task.fixed
            stands = np.array(offset) + (0.0 if begin is None else places[:, begin : begin + 3])
            default = self.model.body_pos[scene.row("body", body)]
            scene.fix(body, np.where(np.isnan(stands), default, stands))
        self.batch.reset(scene.leaders, -1, 0)
        for name, value in (("mocap_pos", self.task.hand), ("mocap_quat", DOWN), ("ctrl", (-1.0, 1.0))):
            self._bound[name][scene.leaders] = value
        scene.settle(SETTLING * self.frame_skip)
        scene.keep(tcp=scene.tcp)
        self.task.reset(scene, places)
        if self._first is not None:
            if self._first.most is not None:
                scene.keep(most=self._first.most(scene))
            if self._first.height is not None:
                kind, name = self._first.height
                scene.keep(height=getattr(scene, kind)(name)[:, 2])
        kept = [*scene.start.values(), self.batch.expand("body_pos")]
        for name, values in self._bound.items():
            self._starts[name][lanes] = values[leads]
        self._first_frame[lanes] = look(self.scene, self.task)[leads]
        for values in kept:
            values[lanes] = values[leads]

    def reset_lanes(self, mask: np.ndarray) -> None:
        super().reset_lanes(mask)
        for name, values in self._bound.items():
            values[mask] = self._starts[name][mask]
        self._now = np.where(mask[:, None], self._first_frame, self._now)
        self.scene.seen[mask] = self._stacked(self._now)[mask]

    # Steps

    def controls(self, actions: np.ndarray) -> np.ndarray:
        """Move what drags the hand; the gripper's two fingers go together."""
        moved = self._bound["mocap_pos"][:, 0] + np.clip(actions[:, :3], -1.0, 1.0) * STEP
        self._bound["mocap_pos"][:, 0] = np.clip(moved, self.task.reach_low, self.task.reach_high)
        self._bound["mocap_quat"][:, 0] = DOWN
        return np.stack([actions[:, 3], -actions[:, 3]], axis=1)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The task's reward, and what the package tells of it."""
        before, self._now = self._now, look(self.scene, self.task)
        self.scene.action = self.action
        self.scene.seen = np.clip(self._stacked(before), self._low, self._high)
        score = (self.task if self._first is None else self._first).reward(self.scene)
        self._succeeds = np.asarray(score.success, bool)
        told = score._asdict() | {"success": score.success.astype(np.float64)}
        reward = told.pop("reward")
        return reward, {name: np.broadcast_to(value, reward.shape).astype(np.float64) for name, value in told.items()}

    def terminated(self) -> np.ndarray:
        return self._succeeds & self.config.ends_at_success

    def observe(self) -> np.ndarray:
        return self.scene.seen

    def _stacked(self, before: np.ndarray) -> np.ndarray:
        """This frame, the one before and the goal, `[n, 39]`."""
        goal = self.scene.target if self.config.goal_shown else np.zeros((self.num_envs, 3))
        return np.concatenate([self._now, before, goal], axis=1)


def look(scene: Scene, task: Task) -> np.ndarray:
    """What there is to see but for the goal: the hand, how far the gripper is open, and objects, `[n, 18]`."""
    gap = distance(scene.body("rightclaw"), scene.body("leftclaw"))
    opened = np.clip(gap / 0.1, 0.0, 1.0)
    seen = np.concatenate([scene.body("hand"), opened[:, None], *task.objects(scene)], axis=1)
    return np.pad(seen, ((0, 0), (0, 18 - seen.shape[1])))
