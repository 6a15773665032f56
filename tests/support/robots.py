"""Two small robots of our own, of primitive shapes, with what today's have: servos, a home, sensors, classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from envs.engine.models import load_model
from envs.engine.mujoco_tasks import MujocoTasks

LEGS = {"FR": (0.2, -0.1), "FL": (0.2, 0.1), "RR": (-0.2, -0.1), "RL": (-0.2, 0.1)}
LEG = """
      <body name="{leg}_thigh" pos="{x} {y} 0">
        <joint name="{leg}_hip" axis="0 1 0" range="-1.5 1.5"/>
        <geom class="bone" fromto="0 0 0 0 0 -0.2" size="0.02" mass="0.8"/>
        <body name="{leg}_calf" pos="0 0 -0.2">
          <joint name="{leg}_knee" axis="0 1 0" range="-2.6 0"/>
          <geom class="bone" fromto="0 0 0 0 0 -0.2" size="0.015" mass="0.2"/>
          <geom name="{leg}_foot" class="foot" pos="0 0 -0.2"/>
        </body>
      </body>"""
QUADRUPED = f"""
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.004" integrator="implicitfast"/>
  <default>
    <joint damping="0.1" armature="0.01"/>
    <position kp="40" kv="1" forcerange="-20 20" inheritrange="1"/>
    <default class="part">
      <geom type="capsule"/>
      <default class="bone"><geom contype="0" conaffinity="0"/></default>
      <default class="foot"><geom type="sphere" size="0.02" mass="0.1" friction="0.8 0.02 0.01"/></default>
    </default>
  </default>
  <worldbody>
    <geom name="floor" type="plane" size="9 9 0.1" friction="0.8 0.02 0.01"/>
    <body name="trunk" pos="0 0 0.36">
      <freejoint/>
      <geom type="box" size="0.25 0.1 0.05" mass="6"/>
      <site name="imu" pos="0.1 0 0.03"/>{"".join(LEG.format(leg=leg, x=x, y=y) for leg, (x, y) in LEGS.items())}
    </body>
  </worldbody>
  <actuator>
    {" ".join(f'<position name="{leg}_{joint}" joint="{leg}_{joint}"/>' for leg in LEGS for joint in ("hip", "knee"))}
  </actuator>
  <sensor><gyro name="gyro" site="imu"/><accelerometer name="accelerometer" site="imu"/></sensor>
  <keyframe><key name="home" qpos="0 0 0.36 1 0 0 0 {"0.5 -1 " * 4}"/></keyframe>
</mujoco>
"""
ARM = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.002" integrator="implicitfast"/>
  <worldbody>
    <geom name="table" type="plane" size="2 2 0.1" friction="0.5"/>
    <body name="upper" pos="0 0 0.4">
      <joint name="shoulder" axis="0 -1 0" range="-2 2"/>
      <geom type="capsule" fromto="0 0 0 0.3 0 0" size="0.02" mass="1"/>
      <body name="lower" pos="0.3 0 0">
        <joint name="elbow" axis="0 -1 0" range="-2 2" stiffness="2" damping="0.1"/>
        <geom type="capsule" fromto="0 0 0 0.2 0 0" size="0.02" mass="0.5"/>
        <site name="tip" pos="0.2 0 0"/>
      </body>
    </body>
    <body name="puck" pos="0.5 0 0.03">
      <freejoint name="slide"/>
      <geom name="puck" type="box" size="0.03 0.03 0.03" mass="0.2" friction="0.5"/>
    </body>
    <body name="hand" pos="1 0 1" mocap="true"/>
  </worldbody>
  <actuator>
    <motor name="shoulder" joint="shoulder" gear="2" ctrlrange="-10 10"/>
    <motor joint="elbow" ctrlrange="-8 8"/>
    <general name="valve" joint="elbow" dyntype="filter" dynprm="0.1" ctrlrange="0 1" gainprm="0.5"/>
  </actuator>
  <keyframe><key name="home" qpos="0.4 -0.8 0.5 0 0.03 1 0 0 0" ctrl="1 -2 0.5"/></keyframe>
</mujoco>
"""


def load(folder: Path, xml: str, **more: Any) -> mujoco.MjModel:
    """The model of an MJCF text."""
    path = folder / "robot.xml"
    path.write_text(xml)
    return load_model(path, **more)


class Robot(MujocoTasks):
    """A robot whose observation is its whole state, unless it is given another."""

    def __init__(
        self,
        model: mujoco.MjModel,
        num_tasks: int = 1,
        lanes_per_task: int = 1,
        see: Callable[[MujocoTasks], np.ndarray | dict[str, np.ndarray]] | None = None,
        threads: int = 1,
        **definition: Any,
    ) -> None:
        self.see = see
        definition = {"frame_skip": 1, "horizon": 1000} | definition
        super().__init__(num_tasks, lanes_per_task, None, threads=threads, model=model, **definition)

    def observe(self) -> np.ndarray | dict[str, np.ndarray]:
        return np.concatenate([self.qpos, self.qvel], axis=1) if self.see is None else self.see(self)

    def reward(self, controls: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        self.controls_given = controls.copy()
        return np.zeros(self.num_envs), {}
