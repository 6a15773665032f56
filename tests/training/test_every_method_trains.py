"""Every registered method, and one of the user's own, trained, resumed and evaluated by the commands."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.command import Command, assert_refused, end_result, numbers, train_arguments

from metarl.algorithms import ALGORITHMS, config_class, names_for

EVERY_METHOD = pytest.mark.parametrize("name", names_for("experience"))
CHEAP = {
    "cg-iterations": "2",
    "epochs": "2",
    "proximal-steps": "3",
    "implicit-iterations": "2",
    "rounds": "2",
}
CONTINUOUS_ONLY = ("pearl",)
ROUNDS = dict.fromkeys(["multitask", "oracle", "randomised", "rma", "system-id"], 1)  # of training; usually two
# Numbers of an observation, and of a task's parameters: position and goal; nothing and five arms; and of the cheetah
# positions 8, velocities 9, torso 3, with a velocity to run at.
SIZES = {"point-nav": (2, 2), "bandit": (1, 5), "half-cheetah-vel": (20, 1)}


def cheaply(name: str) -> list[str]:
    """Options that make a method's updates short."""
    fields = {field.name.replace("_", "-") for field in dataclasses.fields(config_class(name))}
    return [word for option, value in CHEAP.items() if option in fields for word in (f"--algo.{option}", value)]


def weights(run: Path, iteration: int) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint."""
    return load_file(run / f"checkpoints/iteration-{iteration:06d}.safetensors")


def policy_of(run: Path, iteration: int) -> dict[str, torch.Tensor]:
    """A checkpoint's meta-parameters."""
    return {name: value for name, value in weights(run, iteration).items() if name.startswith("policy")}


def evaluated(metarl: Command, run: str, *more: str, adaptations: int = 2) -> np.ndarray:
    """Returns of two unseen tasks after 0 … `adaptations` adaptations, `[N, K + 1]`."""
    result = metarl("evaluate", run, "--tasks", "2", "--adaptations", adaptations, "--json", *more)
    assert result.code == 0, result
    return np.array(json.loads(result.out)["per_task"])


@pytest.mark.parametrize("environment", ["point-nav", "bandit"])
@EVERY_METHOD
def test_every_method_trains_resumes_and_evaluates(
    metarl: Command, tmp_path: Path, name: str, environment: str
) -> None:
    if environment == "bandit" and name in CONTINUOUS_ONLY:
        refused = metarl(*train_arguments("run", 2, environment, name))
        assert_refused(refused, "actions of Discrete", "takes continuous ones — use")
        assert not any(tmp_path.iterdir())
        return
    more = [*cheaply(name), "--no-normalise-observations"]  # which would play two rounds before
    whole, half = ([*train_arguments(run, 2, environment, name), *more] for run in ("whole", "half"))
    assert metarl(*whole).code == 0
    lines = numbers(tmp_path / "whole")
    assert [line["iteration"] for line in lines] == [1, 2]
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    # 2 tasks x 3 episodes x 5 steps a round: no episode of so few steps ends early here.
    rounds = ROUNDS.get(name, 2)
    assert [line["env_steps"] for line in lines] == [30 * rounds, 60 * rounds]
    assert [key for key in lines[-1] if key.startswith("return/")] == [f"return/round_{k}" for k in range(rounds)]
    first, last = (policy_of(tmp_path / "whole", iteration) for iteration in (1, 2))
    changed = any(not torch.equal(first[key], value) for key, value in last.items())
    assert changed == (name != "random-init")

    position = half.index("--iterations") + 1
    assert metarl(*half[:position], "1", *half[position + 1 :]).code == 0
    assert metarl(*half, "--resume").code == 0
    assert end_result(tmp_path / "half") == end_result(tmp_path / "whole")

    per_task = evaluated(metarl, "half")
    assert per_task.shape == (2, 3) and np.isfinite(per_task).all()
    assert np.array_equal(per_task, evaluated(metarl, "whole"))


@pytest.mark.parametrize("name", ["multitask", "oracle"])
@pytest.mark.parametrize("environment", SIZES)
def test_the_oracles_policy_takes_the_task_beside_the_observation(
    metarl: Command, tmp_path: Path, environment: str, name: str
) -> None:
    assert metarl(*train_arguments("run", 1, environment, name), *cheaply(name)).code == 0
    observation, task = SIZES[environment]
    (first,) = (value for key, value in policy_of(tmp_path / "run", 1).items() if key.endswith("layers.0.weight"))
    assert first.shape == (8, observation + task * (name == "oracle"))
    assert evaluated(metarl, "run", adaptations=1).shape == (2, 2)


