"""What is said of the environments is what they do: rewards, ends, control rates, sources."""

import importlib.util
import re

import numpy as np
import pytest

import envs
from envs.contract.definition import Summary, states
from envs.contract.sources import MAML, OURS, Source, Variant, after
from envs.facts import facts, paid_by_default, variants
from envs.registry import describe, environment_class

EVERY = [(name, variant) for name in envs.names() for variant in environment_class(name).variants]
every_variant = pytest.mark.parametrize(("name", "variant"), EVERY, ids=["/".join(pair) for pair in EVERY])


@pytest.mark.parametrize(
    ("name", "variant"), [(name, variant) for name in describe() for variant in environment_class(name).variants]
)
def test_every_variant_has_a_source(name: str, variant: str) -> None:
    definition = environment_class(name).variants[variant]
    assert isinstance(definition, Variant)
    source = definition.source
    assert source.title
    assert source.arxiv == "" or re.fullmatch(r"\d{4}\.\d{5}", source.arxiv)
    if source != OURS and variant != "metarl":
        assert source.arxiv or source.repository
    if source.repository:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", source.repository) and re.fullmatch("[0-9a-f]{40}", source.commit)
        assert source.path.endswith(".py") and not source.path.startswith("/")
        assert f"/blob/{source.commit}/{source.path})" in source.markdown()
    assert source.title in str(source) and source.title in source.markdown()


@every_variant
def test_what_never_terminates_never_does_and_the_others_can(name: str, variant: str) -> None:
    env = envs.make(name, 2, 2, threads=1, variant=variant, horizon=40)
    reward, termination = env.summary()
    assert reward and "{" not in reward + termination
    env.reset(seed=0)
    env.action_space.seed(0)
    ended = np.zeros(4, bool)
    for _ in range(40):
        ended |= env.step(env.action_space.sample())[2]
    assert termination != "never" or not ended.any()
    if isinstance(env, envs.MujocoTasks) and termination != "never":
        # Two metres up, every robot is outside of its heights, but for a quadruped, which only falls.
        env.reset(seed=0)
        env.qpos[:, 1 if name.startswith(("walker", "hopper")) else 2] += -2.0 if name.startswith("quadruped") else 2.0
        if not name.startswith("hopper"):  # which may be as high as it gets
            assert env.terminated().all()


def test_formulas_are_what_a_step_pays() -> None:
    """By hand, from the terms that a step tells."""
    env = envs.make("ant-goal", 1, 1, variant="maml")
    assert env.summary().reward == "−‖p − goal‖₁ + 4 + 0.05 − 0.005·Σa² − 0.0005·Σf²"
    env.reset(seed=0)
    action = np.full((1, 8), 0.5)
    _, reward, _, _, info = env.step(action)
    place, goal = env.fields["subtree_com"][0, 1, :2], env.lane_tasks["goal"][0]  # type: ignore[attr-defined]
    squares = (np.clip(env.fields["cfrc_ext"][0], -1, 1) ** 2).sum()  # type: ignore[attr-defined]
    expected = -np.abs(place - goal).sum() + 4 + 0.05 - 0.005 * 8 * 0.25 - 0.0005 * squares
    np.testing.assert_allclose(reward, expected, rtol=1e-12)
    env = envs.make("half-cheetah-vel", 1, 1)  # actions in ±10
    assert env.summary().reward == "−|v − velocity| − 0.05·Σa²"
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.full((1, 6), 5.0))
    np.testing.assert_allclose(reward, -np.abs(info["velocity"] - env.lane_tasks["velocity"]) - 0.05 * 6 * 0.25)
    assert envs.make("humanoid-dir", 1, 1).summary() == Summary(
        "1.25·(cos(angle)·v_x + sin(angle)·v_y) + 5 − 0.1·Σa²", "torso outside 1 to 2 m"
    )
    assert envs.make("ant-goal", 1, 1).summary().termination == "never"
    assert envs.make("bandit", 1, 1, variant="deleu-gaussian").summary() == Summary("N(means[arm], 1²)", "each pull")


def test_terms_that_say_nothing_are_left_out() -> None:
    class Options:
        def __init__(self) -> None:
            self.weight, self.bonus, self.cost, self.other = 1.0, 0.0, 0.0, 0.1

    class Env:
        config = Options()

    summary = states(
        "{weight:g}·v + {bonus:g} − {cost:g}·Σa² − {other:g}·Σf² + 0.01", lambda options: "after {other:g}"
    )
    assert summary(Env()) == Summary("v − 0.1·Σf² + 0.01", "after 0.1")


def test_control_rates_are_steps_in_a_second() -> None:
    # Gymnasium's models: 0.01 s · 5; 0.003 s · 5; ProMP's walker: 0.002 s · 8
    rates = {name: facts(name)["control"] for name in ("half-cheetah-vel", "humanoid-dir", "walker-dir", "bandit")}
    assert rates == {"half-cheetah-vel": "20 Hz", "humanoid-dir": "66.7 Hz", "walker-dir": "62.5 Hz", "bandit": "–"}


def test_what_knowing_the_task_is_worth_is_said_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.facts.levels", lambda: {"bandit": {"random": 5.0, "untold": 5.25, "told": 7.5}})
    assert facts("bandit")["knowing the task"] == "5.25 → 7.5" and facts("point-nav")["knowing the task"] == "–"


def test_facts_are_those_of_the_default_variant() -> None:
    point, bandit = facts("point-nav"), facts("bandit")
    assert (point["steps"], point["observation"], point["action"], bandit["action"]) == (
        "100",
        "2",
        "2 in ±1",
        "one of 5",
    )
    assert point["test tasks"] == "as in training" and bandit["outside"] == "–"
    assert facts("ant-cripple")["test tasks"] == "`leg` one of 3"
    changes = {variant: change for variant, change, _ in variants("point-nav")}
    assert (
        changes["maml"] == "the default" and changes["meta-sgd"] == "start_range 0.5" and changes["l2l"] == "the same"
    )


def test_what_needs_a_package_says_what_it_pays_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Meta-World (sawyer_xyz_env.py): five steps of 2.5 ms, 500 in an episode
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    told = {"terminates": "never", "control": "80 Hz", "steps": "500"}
    assert paid_by_default("metaworld-ml1") == {"a step pays": "reach-v3's own, version v2", **told}
    assert paid_by_default("metaworld-ml10") == {"a step pays": "its task's own, version v2", **told}
    assert paid_by_default("bandit").items() < facts("bandit").items()


def test_a_source_names_a_file_in_a_folder() -> None:
    assert (MAML / "a/b.py").path == "rllab/envs/mujoco/a/b.py" and after(MAML).title.startswith("metarl, after Finn")
    assert str(Source("Who 2020", "2001.00001")) == "Who 2020, arXiv:2001.00001"
    assert str(Source("Who 2020", "", "a/b", "0123456789", "c/d.py")) == "Who 2020, a/b@0123456 d.py"
    assert Source("Who").markdown() == "Who"


def test_the_table_in_the_terminal_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from metarl.listing import tables

    console = Console(width=200)
    for table in tables("envs"):
        console.print(table)
    text = capsys.readouterr().out
    for word in (
        "1 with probability means[arm], else 0",
        "torso outside 1 to 2 m",
        "62.5 Hz",
        "katerakelly/oyster@44e20fd",
        "reach-v3's own, version v2",
        "Farama-Foundation/Metaworld@7ea2b50 sawyer_xyz_env.py",
    ):
        assert word in text
