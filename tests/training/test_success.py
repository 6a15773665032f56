"""Of environments that tell of it, success stands beside the return: in metrics, evaluations and the report."""

import json
from pathlib import Path

import numpy as np
from support.command import Command

CODE = """
import numpy as np
from gymnasium.spaces import Box
from envs import Outcome, TaskDistribution, TaskEnv, Uniform

class Half(TaskEnv):
    \"\"\"The first of every two lanes succeeds in its second step.\"\"\"
    events = ("success",)

    def define(self, options):
        laws = TaskDistribution(level=Uniform(0.0, 1.0))
        return {"task_distribution": laws, "action_space": Box(-1.0, 1.0, (1,), np.float64), "horizon": 3}

    def build(self):
        self.steps = np.zeros(self.num_envs)

    def reset_lanes(self, mask):
        self.steps[mask] = 0

    def advance(self, actions, live):
        self.steps += live
        first = np.arange(self.num_envs) % self.lanes_per_task % 2 == 0
        return Outcome(-(actions[:, 0] ** 2), terms={"success": 1.0 * (first & (self.steps == 2))})

    def observe(self):
        return self.steps[:, None] * np.ones(2)
"""


def test_success_stands_beside_the_return(metarl: Command, tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(CODE)
    arguments = ["train", "half.py:Half", "maml-trpo", "--iterations", "2", "--tasks", "2", "--lanes", "4"]
    trained = metarl(*arguments, "--evaluate-every", "2", "--out", "run")
    assert trained.code == 0, trained.err
    *_, last = (json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    for name in ("success/round_0", "success/round_1", "unseen/success/round_1"):
        assert last[name] == 0.5  # two of four lanes
    record = json.loads(metarl("evaluate", "run", "--tasks", "3", "--adaptations", "1", "--trust", "--json").out)
    assert record["success"]["mean"] == [0.5, 0.5] and np.shape(record["success"]["per_task"]) == (3, 2)
    (table,) = (tmp_path / "run/evaluations").rglob("*.csv")
    header, *rows = [line.split(",") for line in table.read_text().splitlines()]
    assert {row[header.index("success")] for row in rows} == {"0.5"}
    assert metarl("report", "run", "--out", "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "success after" in page and "50.0%" in page
    assert "mean success" in metarl("evaluate", "run", "--tasks", "3", "--adaptations", "1", "--trust").out