@pytest.mark.parametrize("name", ["random-init", "multitask", "oracle"])
def test_the_baselines_adapt_only_when_they_are_evaluated(metarl: Command, tmp_path: Path, name: str) -> None:
    # How they adapt changes no bit of their policies. A rate of 1e-30 leaves returns as they are. The factor of later
    # rounds does not reach the first step (round 1), but the second one (round 2).
    curves, policies = {}, []
    for run, options in {
        "never": ("1e-30", "1"),
        "first": ("0.5", "0"),
        "always": ("0.5", "1"),
    }.items():
        rates = ["--algo.inner-lr", options[0], "--algo.later-inner-lr", options[1]]
        tasks = ["--env.start-range", "0.5"]
        assert metarl(*train_arguments(run, 2, "point-nav", name), *cheaply(name), *rates, *tasks).code == 0
        policies.append(policy_of(tmp_path / run, 2))
        curves[run] = evaluated(metarl, run)
    for other in policies[1:]:
        assert other.keys() == policies[0].keys()
        # a trial of random-init is adapted in training too, but only for its metrics
        assert all(torch.equal(other[key], policies[0][key]) for key in other)
    for first, second, equal in (
        ("never", "first", [True, False, False]),
        ("first", "always", [True, True, False]),
    ):
        assert [bool((curves[first][:, k] == curves[second][:, k]).all()) for k in range(3)] == equal


def test_random_init_keeps_its_first_parameters(metarl: Command, tmp_path: Path) -> None:
    for run, seed in (("zero", "0"), ("one", "1")):
        assert metarl(*train_arguments(run, 3, algorithm="random-init"), "--seed", seed).code == 0
    first, last, other = weights(tmp_path / "zero", 1), weights(tmp_path / "zero", 3), weights(tmp_path / "one", 3)
    assert all(torch.equal(first[key], value) for key, value in last.items())
    assert any(not torch.equal(first[key], value) for key, value in other.items())


@pytest.mark.parametrize("environment", ["point-nav", "bandit"])
@pytest.mark.parametrize("name", ["maml-trpo", "cavia"])
def test_a_standard_deviation_that_depends_on_the_observation_trains(
    metarl: Command, tmp_path: Path, name: str, environment: str
) -> None:
    for run, options in {"plain": [], "dependent": ["--algo.state-dependent-std"]}.items():
        assert metarl(*train_arguments(run, 2, environment, name), *cheaply(name), *options).code == 0
    outputs = {}
    for run in ("plain", "dependent"):
        (bias,) = (x for key, x in policy_of(tmp_path / run, 2).items() if key.endswith("layers.1.bias"))
        outputs[run] = len(bias)
    curves = [evaluated(metarl, run) for run in outputs]
    if environment == "bandit":  # five arms, and nothing that could vary
        assert outputs == {"plain": 5, "dependent": 5}
        assert numbers(tmp_path / "plain") == numbers(tmp_path / "dependent") and np.array_equal(*curves)
    else:
        assert outputs == {"plain": 2, "dependent": 4}
        assert np.isfinite(curves).all()


SHARED = {
    *("hidden", "inner-steps", "inner-lr", "later-inner-lr", "entropy-bonus", "state-dependent-std"),
    *("discount", "gae-lambda", "policy", "memory-size"),
}
TRUST_REGION = {"max-kl", "cg-iterations", "curvature-share"}
ADAM = {"learning-rate", "learning-rate-decay", "max-gradient-norm"}
PROXIMAL = {
    *("hidden", "memory-size", "rounds", "discount", "gae-lambda", "entropy-bonus", "learning-rate"),
    *("epochs", "minibatches", "clip", "value-coefficient", "max-gradient-norm", "learning-rate-decay"),
    *("embedding-size", "desired-kl"),
}
BY_STEP = PROXIMAL - {"memory-size", "rounds", "embedding-size"}
STUDENT = {"teacher-iterations", "memory", "memory-size", "embedding-size", "student-epochs"}
OWN = {
    **dict.fromkeys(["maml-trpo", "fomaml", "anil", "meta-sgd", "lslr", "multitask", "oracle"], TRUST_REGION),
    "cavia": TRUST_REGION | {"context-size"},
    "imaml": TRUST_REGION | {"proximal-strength", "proximal-steps", "implicit-iterations"},
    "e-maml": TRUST_REGION | {"sampling-credit"},
    "maml-vpg": ADAM,
    "reptile": ADAM,
    "maml-ppo": ADAM | {"epochs", "clip"},
    "promp": ADAM | {"epochs", "clip", "kl-coefficient", "adaptive-kl", "target-kl"},
    "random-init": set(),
    "rl2": PROXIMAL | {"memory", "previous-observation"},
    "recurrent": PROXIMAL | {"memory", "previous-observation"},
    "randomised": BY_STEP,
    "rma": BY_STEP | STUDENT | {"encoding-size"},
    "system-id": BY_STEP | STUDENT,
    "varibad": PROXIMAL | {"memory", "latent-size", "replay-size", "model-updates", "bound-terms", "transition-weight"},
    "pearl": {
        "hidden",
        "latent-size",
        "context-size",
        "rounds",
        "replay-size",
        "update-ratio",
        "discount",
        "learning-rate",
    },
}


def options_of(name: str) -> set[str]:
    """Those of the options above that a method has."""
    return OWN[name] | (SHARED if ALGORITHMS[name].pair else set())


