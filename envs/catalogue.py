"""The environments by name. The table holds strings, so that reading it imports no simulator."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A registered environment."""

    target: str
    """`module:attribute` of its class."""
    description: str
    """One line."""


TOY, POINT, ROBOT = (f"envs.families.{room}" for room in ("toy", "point", "locomotion"))

ENVIRONMENTS: dict[str, Entry] = {
    "point-nav": Entry(f"{POINT}.navigation:PointNav", "a point in the plane finds a goal that it does not see"),
    "sparse-point-nav": Entry(
        f"{POINT}.sparse_navigation:SparsePointNav", "a point finds a goal that pays only nearby"
    ),
    "point-corners": Entry(f"{POINT}.corner_navigation:PointCorners", "a point finds the corner that is its goal"),
    "grid-navi": Entry(f"{TOY}.grid:GridNavi", "an agent finds the hidden goal cell of a grid"),
    "bandit": Entry(f"{TOY}.bandit:Bandit", "which of the arms pays best?"),
    "tabular-mdp": Entry(f"{TOY}.tabular:TabularMDP", "a random decision process of a few states and actions"),
    "half-cheetah-dir": Entry(f"{ROBOT}.half_cheetah:HalfCheetahDir", "a cheetah runs forwards or backwards"),
    "half-cheetah-vel": Entry(
        f"{ROBOT}.half_cheetah:HalfCheetahVel", "a cheetah runs at a velocity that it is not told"
    ),
    "half-cheetah-params": Entry(
        f"{ROBOT}.half_cheetah_dynamics:HalfCheetahParams",
        "a cheetah of random mass, inertia, damping and friction",
    ),
    "half-cheetah-payload": Entry(f"{ROBOT}.half_cheetah_dynamics:HalfCheetahPayload", "a cheetah that carries a load"),
    "half-cheetah-friction": Entry(f"{ROBOT}.half_cheetah_dynamics:HalfCheetahFriction", "a cheetah on other ground"),
    "half-cheetah-gravity": Entry(
        f"{ROBOT}.half_cheetah_dynamics:HalfCheetahGravity", "a cheetah under another gravity"
    ),
    "half-cheetah-cripple": Entry(f"{ROBOT}.half_cheetah_dynamics:HalfCheetahCripple", "a cheetah with a dead motor"),
    "ant-dir": Entry(f"{ROBOT}.ant:AntDir", "an ant runs forwards or backwards"),
    "ant-angle": Entry(f"{ROBOT}.ant:AntAngle", "an ant runs along an angle"),
    "ant-vel": Entry(f"{ROBOT}.ant:AntVel", "an ant runs at a velocity that it is not told"),
    "ant-goal": Entry(f"{ROBOT}.ant:AntGoal", "an ant runs to a place that it is not told"),
    "ant-params": Entry(f"{ROBOT}.ant_dynamics:AntParams", "an ant of random mass, inertia, damping and friction"),
    "ant-cripple": Entry(f"{ROBOT}.ant_dynamics:AntCripple", "an ant with a crippled leg"),
    "humanoid-dir": Entry(f"{ROBOT}.humanoid:HumanoidDir", "a humanoid runs along an angle"),
    "walker-dir": Entry(f"{ROBOT}.walker:WalkerDir", "a walker walks forwards or backwards"),
    "walker-vel": Entry(f"{ROBOT}.walker:WalkerVel", "a walker walks at a velocity that it is not told"),
    "walker-params": Entry(f"{ROBOT}.walker:WalkerParams", "a walker of random mass, inertia, damping and friction"),
    "hopper-params": Entry(f"{ROBOT}.hopper:HopperParams", "a hopper of random mass, inertia, damping and friction"),
    "swimmer-vel": Entry(f"{ROBOT}.swimmer:SwimmerVel", "a swimmer swims at a velocity that it is not told"),
}
