"""Changes by quantity, against MuJoCo's own `mj_step` of a model whose MJCF says the change, compiled afresh."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from support.robots import ARM, QUADRUPED, Robot, load

import envs
from envs import Choice, Scale, Set, Shift, Uniform
from envs.engine.dynamics import Change

LAW = Uniform(0.0, 1.0)
STEPS = 60
LEGS = ("FR", "FL", "RR", "RL")


def replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    """The MJCF with other text."""

    def edit(xml: str) -> str:
        for old, new in pairs:
            assert old in xml
            xml = xml.replace(old, new)
        return xml

    return edit


def trajectory(model: mujoco.MjModel, controls: np.ndarray) -> np.ndarray:
    """The states of MuJoCo's own steps from the home keyframe, [steps, nq + nv]."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    states = []
    for control in controls:
        data.ctrl[:] = control
        mujoco.mj_step(model, data)
        states.append([*data.qpos, *data.qvel])
    return np.array(states)


def inertial(body: str, shift: tuple[float, float, float]) -> Callable[[mujoco.MjSpec], None]:
    """The body's own mass and inertia, about a centre that has moved."""

    def edit(spec: mujoco.MjSpec) -> None:
        plain = spec.copy().compile().body(body)
        found = spec.body(body)
        found.explicitinertial, found.mass, found.inertia, found.iquat = (
            True,
            float(plain.mass[0]),
            plain.inertia,
            plain.iquat,
        )
        found.ipos = plain.ipos + shift

    return edit


def lowered_trunk(spec: mujoco.MjSpec) -> None:
    """The trunk's geom alone, not its mass."""
    inertial("trunk", (0, 0, 0))(spec)
    spec.body("trunk").first_geom().pos = (0, 0, -0.2)


