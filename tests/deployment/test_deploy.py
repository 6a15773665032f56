"""Deployment: a loaded policy adapts as training does, acts as its weights say, and leaves the house as a program."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import safetensors.numpy
import torch
from gymnasium.spaces import Box, Discrete
from scipy.stats import norm
from support.command import Command, assert_refused, snapshot, train_arguments

import envs
import metarl as library
from envs.adapters.one_lane import lane_spaces
from metarl.algorithms.algorithm import Traits
from metarl.cli import main
from metarl.core.types import Action
from metarl.deployment.adapt import AdaptedPolicy, AdaptivePolicy, load
from metarl.runtime.errors import EnvironmentBroke, InputError, NonFiniteError
from metarl.runtime.randomness import Address, Purpose
from metarl.sampling import collect as sampling

GOAL = {"goal": [0.3, -0.2]}
EPISODES, HORIZON = 3, 5  # of the tiny run


def plane(**options: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make("metarl/PointNav-v0", task=GOAL, horizon=HORIZON, **options)


@pytest.fixture(scope="module")
def bandit_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("bandit") / "run"
    assert main(train_arguments(run, iterations=2, environment="bandit")) == 0
    return run


def by_hand(params: dict[str, np.ndarray], observation: np.ndarray) -> np.ndarray:
    """The output of a network with one hidden layer of tanh, in double precision."""
    weights = {name.removeprefix("body.layers."): value.astype(np.float64) for name, value in params.items()}
    hidden = np.tanh(observation @ weights["0.weight"].T + weights["0.bias"])
    return hidden @ weights["1.weight"].T + weights["1.bias"]


def weights_on_disk(run: Path) -> dict[str, np.ndarray]:
    """The policy's parameters in the newest checkpoint, read without metarl."""
    path = max((run / "checkpoints").glob("*.safetensors"))
    stored = safetensors.numpy.load_file(path)
    return {name.removeprefix("policy/"): value for name, value in stored.items() if name.startswith("policy/")}


