"""A policy leaves the house as a program that acts alike where metarl is unknown."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import safetensors.numpy
import torch
from support.command import Command, assert_refused, snapshot
from support.policies import Counting, by_hand, plane, remembering, weights_on_disk

import metarl as library
from metarl.core.types import Action
from metarl.deployment import export
from metarl.deployment.adapt import AdaptedPolicy, load
from metarl.runtime.errors import InputError

WITHOUT_METARL = """
import json, sys, numpy as np, torch
for folder in sys.argv[1:]:
    program = torch.export.load(folder + "/policy.pt2").module()
    rows, memory = torch.from_numpy(np.load(folder + ".npy")), json.load(open(folder + "/policy.json")).get("memory")
    if memory is None:
        actions = program(rows).numpy()
    else:
        memory, actions, reward = torch.tensor(memory["at_the_start_of_an_episode"]), [], torch.zeros(1)
        for row in rows:
            action, memory = program(row[None, :-1], reward, memory)
            actions.append(action[0].numpy())
            reward = row[-1:]
    np.save(folder + "-actions.npy", np.array(actions))
assert not {"metarl", "envs"} & sys.modules.keys()
"""


def acted_without_metarl(folder: Path, cases: dict[str, tuple[AdaptedPolicy, np.ndarray]]) -> dict[str, np.ndarray]:
    """Actions of exported policies: of each at rows of observations, followed by the reward for the action there where
    it remembers steps. One process sees to all, which spares imports of torch."""
    for name, (adapted, rows) in cases.items():
        library.export(adapted, folder / name)
        np.save(folder / f"{name}.npy", rows.astype(np.float32))
    arguments = [str(folder / name) for name in cases]
    subprocess.run([sys.executable, "-I", "-c", WITHOUT_METARL, *arguments], check=True, cwd=folder)
    return {name: np.load(folder / f"{name}-actions.npy") for name in cases}


@pytest.mark.parametrize("environment", ["grid-navi", "point-nav"])
def test_policies_that_remember_steps_are_exported_with_their_memory(environment: str, tmp_path: Path) -> None:
    sizes = {"tasks": 4, "lanes": 3, "iterations": 1, "threads": 1, "torch_threads": 1}
    methods: dict[str, tuple[str, dict[str, Any]]] = {
        "rl2": ("rl2", {}),
        "attention": ("rl2", {"memory": "attention"}),
        "varibad": ("varibad", {}),
        "recurrent-maml": ("maml-trpo", {"policy": "attention"}),
        "in tens": ("rl2", {}),  # of reward, and observations in units of their spread
    }
    units = {"in tens": {"reward_unit": 10.0, "normalise_observations": True}}
    cases = {}
    for name, (algorithm, options) in methods.items():
        out = tmp_path / "runs" / name
        library.train(environment, algorithm, out=out, env={"horizon": 6}, algo=options, **sizes, **units.get(name, {}))
        adapted = load(out).practise(task=0, adaptations=1)[-1]
        rows = np.random.default_rng(1).normal(size=(9, adapted.spaces.observation_size + 1)).astype(np.float32)
        cases[name] = adapted, rows
    theirs = acted_without_metarl(tmp_path, cases)
    for name, (adapted, rows) in cases.items():
        ours = []
        for step, row in enumerate(rows):
            if step:
                adapted.observe(float(rows[step - 1, -1]), row[:-1])
            ours.append(adapted(row[:-1]))
        np.testing.assert_allclose(theirs[name], ours, atol=1e-6, rtol=0, err_msg=name)
        forgetful = [adapted.reset() or adapted(row[:-1]) for row in rows]  # what came before counts
        assert environment == "grid-navi" or np.abs(np.array(forgetful) - ours).max() > 1e-6, name


def test_a_memory_that_grows_is_not_exported(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, agent = remembering(finished_run)
    monkeypatch.setattr(agent, "observe", lambda acting, memory, transition: torch.cat([memory, memory]))
    monkeypatch.setattr(agent, "act", lambda acting, memory, *seen: (Action(memory[:1], torch.zeros(1, 1)), memory))
    with pytest.raises(InputError, match=r"remembers grows with each step.* — use metarl\.load"):
        library.export(policy.adapt(Counting(), adaptations=0), tmp_path / "policy")
    assert not (tmp_path / "policy").exists()


def test_a_cache_is_not_exported(tmp_path: Path) -> None:
    sizes = {"iterations": 1, "tasks": 2, "lanes": 1}
    run = library.train("bandit", "rl2", out=tmp_path / "run", algo={"memory": "transformer"}, **sizes)
    with pytest.raises(InputError, match=r"what rl2 remembers grows with each step.* — use metarl\.load"):
        library.export(library.load(run.path).adapt(gymnasium.make("metarl/Bandit-v0"), 2), tmp_path / "policy")
    assert not (tmp_path / "policy").exists()


def test_the_exported_program_acts_alike_where_metarl_is_unknown(
    finished_run: Path, bandit_run: Path, tmp_path: Path
) -> None:
    bandit, rng = gymnasium.make("metarl/Bandit-v0", horizon=5), np.random.default_rng(1)
    cases = {
        "continuous": (load(finished_run).adapt(plane(), episodes=3), rng.normal(size=(7, 2))),
        "discrete": (load(bandit_run).adapt(bandit, episodes=3), rng.normal(size=(7, 1))),
    }
    actions = {
        "continuous": {"type": "box", "size": 2, "low": [-1.0, -1.0], "high": [1.0, 1.0]},
        "discrete": {"type": "discrete", "first": 0, "count": 5},
    }
    theirs = acted_without_metarl(tmp_path, cases)
    for name, (adapted, observations) in cases.items():
        np.testing.assert_allclose(theirs[name], adapted(observations), atol=1e-6, rtol=0)
        stored = safetensors.numpy.load_file(tmp_path / name / "weights.safetensors")
        params = {key.removeprefix("params/"): value[0] for key, value in stored.items() if key.startswith("params/")}
        outputs = by_hand(params, observations)
        expected = outputs.argmax(axis=1) if name == "discrete" else np.clip(outputs, -1, 1)
        np.testing.assert_allclose(theirs[name], expected, atol=1e-6)
        facts = json.loads((tmp_path / name / "policy.json").read_text())
        assert facts["adapted_in_rounds"] == 1 and facts["returns"] == adapted.returns.tolist()
        assert facts["observation"]["size"] == observations.shape[1] and facts["action"] == actions[name]


def test_a_program_that_acts_otherwise_is_not_written(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