@EVERY_METHOD
def test_every_method_is_listed_and_shows_its_own_options_only(metarl: Command, name: str) -> None:
    line = next(line for line in metarl("list", "algos").out.splitlines() if f" {name} " in line)
    assert ALGORITHMS[name].description.split()[0] in line
    code, out, _ = metarl("train", "point-nav", name, "--help")
    words = out.replace("|", " ").replace(",", " ").split()
    assert code == 0
    for option in set().union(*OWN.values()) | SHARED:
        assert (f"--algo.{option}" in words) == (option in options_of(name)), option


BAD_OPTIONS = [
    ("cavia", "context-size", "0"),
    ("cavia", "context-size", "100000"),
    ("imaml", "proximal-strength", "0"),
    ("imaml", "proximal-strength", "nan"),
    ("imaml", "proximal-steps", "0"),
    ("imaml", "implicit-iterations", "0"),
    ("imaml", "inner-steps", "2"),
    ("maml-vpg", "learning-rate-decay", "0"),
    ("reptile", "learning-rate-decay", "1.5"),
    ("promp", "max-gradient-norm", "0"),
    ("maml-ppo", "max-gradient-norm", "inf"),
    ("e-maml", "sampling-credit", "-1"),
    ("maml-trpo", "entropy-bonus", "-1"),
    ("multitask", "entropy-bonus", "nan"),
    ("oracle", "later-inner-lr", "-0.5"),
    ("random-init", "inner-lr", "0"),
    ("rl2", "memory-size", "0"),
    ("rl2", "rounds", "0"),
    ("rl2", "minibatches", "0"),
    ("rl2", "value-coefficient", "0"),
    ("rl2", "clip", "nan"),
    ("rl2", "learning-rate-decay", "1.5"),
    ("pearl", "replay-size", "0"),
    ("pearl", "update-ratio", "-1"),
    ("pearl", "target-rate", "1.5"),
]


@pytest.mark.parametrize(("name", "option", "value"), BAD_OPTIONS)
def test_a_bad_value_of_a_methods_option_is_refused_by_name(
    metarl: Command, tmp_path: Path, name: str, option: str, value: str
) -> None:
    result = metarl(*train_arguments("run", algorithm=name), f"--algo.{option}={value}")
    assert_refused(result, f"algo.{option.replace('-', '_')} is {value}", "it must be")
    assert not any(tmp_path.iterdir())


OWN_PAIR = '''
from dataclasses import dataclass

from torch.func import grad

from metarl.algorithms.options import StepOptions
from metarl.core.inner_loops import GradientSteps
from metarl.runtime.options import number
from metarl.runtime.ranks import mean_over_tasks


class SignSteps(GradientSteps):
    def step(self, meta, params, support, number, scale=1.0):
        gradient = grad(lambda params: self.loss(params, support))(params)
        return {name: value - scale * self.rate * gradient[name].sign() for name, value in params.items()}


def inner(loss, model, config):
    return SignSteps(loss, config.inner_lr)


inner.Options = StepOptions


@dataclass(frozen=True)
class PaceOptions:
    pace: float = number(0.5, above=0, most=1)
    """How far to go towards the adapted parameters."""


class Towards:
    Options = PaceOptions

    def __init__(self, method):
        self.method, self.pace = method, method.config.pace

    def initial_state(self, meta):
        return {}

    def update(self, state, support, query):
        adapted = self.method.adapted(state["policy"], support, query)
        goal = mean_over_tasks(adapted)  # of all ranks
        policy = {name: x.lerp(goal[name], self.pace) for name, x in state["policy"].items()}
        return {**state, "policy": policy}, self.method.learned.metrics(policy, lambda: adapted, query, {})
'''


@pytest.mark.parametrize("target", ["own_pair.py", "own_pair"])
def test_an_inner_loop_and_a_meta_update_of_the_users_own_need_no_edit_here(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    (tmp_path / "own_pair.py").write_text(OWN_PAIR)
    monkeypatch.syspath_prepend(tmp_path)

    pair = "--algo.inner", f"{target}:inner", "--algo.outer", f"{target}:Towards"

    def train(run: str, iterations: int, *more: Any) -> None:
        arguments = [*train_arguments(run, iterations), *pair]
        result = metarl(*arguments, "--tasks", "1", "--algo.pace", "1.0", "--algo.inner-lr", "0.125", *more)
        assert result.code == 0, result

    train("whole", 2)
    train("half", 1)
    train("half", 2, "--resume")
    assert end_result(tmp_path / "half") == end_result(tmp_path / "whole")
    # One task, and all the way to its adapted parameters: each is one step of 0.125 away, or where it was.
    first, last = (policy_of(tmp_path / "whole", iteration) for iteration in (1, 2))
    steps = torch.cat([(last[key] - first[key]).flatten() for key in first]).abs()
    assert torch.where(steps > 0.06, (steps - 0.125).abs(), steps).max() < 1e-6
    assert (steps > 0.06).float().mean() > 0.5
    assert np.isfinite(evaluated(metarl, "half", "--trust")).all()

    assert "--algo.pace" in metarl("train", "point-nav", "maml-trpo", *pair, "--help").out
    refused = metarl(*train_arguments("bad"), *pair, "--algo.pace", "1.5")
    assert_refused(refused, "algo.pace is 1.5 — it must be at most 1")