TRUNK = '<geom type="box" size="0.25 0.1 0.05" mass="6"/>'
SERVO = '<position kp="40" kv="1" forcerange="-20 20" inheritrange="1"/>'
CASES: dict[str, tuple[str, Change, Any, Any]] = {
    # robot, change, what the task's parameter is, the same in the MJCF
    "scaled mass": (QUADRUPED, Scale("mass", LAW, "trunk"), 2.0, replaced((TRUNK, TRUNK.replace('"6"', '"12"')))),
    "more mass": (QUADRUPED, Shift("mass", LAW, "trunk"), 3.0, replaced((TRUNK, TRUNK.replace('"6"', '"9"')))),
    "set mass": (QUADRUPED, Set("mass", LAW, "trunk"), 4.0, replaced((TRUNK, TRUNK.replace('"6"', '"4"')))),
    "centre of mass": (
        QUADRUPED,
        Shift("center_of_mass", LAW, "trunk", each=True),
        [[0.03, -0.02, 0.01]],
        inertial("trunk", (0.03, -0.02, 0.01)),
    ),
    "centre of mass along x": (
        QUADRUPED,
        Shift("center_of_mass", LAW, "trunk", axes="x"),
        0.05,
        inertial("trunk", (0.05, 0, 0)),
    ),
    "friction": (
        QUADRUPED,
        Set("friction", LAW, ("floor", "class:foot")),
        0.3,
        replaced(("0.8 0.02 0.01", "0.3 0.02 0.01")),
    ),
    "strength of servos": (
        QUADRUPED,
        Scale("strength", LAW),
        0.5,
        replaced((SERVO, '<position kp="20" kv="0.5" forcerange="-10 10" inheritrange="1"/>')),
    ),
    "stiffness of servos": (QUADRUPED, Scale("stiffness", LAW), 0.5, replaced(('kp="40"', 'kp="20"'))),
    "stiffness of a leg": (
        QUADRUPED,
        Set("stiffness", LAW, "FR_*"),
        25.0,
        replaced(
            ('<position name="FR_hip"', '<position kp="25" name="FR_hip"'),
            ('<position name="FR_knee"', '<position kp="25" name="FR_knee"'),
        ),
    ),
    "damping of servos": (QUADRUPED, Set("damping", LAW), 2.0, replaced(('kv="1"', 'kv="2"'))),
    "damping of joints by class": (
        QUADRUPED,
        Scale("dof_damping", LAW, "*_knee"),
        4.0,
        replaced(*((f'"{leg}_knee" axis', f'"{leg}_knee" damping="0.4" axis') for leg in LEGS)),
    ),
    "strength of motors": (
        ARM,
        Scale("strength", LAW, "shoulder"),
        0.4,
        replaced(('gear="2"', 'gear="2" gainprm="0.4"'), ('<motor name="shoulder"', '<general name="shoulder"')),
    ),
    "latency": (
        QUADRUPED,
        Set("latency", Uniform(0.0, 0.02)),
        0.012,
        replaced(
            *(
                (f'<position name="{leg}_{joint}"', f'<position nsample="5" delay="0.012" name="{leg}_{joint}"')
                for leg in LEGS
                for joint in ("hip", "knee")
            )
        ),
    ),
    "slope": (
        # 0.1 rad uphill along x: of gravity's 9.81 m/s², 9.81 sin 0.1 pull back and 9.81 cos 0.1 down
        QUADRUPED,
        Set("slope", LAW),
        0.1,
        replaced(("<option ", f'<option gravity="{-9.81 * np.sin(0.1)} 0 {-9.81 * np.cos(0.1)}" ')),
    ),
    "a new spring": (
        ARM,
        Set("jnt_stiffness", LAW, "shoulder"),
        3.0,
        replaced(('"shoulder" axis', '"shoulder" stiffness="3" axis')),
    ),
    "place of a geom in its body's frame": (
        QUADRUPED,
        Set("geom_pos", LAW, "trunk", axes="z"),
        -0.2,
        lowered_trunk,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_changed_lane_equals_a_model_compiled_with_the_change(tmp_path: Path, case: str) -> None:
    xml, change, amount, edit = CASES[case]
    latency = 0.02 if case == "latency" else 0.0
    env = Robot(load(tmp_path, xml, latency=latency), 2, 1, keyframe="home", dynamics={"change": change})
    still = env.splits["train"].sample([np.random.default_rng(0)])["change"][0]
    env.set_tasks({"change": np.stack([still, np.broadcast_to(amount, still.shape)])})
    env.reset(seed=0)
    low, high = env.model.actuator_ctrlrange.T
    controls = np.random.default_rng(1).uniform(low, high, (STEPS, env.model.nu))
    actions = (controls - (low + high) / 2) / ((high - low) / 2)
    found = np.array([env.step(np.tile(action, (2, 1)))[0][1] for action in actions])
    if isinstance(edited := edit(xml) if case not in EDITS else xml, str):
        model = load(tmp_path, edited, edit=edit if case in EDITS else None)
    np.testing.assert_allclose(found, trajectory(model, controls), rtol=0, atol=1e-9)
    plain = trajectory(load(tmp_path, xml, latency=latency), controls)
    assert np.abs(found - plain).max() > 1e-3  # the change is one


EDITS = {"centre of mass", "centre of mass along x", "place of a geom in its body's frame"}


def test_a_servo_sags_under_a_load_as_its_stiffness_says(tmp_path: Path) -> None:
    # A massless beam of 0.5 m with 2 kg at its end, held at the target 0 by kp: at rest kp θ = m g 0.5 cos θ with θ the
    # sag; so with twice the load, half the stiffness, or half the strength.
    xml = """<mujoco><option timestep="0.002" gravity="0 0 -10"/><worldbody><body name="beam">
      <joint name="hinge" axis="0 1 0" range="-90 90"/>
      <geom name="load" type="sphere" size="0.05" pos="0.5 0 0" mass="2"/>
      </body></worldbody><actuator>
      <position name="servo" joint="hinge" kp="100" kv="20" ctrlrange="-1 1"/></actuator></mujoco>"""
    dynamics = {name: Scale(name, LAW) for name in ("mass", "stiffness", "strength")}
    env = Robot(load(tmp_path, xml), 4, 1, dynamics=dynamics, frame_skip=5000)
    env.set_tasks({"mass": [1, 2, 1, 1], "stiffness": [1, 1, 0.5, 1], "strength": [1, 1, 1, 0.5]})
    env.reset(seed=0)
    env.step(np.zeros((4, 1)))
    sag, mass, stiffness = env.qpos[:, 0], np.array([2, 4, 2, 2]), np.array([100, 100, 50, 50])
    np.testing.assert_allclose(stiffness * sag, mass * 10 * 0.5 * np.cos(sag), rtol=1e-6)
    assert sag[0] < 0.1 < sag[1]


def test_one_draw_moves_several_fields_each_in_its_way(tmp_path: Path) -> None:
    wear = (Scale("dof_frictionloss", LAW), Scale("strength", by=lambda wear: 1 / wear), Shift("mass", names="trunk"))
    model = load(tmp_path, QUADRUPED.replace("armature=", 'frictionloss="0.2" armature='))
    env = Robot(model, 2, 1, dynamics={"wear": wear})
    env.set_tasks({"wear": [1.0, 2.0]})
    env.reset(seed=0)
    np.testing.assert_allclose(env.batch.expand("dof_frictionloss")[1, 6:], 0.4)
    np.testing.assert_allclose(env.batch.expand("actuator_forcerange")[:, 0], [[-20, 20], [-10, 10]])
    np.testing.assert_allclose(env.batch.expand("body_mass")[:, 1], [7, 8])


def test_a_number_chooses_which_motor_is_dead(tmp_path: Path) -> None:
    alive = 1.0 - np.eye(8)
    dead = Scale("strength", Choice(tuple(range(8))), by=lambda motor: alive[motor])
    env = Robot(load(tmp_path, QUADRUPED), 3, 1, dynamics={"motor": dead})
    env.set_tasks({"motor": [0, 3, 7]})
    env.reset(seed=0)
    np.testing.assert_array_equal(env.batch.expand("actuator_gainprm")[:, :, 0], 40 * alive[[0, 3, 7]])


def test_inertia_follows_mass_and_nothing_compounds(tmp_path: Path) -> None:
    # A box of sides a, b and c: m (b² + c²) / 12 about the first axis; sides 0.5, 0.2 and 0.1.
    env = Robot(load(tmp_path, QUADRUPED), 1, 1, dynamics={"load": Shift("mass", LAW, "trunk")})
    for load_ in (3.0, 1.0, 3.0):
        env.set_tasks({"load": [load_]})
        env.reset(seed=0)
        expected = (6 + load_) * np.array([0.2**2 + 0.1**2, 0.5**2 + 0.1**2, 0.5**2 + 0.2**2]) / 12
        np.testing.assert_allclose(np.sort(env.batch.expand("body_inertia")[0, 1]), np.sort(expected), rtol=1e-12)


REFUSED = [
    (QUADRUPED, Shift("mass", LAW, "floor"), "shifts mass of unknown 'floor' — choose one of: ANY"),
    (QUADRUPED, Shift("mas", LAW, "trunk"), "unknown model field 'mas' — did you mean 'mass'?"),
    (QUADRUPED, Scale("mass", LAW, "*_claf"), "scales mass of unknown '*_claf' — did you mean 'ANY_calf'?"),
    (
        ARM,
        Scale("stiffness", LAW, "shoulder"),
        "scales stiffness of shoulder, which is no position servo — scale what has it",
    ),
    (ARM, Scale("damping", LAW), "scales damping, which is no position servo — scale what has it"),
    (
        ARM,
        Scale("jnt_stiffness", LAW, ("elbow", "shoulder")),
        "scales jnt_stiffness of shoulder, which is 0 — scale what is not",
    ),
    (
        ARM,
        Set("latency", LAW),
        "sets latency, whose controls are not kept: load the model with load_model(latency=SECONDS) — set what has it",
    ),
    (
        QUADRUPED,
        Scale("geom_friction", LAW, "class:bone"),
        "scales geom_friction of class:bone, which touches nothing — scale what has it",
    ),
    (
        QUADRUPED,
        Scale("friction", LAW, "class:bnoe"),
        "scales friction of the unknown class 'bnoe' — did you mean 'bone'?",
    ),
    (
        QUADRUPED,
        Scale("body_mass", LAW, "class:bone"),
        "scales body_mass of class 'bone', which none of them has — give another class, or names",
    ),
    (
        ARM,
        Set("body_pos", LAW, "puck", axes="x"),
        "sets body_pos of puck, which its free joint places — set what has it",
    ),
    (
        ARM,
        Scale("actuator_forcerange", LAW, "shoulder"),
        "scales actuator_forcerange of shoulder, which has no limit — scale what has it",
    ),
    (ARM, Scale("mass", LAW, "hand"), "scales mass of hand, which cannot move, or has no mass — scale what has it"),
    (
        ARM,
        Shift("center_of_mass", LAW, "puck", axes="x"),
        "shifts center_of_mass, which MuJoCo refuses (body 3 is compiled as simple but sameframe no longer holds, "
        "use body/simple='false') — change the XML",
    ),
    (
        QUADRUPED,
        Shift("center_of_mass", LAW, "trunk", axes="w"),
        "shifts center_of_mass along 'w' — give some of 'xyz'",
    ),
    (QUADRUPED, Shift("mass", LAW, "trunk", axes="x"), "shifts mass along 'x' — it has no axes"),
    (
        QUADRUPED,
        Shift("mass", Uniform(0, 1, (2,)), "trunk"),
        "the law of 'f' draws shape (2,) — give one that draws ()",
    ),
    (
        QUADRUPED,
        Shift("center_of_mass", Uniform(0, 1, (2,)), "trunk"),
        "the law of 'f' draws shape (2,) — give one that draws () or (3,)",
    ),
    (
        QUADRUPED,
        (Scale("mass", LAW), Scale("strength", LAW)),
        "has 2 laws — give one change a law, and the others none",
    ),
    (QUADRUPED, Scale("strength"), "has 0 laws — give one change a law, and the others none"),
]


@pytest.mark.parametrize(("xml", "change", "message"), REFUSED)
def test_what_changes_nothing_is_refused_by_name(tmp_path: Path, xml: str, change: Any, message: str) -> None:
    model = load(tmp_path, xml)
    with pytest.raises(envs.InputError) as error:
        Robot(model, dynamics={"f": change})
    assert re.fullmatch(re.escape(message).replace("ANY", ".*"), str(error.value).removeprefix("'f' "))


IMPOSSIBLE = [
    (Shift("mass", LAW, "trunk"), -6.5, "makes mass -0.5 — give shifts that keep it above 0"),
    (Scale("mass", LAW, "trunk"), -1.0, "is -1.0 — give factors above 0"),
    (Set("friction", LAW), -0.1, "makes friction -0.1 — give values that keep it of 0 or above"),
    (
        Scale("inertia", LAW, "trunk", axes="z"),
        3.0,
        "gives a body a moment of inertia above the sum of its other two — give other numbers",
    ),
    (
        Set("friction", LAW, "floor"),
        0.1,
        "gives friction that contacts do not have: they take that of 'trunk', the larger or of "
        "higher priority — give other numbers",
    ),
    (
        Set("latency", LAW),
        0.03,
        "is later than the controls that the model keeps, 0.02 s — give other numbers",
    ),
]


@pytest.mark.parametrize(("change", "amount", "message"), IMPOSSIBLE)
def test_what_is_impossible_is_refused_by_name(tmp_path: Path, change: Change, amount: float, message: str) -> None:
    # Of the trunk's principal moments the largest is m (0.5² + 0.2²) / 12; three times that is above the others' sum.
    law = Choice((1.0 if change.fields[0] in ("friction", "inertia") else 0.0 if "mass" not in change.fields else 0.5,))
    env = Robot(
        load(tmp_path, QUADRUPED, latency=0.02),
        2,
        1,
        dynamics={"f": type(change)(change.field, law, change.names, axes=change.axes)},
    )
    good = env.tasks["f"]
    with pytest.raises(envs.InputError) as error:
        env.set_tasks({"f": [good[0], amount]})
    assert str(error.value) == "task parameter 'f' of task 1 " + message
    np.testing.assert_array_equal(env.tasks["f"], good)


def test_ice_under_the_feet_is_felt_where_ground_and_feet_have_it(tmp_path: Path) -> None:
    ice = Set("friction", Uniform(0.05, 0.1), names=("floor", "class:foot"))
    env = Robot(load(tmp_path, QUADRUPED), 1, 1, dynamics={"ice": ice})
    env.set_tasks({"ice": [0.07]})
    env.reset(seed=0)
    slippery = env.batch.expand("geom_friction")[0, :, 0] == 0.07
    names = [env.model.geom(geom).name for geom in np.flatnonzero(slippery)]
    assert names == ["floor", "FR_foot", "FL_foot", "RR_foot", "RL_foot"]
