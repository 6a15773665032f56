"""The environments by name. The table holds strings, so that reading it imports no simulator."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A registered environment."""

    target: str
    """`module:attribute` of its class."""
    description: str
    """One line."""
    needs: str = ""
    """What must be installed besides; nothing, mostly."""


TOY, POINT, ROBOT = (f"envs.families.{room}" for room in ("toy", "point", "locomotion"))
METAWORLD = "envs.families.metaworld"
QUADRUPED = "envs.families.robots.quadruped"
ARM = "envs.families.robots.arm"
CHEETAH, ANT, WALKER = (f"{ROBOT}.{robot}" for robot in ("half_cheetah", "ant", "walker"))
HAPPENS = "its body or ground changes"
FACTORS = "of random mass, inertia, damping and friction"
ENVIRONMENTS: dict[str, Entry] = {
    name: Entry(target, description)
    for name, target, description in (
        ("point-nav", f"{POINT}.navigation:PointNav", "a point in the plane finds a goal that it does not see"),
        ("sparse-point-nav", f"{POINT}.sparse_navigation:SparsePointNav", "a point finds a goal that pays only nearby"),
        ("point-corners", f"{POINT}.corner_navigation:PointCorners", "a point finds the corner that is its goal"),
        ("grid-navi", f"{TOY}.grid:GridNavi", "an agent finds the hidden goal cell of a grid"),
        ("dark-room", f"{TOY}.rooms:DarkRoom", "an agent in the dark finds a goal that only rewards tell of"),
        ("key-to-door", f"{TOY}.rooms:KeyToDoor", "an agent in the dark finds a key, then the door"),
        ("bandit", f"{TOY}.bandit:Bandit", "which of the arms pays best?"),
        ("tabular-mdp", f"{TOY}.tabular:TabularMDP", "a random decision process of a few states and actions"),
        ("half-cheetah-dir", f"{CHEETAH}:HalfCheetahDir", "a cheetah runs forwards or backwards"),
        ("half-cheetah-vel", f"{CHEETAH}:HalfCheetahVel", "a cheetah runs at a velocity that it is not told"),
        ("half-cheetah-params", f"{CHEETAH}_dynamics:HalfCheetahParams", f"a cheetah {FACTORS}"),
        ("half-cheetah-payload", f"{CHEETAH}_dynamics:HalfCheetahPayload", "a cheetah that carries a load"),
        ("half-cheetah-friction", f"{CHEETAH}_dynamics:HalfCheetahFriction", "a cheetah on other ground"),
        ("half-cheetah-gravity", f"{CHEETAH}_dynamics:HalfCheetahGravity", "a cheetah under another gravity"),
        ("half-cheetah-cripple", f"{CHEETAH}_dynamics:HalfCheetahCripple", "a cheetah with a dead motor"),
        ("ant-dir", f"{ANT}:AntDir", "an ant runs forwards or backwards"),
        ("ant-angle", f"{ANT}:AntAngle", "an ant runs along an angle"),
        ("ant-vel", f"{ANT}:AntVel", "an ant runs at a velocity that it is not told"),
        ("ant-goal", f"{ANT}:AntGoal", "an ant runs to a place that it is not told"),
        ("ant-params", f"{ANT}_dynamics:AntParams", f"an ant {FACTORS}"),
        ("ant-cripple", f"{ANT}_dynamics:AntCripple", "an ant with a crippled leg"),
        ("humanoid-dir", f"{ROBOT}.humanoid:HumanoidDir", "a humanoid runs along an angle"),
        ("walker-dir", f"{WALKER}:WalkerDir", "a walker walks forwards or backwards"),
        ("walker-vel", f"{WALKER}:WalkerVel", "a walker walks at a velocity that it is not told"),
        ("walker-params", f"{WALKER}:WalkerParams", f"a walker {FACTORS}"),
        ("hopper-params", f"{WALKER}:HopperParams", f"a hopper {FACTORS}"),
        ("swimmer-vel", f"{ROBOT}.swimmer:SwimmerVel", "a swimmer swims at a velocity that it is not told"),
        ("half-cheetah-change", f"{ROBOT}.changing:HalfCheetahChange", f"a cheetah runs, and then {HAPPENS}"),
        ("ant-change", f"{ROBOT}.changing:AntChange", f"an ant runs, and then {HAPPENS}"),
        ("walker-change", f"{ROBOT}.changing:WalkerChange", f"a walker walks, and then {HAPPENS}"),
        ("hopper-change", f"{ROBOT}.changing:HopperChange", f"a hopper hops, and then {HAPPENS}"),
        ("quadruped-velocity", f"{QUADRUPED}:QuadrupedVelocity", "a Go2 walks as told, whatever its load and ground"),
        ("quadruped-leg", f"{QUADRUPED}:QuadrupedLeg", "a Go2 walks as told with a weak motor"),
        (
            "quadruped-change",
            f"{QUADRUPED}:QuadrupedChange",
            "a Go2 walks as told, and then its body or ground changes",
        ),
        ("arm-reach", f"{ARM}:ArmReach", "a UR5e reaches a place with a load and motors of its own"),
        ("arm-push", f"{ARM}:ArmPush", "a UR5e pushes a box that it has never weighed to a place"),
    )
} | {
    f"metaworld-{suite}": Entry(f"{METAWORLD}.{target}", f"Meta-World: {description}", needs="metaworld")
    for suite, target, description in (
        ("ml1", "environment:MetaWorld", "one task (--env.task push-v3), which does not tell its goals"),
        ("ml10", "suites:MetaWorldML10", "ten tasks in training, five others in tests, told neither task nor goal"),
        ("ml25", "suites:MetaWorldML25", "25 tasks in training, four others in tests, told neither task nor goal"),
        ("ml45", "suites:MetaWorldML45", "45 tasks in training, five others in tests, told neither task nor goal"),
        ("mt10", "suites:MetaWorldMT10", "ten tasks that show their goals"),
        ("mt50", "suites:MetaWorldMT50", "fifty tasks that show their goals"),
    )
}