def test_adapting_in_one_environment_equals_collecting_the_same_experience_side_by_side(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The plane has one start and no chance: with the same noise, episodes one after the other in a gymnasium.Env are
    # those of as many lanes of the TaskEnv. Products of other batch sizes round differently, by some 1e-7.
    policy, rounds = library.load(finished_run), 2
    adapted = policy.adapt(plane(), episodes=EPISODES, adaptations=rounds, seed=7)

    address = Address(7).at(Purpose.EVALUATION)
    drawn = iter(
        np.concatenate(
            [
                address.at(Purpose.ACTIONS, 0, round_, episode)
                .generator()
                .standard_normal((1, 1, HORIZON, 2), dtype=np.float32)
                for episode in range(EPISODES)
            ],
            axis=1,
        )
        for round_ in range(rounds + 1)
    )
    monkeypatch.setattr(sampling, "draw_noise", lambda env, addresses: next(drawn))
    env = envs.make("point-nav", 1, EPISODES, horizon=HORIZON)
    env.set_tasks({"goal": [GOAL["goal"]]})
    agent = Recorder(policy.setup.algorithm)
    trial = sampling.collect(env, agent, policy.state, rounds + 1, Address(99))
    np.testing.assert_allclose(adapted.returns, trial.returns[0, :rounds], rtol=1e-5)
    start = policy.adapt(plane(), adaptations=0).memory.params
    for name, value in agent.memories[-1].params.items():
        torch.testing.assert_close(adapted.memory.params[name], value, rtol=1e-4, atol=1e-6)
        assert (value - start[name]).abs().max() > 1e-4, name  # the steps were no tiny ones


class Recorder:
    """An agent that remembers what adapting returned."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.memories: list[Any] = []

    def acting(self, state: Any) -> Any:
        return self.agent.acting(state)

    def begin(self, *arguments: Any) -> Any:
        return self.agent.begin(*arguments)

    def act(self, *arguments: Any) -> Any:
        return self.agent.act(*arguments)

    def observe(self, *arguments: Any) -> Any:
        return self.agent.observe(*arguments)

    def adapt(self, *arguments: Any) -> Any:
        self.memories.append(self.agent.adapt(*arguments))
        return self.memories[-1]


def test_the_action_is_the_mean_that_the_checkpoints_weights_give(finished_run: Path) -> None:
    adapted = load(finished_run).adapt(plane(), adaptations=0)
    observations = np.random.default_rng(0).normal(size=(6, 2))
    expected = np.clip(by_hand(weights_on_disk(finished_run), observations), -1, 1)
    np.testing.assert_allclose(adapted(observations), expected, atol=1e-6)
    np.testing.assert_allclose(adapted(observations[2]), expected[2], atol=1e-6)
    assert adapted(observations[2]).shape == (2,) and len(adapted.returns) == 0


def test_actions_stay_within_the_space_of_the_environment(finished_run: Path) -> None:
    adapted = load(finished_run).adapt(plane(), adaptations=0)
    far = np.full(2, 1e6)
    unclipped = by_hand(weights_on_disk(finished_run), far)
    assert (np.abs(unclipped) > 1).any()  # or nothing would be tested
    np.testing.assert_allclose(adapted(far), np.clip(unclipped, -1, 1), atol=1e-5)
    noisy = np.stack([adapted(far, np.random.default_rng(seed)) for seed in range(20)])
    assert (np.abs(noisy) <= 1).all()


def test_sampled_actions_have_the_policys_mean_and_deviation(finished_run: Path) -> None:
    # Normal with the mean and deviation of the checkpoint's weights, cut at ±1: with standardised bounds α, β the
    # share Φ(α) + 1 − Φ(β) is cut, and the mean is −Φ(α) + 1 − Φ(β) + μ (Φ(β) − Φ(α)) − σ (φ(β) − φ(α)). Among 4,000
    # draws three deviations of a share of 0.32 are 2.2 %, and of a mean of draws with deviation 0.72 they are 0.034.
    adapted, weights = load(finished_run).adapt(plane(), adaptations=0), weights_on_disk(finished_run)
    actions = adapted(np.zeros((2000, 2)), np.random.default_rng(0))
    mean, deviation = by_hand(weights, np.zeros(2)), np.exp(weights["log_std"])
    low, high = (-1 - mean) / deviation, (1 - mean) / deviation
    below, above = norm.cdf(low), norm.sf(high)
    expected = above - below + mean * (1 - below - above) - deviation * (norm.pdf(high) - norm.pdf(low))
    assert abs((np.abs(actions) == 1).mean() - (below + above).mean()) < 0.022
    assert abs(actions.mean() - expected.mean()) < 0.034


def test_the_likeliest_of_discrete_actions_is_taken(bandit_run: Path) -> None:
    adapted = load(bandit_run).adapt(gymnasium.make("metarl/Bandit-v0", horizon=5), adaptations=1, episodes=3)
    params = {name: value[0].numpy() for name, value in adapted.memory.params.items()}
    logits = by_hand(params, np.zeros((1, 1)))[0]
    assert adapted(np.zeros(1)) == logits.argmax()
    drawn = adapted(np.zeros((4000, 1)), np.random.default_rng(0))
    odds = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(np.bincount(drawn, minlength=5) / 4000, odds, atol=0.03)


def test_two_adapted_policies_do_not_disturb_each_other(finished_run: Path) -> None:
    policy, observation = load(finished_run), np.array([0.1, 0.2])
    right, up = ([{"goal": [0.5, 0.0]}, {"goal": [0.0, 0.5]}][k] for k in range(2))

    def adapt(task: dict[str, list[float]]) -> AdaptedPolicy:
        env = gymnasium.make("metarl/PointNav-v0", task=task, horizon=HORIZON)
        return policy.adapt(env, episodes=3, adaptations=2)

    first = adapt(right)
    action = first(observation)
    second = adapt(up)
    assert (second(observation) != action).any()
    np.testing.assert_array_equal(first(observation), action)
    np.testing.assert_array_equal(adapt(right)(observation), action)


class Counting(gymnasium.Env[Any, Any]):
    """One observation, one action; episodes end by themselves after three steps. Counts, and may raise."""

    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Box(-1, 1, (2,), np.float32)
    resets = steps = 0
    seeds: list[int | None]
    raises = closed = False

    def __init__(self) -> None:
        self.seeds = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.resets, self.t = self.resets + 1, 0
        self.seeds.append(seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        assert action.dtype == np.float32 and self.action_space.contains(action)
        if self.raises:
            raise RuntimeError("the gripper is stuck")
        self.steps, self.t = self.steps + 1, self.t + 1
        return np.full(2, self.t / 5, np.float32), float(action[0]), self.t == 3, False, {}

    def close(self) -> None:
        self.closed = True


def test_a_users_environment_is_played_episode_by_episode_and_left_open(finished_run: Path) -> None:
    env = Counting()
    adapted = load(finished_run).adapt(env, episodes=4, adaptations=2)
    assert (env.resets, env.steps, env.closed) == (8, 24, False)
    assert len(set(env.seeds)) == 8 and adapted.returns.shape == (2,)
    assert adapted(env.reset()[0]).dtype == np.float32


def test_what_an_environment_raises_is_its_own_fault(finished_run: Path) -> None:
    env = Counting()
    env.raises = True
    with pytest.raises(EnvironmentBroke, match="the gripper is stuck"):
        load(finished_run).adapt(env)


class Memoriser:
    """An agent whose action is the number of steps it has observed; it learns from single episodes."""

    rounds, device = 2, torch.device("cpu")

    def __init__(self) -> None:
        self.adapted_on: list[tuple[int, ...]] = []

    @classmethod
    def traits(cls, config: Any) -> Traits:
        return Traits(adapts_after_each_episode=True)

    def acting(self, state: Any) -> Any:
        return {}

    def begin(self, acting: Any, addresses: Any, lanes_per_task: int) -> Any:
        assert len(addresses) == lanes_per_task == 1
        return torch.zeros(1, 1, 2)

    def act(self, acting: Any, memory: Any, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor) -> Any:
        return Action(memory / 100, torch.zeros(1, 1)), memory

    def observe(self, acting: Any, memory: Any, transition: Any) -> Any:
        return memory + transition.mask[..., None]

    def adapt(self, state: Any, memory: Any, rollout: Any) -> Any:
        self.adapted_on.append(tuple(rollout.mask.shape))
        return memory

    def initial_state(self, address: Address) -> Any:
        return {}

    def update(self, state: Any, trial: Any, address: Address) -> Any:
        return state, {}


def remembering(run: Path) -> tuple[AdaptivePolicy, Memoriser]:
    policy, agent = load(run), Memoriser()
    return replace(policy, setup=replace(policy.setup, algorithm=agent)), agent  # type: ignore[arg-type]


def test_a_memory_of_single_steps_lives_through_episodes_and_in_the_adapted_policy_alone(finished_run: Path) -> None:
    policy, agent = remembering(finished_run)
    adapted = policy.adapt(Counting(), episodes=4, adaptations=2)
    assert agent.adapted_on == [(1, 1, HORIZON)] * 8  # after each episode
    assert len(adapted.returns) == 8
    here = np.zeros(2)
    assert adapted(here) == pytest.approx([0.24, 0.24])  # 8 episodes of 3 steps were observed
    adapted.observe(1.0, here)
    assert adapted(here) == pytest.approx([0.25, 0.25])
    adapted.reset()
    assert adapted(here) == pytest.approx([0.24, 0.24])
    with pytest.raises(InputError, match="one at a time"):
        adapted(np.zeros((2, 2)))


EPISODE_WITHOUT_METARL = """
import json, sys, numpy as np, torch
folder, given, out = sys.argv[1:]
program = torch.export.load(folder + "/policy.pt2").module()
memory = torch.tensor(json.load(open(folder + "/policy.json"))["memory"]["at_the_start_of_an_episode"])
actions, reward = [], torch.zeros(1)
for row in torch.from_numpy(np.load(given)):
    action, memory = program(row[None, :-1], reward, memory)
    actions.append(action[0].numpy())
    reward = row[-1:]
np.save(out, np.array(actions))
assert not {"metarl", "envs"} & sys.modules.keys()
"""


@pytest.mark.parametrize(
    ("algorithm", "options"), [("rl2", {}), ("rl2", {"memory": "attention"}), ("varibad", {})], ids=str
)
@pytest.mark.parametrize("environment", ["grid-navi", "point-nav"])
def test_a_policy_that_remembers_steps_is_exported_with_its_memory(
    algorithm: str, options: dict[str, Any], environment: str, tmp_path: Path
) -> None:
    sizes = {"tasks": 4, "lanes": 3, "iterations": 1, "threads": 1, "torch_threads": 1}
    trained = library.train(environment, algorithm, out=tmp_path / "run", env={"horizon": 6}, algo=options, **sizes)
    (adapted,) = load(trained.path).practise(task=0, adaptations=1)[-1:]
    library.export(adapted, tmp_path / "policy")
    rows = np.random.default_rng(1).normal(size=(9, adapted.spaces.observation_size + 1)).astype(np.float32)
    np.save(tmp_path / "in.npy", rows)
    arguments = [str(tmp_path / name) for name in ("policy", "in.npy", "out.npy")]
    subprocess.run([sys.executable, "-I", "-c", EPISODE_WITHOUT_METARL, *arguments], check=True, cwd=tmp_path)
    ours = []
    for step, row in enumerate(rows):
        if step:
            adapted.observe(float(rows[step - 1, -1]), row[:-1])
        ours.append(adapted(row[:-1]))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), ours, atol=1e-6, rtol=0)
    forgetful = [adapted.reset() or adapted(row[:-1]) for row in rows]  # what came before counts
    assert environment == "grid-navi" or np.abs(np.array(forgetful) - ours).max() > 1e-6


def test_a_memory_that_grows_is_not_exported(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, agent = remembering(finished_run)
    monkeypatch.setattr(agent, "observe", lambda acting, memory, transition: torch.cat([memory, memory]))
    monkeypatch.setattr(agent, "act", lambda acting, memory, *seen: (Action(memory[:1], torch.zeros(1, 1)), memory))
    with pytest.raises(InputError, match=r"remembers grows with each step.* — use metarl\.load"):
        library.export(policy.adapt(Counting(), adaptations=0), tmp_path / "policy")
    assert not (tmp_path / "policy").exists()


@pytest.mark.parametrize(
    ("observations", "actions", "words"),
    [
        (3, Box(-1, 1, (2,)), "shows 3 numbers, the policy was trained on 2"),
        (2, Box(-1, 1, (3,)), "trained on Box"),
        (2, Box(-2, 2, (2,)), r"takes actions of Box\(-2.0, 2.0"),
        (2, Discrete(2), r"takes actions of Discrete\(2\)"),
    ],
)
def test_other_spaces_are_refused_before_anything_is_played(
    finished_run: Path, observations: int, actions: Any, words: str
) -> None:
    env = Counting()
    env.observation_space, env.action_space = Box(-1, 1, (observations,)), actions
    with pytest.raises(InputError, match=words) as raised:
        load(finished_run).adapt(env)
    assert " — " in str(raised.value) and "\n" not in str(raised.value) and env.resets == 0


def test_what_cannot_be_played_or_seen_is_refused(finished_run: Path) -> None:
    policy = load(finished_run)
    with pytest.raises(InputError, match="give a single environment"):
        lane_spaces(gymnasium.make_vec("CartPole-v1"))  # type: ignore[arg-type]
    for options in ({"episodes": 0}, {"adaptations": -1}, {"seed": -1}):
        with pytest.raises(InputError, match=f"{next(iter(options))} is .* at least"):
            policy.adapt(plane(), **options)
    adapted = policy.adapt(plane(), adaptations=0)
    with pytest.raises(InputError, match=r"shape \(3,\) — give \(2,\)"):
        adapted(np.zeros(3))
    with pytest.raises(NonFiniteError, match="not finite"):
        adapted(np.array([0.0, np.nan]))
    with pytest.raises(InputError, match="follows no action"):
        adapted.observe(0.0, np.zeros(2))


WITHOUT_METARL = """
import sys, numpy as np, torch
program = torch.export.load(sys.argv[1]).module()
np.save(sys.argv[3], program(torch.from_numpy(np.load(sys.argv[2]))).numpy())
assert not {"metarl", "envs"} & sys.modules.keys()
"""


@pytest.mark.parametrize("kind", ["continuous", "discrete"])
def test_the_exported_program_acts_alike_where_metarl_is_unknown(
    kind: str, finished_run: Path, bandit_run: Path, tmp_path: Path
) -> None:
    discrete = kind == "discrete"
    env = gymnasium.make("metarl/Bandit-v0", horizon=5) if discrete else plane()
    adapted = load(bandit_run if discrete else finished_run).adapt(env, episodes=3)
    library.export(adapted, tmp_path / "policy")
    observations = np.random.default_rng(1).normal(size=(7, 1 if discrete else 2)).astype(np.float32)
    np.save(tmp_path / "in.npy", observations)
    arguments = [str(tmp_path / name) for name in ("policy/policy.pt2", "in.npy", "out.npy")]
    subprocess.run([sys.executable, "-I", "-c", WITHOUT_METARL, *arguments], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), adapted(observations), atol=1e-6, rtol=0)

    stored = safetensors.numpy.load_file(tmp_path / "policy" / "weights.safetensors")
    params = {name.removeprefix("params/"): value[0] for name, value in stored.items() if name.startswith("params/")}
    outputs = by_hand(params, observations.astype(np.float64))
    expected = outputs.argmax(axis=1) if discrete else np.clip(outputs, -1, 1)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)

    facts = json.loads((tmp_path / "policy" / "policy.json").read_text())
    assert facts["adapted_in_rounds"] == 1 and facts["returns"] == adapted.returns.tolist()
    assert facts["observation"]["size"] == observations.shape[1]
    assert facts["action"] == (
        {"type": "discrete", "first": 0, "count": 5}
        if discrete
        else {"type": "box", "size": 2, "low": [-1.0, -1.0], "high": [1.0, 1.0]}
    )


def test_a_program_that_acts_otherwise_is_not_written(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metarl.deployment import export

    forward = export.Program.forward
    monkeypatch.setattr(export.Program, "forward", lambda self, observation: forward(self, observation) + 1e-5)
    with pytest.raises(RuntimeError, match="differ from the policy's"):
        library.export(load(finished_run).adapt(plane(), adaptations=0), tmp_path / "policy")
    assert list(tmp_path.iterdir()) == []


def test_the_command_exports_the_policy_as_trained_or_adapted(metarl: Command, run: Path) -> None:
    assert metarl("export", "run", "--out", "plain").code == 0
    stored = safetensors.numpy.load_file("plain/weights.safetensors")
    for name, value in weights_on_disk(run).items():
        np.testing.assert_array_equal(stored[f"params/{name}"][0], value)
    assert metarl("export", "run", "--out", "adapted", "--adaptations", "2").code == 0
    facts = json.loads(Path("adapted/policy.json").read_text())
    assert facts["adapted_in_rounds"] == 2 and facts["iteration"] == 4


def test_bad_input_is_refused_and_nothing_is_written(metarl: Command, run: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    before = snapshot(tmp_path)
    assert_refused(metarl("export", "no-such", "--out", "policy"), "no run at no-such")
    assert_refused(metarl("export", "run", "--out", "taken"), "taken is there already")
    assert_refused(metarl("export", "run", "--out", "no/such/policy"), "no/such is no folder")
    assert_refused(metarl("export", "run", "--out", "policy", "--adaptations=-1"), "--adaptations is -1")
    assert snapshot(tmp_path) == before


def test_the_readmes_script_runs_and_the_policy_ends_with_its_episode(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (script,) = [text.split("```")[0] for text in readme.split("```python\n")[1:] if "metarl.load(" in text]
    assert len([line for line in script.splitlines() if line.strip()]) <= 15
    monkeypatch.setattr(library, "load", lambda path: load(finished_run), raising=False)
    namespace: dict[str, Any] = {}
    exec(script.replace("episodes=20", "episodes=2"), namespace)
    assert namespace["done"] and len(namespace["adapted"].returns) == 1
