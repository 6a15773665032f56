"""Runs whose observations are normalised: resumed exactly, evaluated by their own moments."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from experiment.command import Command, assert_refused, end_result, train_arguments
from safetensors.torch import load_file


@pytest.mark.parametrize("algorithm", ["maml-trpo", "promp"])
def test_a_normalised_run_resumes_exactly_and_is_evaluated_with_its_moments(
    metarl: Command, tmp_path: Path, algorithm: str
) -> None:
    def arguments(run: str, iterations: int) -> list[str]:
        return [*train_arguments(run, iterations, "half-cheetah-vel", algorithm), "--normalise-observations"]

    assert metarl(*arguments("whole", 2)).code == 0
    assert metarl(*arguments("half", 1)).code == 0
    assert metarl(*arguments("half", 2), "--resume").code == 0
    assert end_result(tmp_path / "half") == end_result(tmp_path / "whole")

    moments = load_file(tmp_path / "whole/checkpoints/iteration-000002.safetensors")
    assert moments["observations/count"] == 2 * 2 * 2 * 3 * 5  # iterations x rounds x tasks x episodes x steps
    assert torch.isfinite(moments["observations/mean"]).all() and (moments["observations/squares"] >= 0).all()
    curves = []
    for run in ("whole", "half"):
        result = metarl("evaluate", run, "--tasks", "2", "--rounds", "1", "--json")
        curves.append(np.array(json.loads(result.out)["per_task"]))
    assert np.isfinite(curves[0]).all() and np.array_equal(*curves)
    # whoever resumes without the option would show the policy something else
    other = metarl(*train_arguments("whole", 3, "half-cheetah-vel", algorithm), "--resume")
    assert other.code == 2 and "normalise_observations" in other.err


@pytest.mark.parametrize("algorithm", ["pearl", "varibad"])
def test_a_replay_of_observations_in_other_units_is_refused(metarl: Command, tmp_path: Path, algorithm: str) -> None:
    result = metarl(*train_arguments("run", 1, "point-nav", algorithm), "--normalise-observations")
    assert_refused(result, "--normalise-observations", algorithm)
    assert not (tmp_path / "run").exists()
