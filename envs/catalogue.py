"""The environments by name. The table holds strings, so that reading it imports no simulator."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A registered environment."""

    target: str
    """`module:attribute` of its class."""
    description: str
    """One line."""


ENVIRONMENTS: dict[str, Entry] = {
    "point-nav": Entry("envs.navigation:PointNav", "a point in the plane finds a goal that it does not see"),
    "sparse-point-nav": Entry("envs.sparse_navigation:SparsePointNav", "a point finds a goal that pays only nearby"),
    "point-corners": Entry("envs.corner_navigation:PointCorners", "a point finds the corner that is its goal"),
    "grid-navi": Entry("envs.grid:GridNavi", "an agent finds the hidden goal cell of a grid"),
    "bandit": Entry("envs.bandit:Bandit", "which of the arms pays best?"),
    "tabular-mdp": Entry("envs.tabular:TabularMDP", "a random decision process of a few states and actions"),
    "half-cheetah-dir": Entry("envs.half_cheetah:HalfCheetahDir", "a cheetah runs forwards or backwards"),
    "half-cheetah-vel": Entry("envs.half_cheetah:HalfCheetahVel", "a cheetah runs at a velocity that it is not told"),
    "half-cheetah-params": Entry(
        "envs.half_cheetah_dynamics:HalfCheetahParams", "a cheetah of random mass, inertia, damping and friction"
    ),
    "half-cheetah-payload": Entry("envs.half_cheetah_dynamics:HalfCheetahPayload", "a cheetah that carries a load"),
    "half-cheetah-friction": Entry("envs.half_cheetah_dynamics:HalfCheetahFriction", "a cheetah on other ground"),
    "half-cheetah-gravity": Entry("envs.half_cheetah_dynamics:HalfCheetahGravity", "a cheetah under another gravity"),
    "half-cheetah-cripple": Entry("envs.half_cheetah_dynamics:HalfCheetahCripple", "a cheetah with a dead motor"),
    "ant-dir": Entry("envs.ant:AntDir", "an ant runs forwards or backwards"),
    "ant-angle": Entry("envs.ant:AntAngle", "an ant runs along an angle"),
    "ant-vel": Entry("envs.ant:AntVel", "an ant runs at a velocity that it is not told"),
    "ant-goal": Entry("envs.ant:AntGoal", "an ant runs to a place that it is not told"),
    "ant-params": Entry("envs.ant_dynamics:AntParams", "an ant of random mass, inertia, damping and friction"),
    "ant-cripple": Entry("envs.ant_dynamics:AntCripple", "an ant with a crippled leg"),
    "humanoid-dir": Entry("envs.humanoid:HumanoidDir", "a humanoid runs along an angle"),
    "walker-dir": Entry("envs.walker:WalkerDir", "a walker walks forwards or backwards"),
    "walker-vel": Entry("envs.walker:WalkerVel", "a walker walks at a velocity that it is not told"),
    "walker-params": Entry("envs.walker:WalkerParams", "a walker of random mass, inertia, damping and friction"),
    "hopper-params": Entry("envs.hopper:HopperParams", "a hopper of random mass, inertia, damping and friction"),
    "swimmer-vel": Entry("envs.swimmer:SwimmerVel", "a swimmer swims at a velocity that it is not told"),
}
