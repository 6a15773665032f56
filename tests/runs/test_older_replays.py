"""Replays of older checkpoints: what they lack is filled in, and changes nothing that is learned from them.

The runs in `schema_2` were trained for two iterations by the version before replays held all of a rollout; their
`went_on.jsonl` is what that version itself then measured in the iterations 3 and 4.
"""

import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from support.command import Command, numbers

import metarl as library

OLD = Path(__file__).with_name("schema_2")
PEARL = [
    *("point-nav", "pearl", "--algo.encoder-hidden", "4", "--algo.latent-size", "2", "--algo.batch-size", "4"),
    *("--algo.context-size", "4", "--algo.meta-batch", "2"),
]
TRAINED = {
    "point-nav-pearl": PEARL,
    "point-nav-pearl-apart": [*PEARL, "--algo.no-pool-meetings"],
    "grid-navi-varibad": [
        *("grid-navi", "varibad", "--algo.memory-size", "4", "--algo.embedding-size", "4", "--algo.latent-size", "2"),
        *("--algo.decoder-hidden", "4", "--algo.model-updates", "1", "--algo.model-batch", "2"),
        *("--algo.minibatches", "1", "--algo.epochs", "1"),
    ],
}
SHARED = [
    *("--tasks", "2", "--lanes", "2", "--env.horizon", "5", "--algo.hidden", "4", "--algo.rounds", "2"),
    *("--algo.replay-size", "100", "--threads", "1", "--torch-threads", "1", "--device", "cpu", "--out", "old"),
]


def weights(run: Path, iteration: int) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / f"checkpoints/iteration-{iteration:06d}.safetensors")


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_goes_on_as_the_version_that_began_it_would_have(name: str, metarl: Command, tmp_path: Path) -> None:
    old = Path(shutil.copytree(OLD / name, tmp_path / "old"))
    expected = [json.loads(line) for line in (old / "went_on.jsonl").read_text().splitlines()]
    assert library.evaluate(old, tasks=2, adaptations=1)["iteration"] == library.load(old).iteration == 2
    held = weights(old, 2)
    resumed = metarl("train", *TRAINED[name], *SHARED, "--iterations", "4", "--resume")
    assert resumed.code == 0, resumed
    for line, then in zip(numbers(old)[2:], expected, strict=True):
        assert {key: line[key] for key in then} == pytest.approx(then, rel=1e-4, abs=1e-6)

    # 5 slots of 20 steps, two an iteration: of the four meetings of then the last one is left
    replay = {key.removeprefix("replay/"): value for key, value in weights(old, 4).items() if "replay" in key}
    kept, added = slice(60, 80), slice(0, 60)
    assert torch.equal(replay["reward"][kept], held["replay/reward"][kept])
    assert not replay["log_probability"][kept].any() and replay["log_probability"][added].any()
    assert not replay["first"][kept].any() and int(replay["first"][added].sum()) >= 4
    names = [len(replay["task"][start : start + 20].unique()) for start in range(0, 80, 20)]
    assert names == [1, 1, 1, 1 if name == "point-nav-pearl" else 20]  # the only one that knew its tasks' names
