"""A robot of your own: an arm that finds a place it is not told, with a tool whose weight it does not know.

metarl train scripts/examples/arm.py:Arm --iterations 40
metarl evaluate runs/scripts-examples-arm.py-Arm/maml-trpo/seed-0 --split outside --trust
"""

from pathlib import Path

import numpy as np

from envs import LogUniform, MujocoTasks, Scale, TaskDistribution, Uniform, load_model


class Arm(MujocoTasks):
    """Task parameters: `goal` [2] (m), and `tool`, the factor of its mass. Reward: minus ten times the distance (m)."""

    def define(self, options):
        return {
            "model": load_model(Path(__file__).with_name("arm.xml")),
            "frame_skip": 5,
            "horizon": 50,
            "action_scale": 3.0,
            "fields": ["site_xpos"],
            "task_distribution": TaskDistribution(goal=Uniform(-0.12, 0.12, (2,))),
            "dynamics": {"tool": Scale("mass", LogUniform(2.0, -2.0, 2.0), "tool")},
            "outside_distribution": TaskDistribution(tool=LogUniform(2.0, 2.0, 3.0)),
        }

    def tip(self):  # [lanes, 2]
        return self.fields["site_xpos"][:, 0, :2]

    def initial_state(self, rng):
        shape = (self.lanes_per_task, 2)
        return rng.uniform(-0.1, 0.1, shape), rng.uniform(-0.1, 0.1, shape)

    def observe(self):
        return np.concatenate([np.cos(self.qpos), np.sin(self.qpos), 0.1 * self.qvel, 10 * self.tip()], axis=1)

    def reward(self, controls):
        distance = np.linalg.norm(self.tip() - self.lane_tasks["goal"], axis=1)
        return -10 * distance, {"distance": distance}
