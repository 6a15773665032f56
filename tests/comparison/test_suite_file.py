"""What a suite's file may say, and what the command line makes of it."""

from pathlib import Path

import pytest
import yaml
from support import drawings
from support.command import Command, assert_refused, snapshot
from support.suites import SUITE

from metarl.cli import parse
from metarl.comparison.suite import completed
from metarl.comparison.suite_file import built_in, load_suite
from metarl.runs.config import RunConfig

BAD_SUITES = {
    "an unknown field": ({"iteratons": 3}, ["iteratons", "did you mean 'iterations'?"]),
    "an unknown field of a cell": ({"cells": [{"environment": ["bandit"]}]}, ["environment", "'environments'"]),
    "an unknown environment": ({"cells": [{"environments": ["bandti"], "algorithms": ["promp"]}]}, ["'bandit'"]),
    "an unknown algorithm": ({"cells": [{"environments": ["bandit"], "algorithms": ["prmp"]}]}, ["'promp'"]),
    "an algorithm of another world": (
        {"cells": [{"environments": ["sinusoid"], "algorithms": ["promp"]}]},
        ["'promp'", "label"],
    ),
    "no seeds": ({"seeds": []}, ["seeds is []"]),
    "a seed twice": ({"seeds": [1, 1]}, ["seeds is [1, 1]"]),
    "an impossible seed": ({"seeds": [-1]}, ["seed is -1"]),
    "words for a number": ({"iterations": "many"}, ["iterations", "'many'"]),
    "no iterations": ({"iterations": 0}, ["iterations is 0"]),
    "no tasks": ({"evaluation": {"tasks": 0}}, ["evaluation.tasks is 0"]),
    "no shots": ({"evaluation": {"shots": [5, 0]}}, ["evaluation.shots is 0"]),
    "an unknown field of an evaluation": ({"evaluation": {"task": 3}}, ["'task'", "'tasks'"]),
    "what was called otherwise": ({"rounds": 1}, ["'rounds'", "evaluation: {adaptations: …}"]),
    "no cells": ({"cells": []}, ["there are no cells"]),
    "a cell that is no mapping": ({"cells": ["bandit"]}, ["'bandit'"]),
    "a cell without algorithms": ({"cells": [{"environments": ["bandit"]}]}, ["algorithms"]),
}
BAD_OPTIONS = {
    "an option of training": ({"train": {"lnes": 3}}, ["lnes", "'lanes'"]),
    "an option of the environment": ({"env": {"horzion": 3}}, ["horzion", "'horizon'"]),
    "an option of the algorithm": ({"algo": {"inner_rl": 3}}, ["inner_rl", "'inner_lr'"]),
    "a value of another type": ({"algo": {"inner_lr": "quick"}}, ["inner_lr", "'quick'"]),
    "an impossible value": ({"env": {"horizon": 0}}, ["horizon"]),
    "what the grid gives": ({"train": {"threads": 2}}, ["train.threads"]),
    "seeds of its own, none": ({"seeds": []}, ["seeds is []"]),
    "a claim without checks": ({"claim": {"says": "well"}}, ["'checks'"]),
    "a check that is none": ({"claim": {"says": "well", "checks": ["gain => 3"]}}, ["'gain => 3'", "gain >= 60"]),
    "a check of no figure": ({"claim": {"says": "well", "checks": ["gian >= 3"]}}, ["'gian >= 3'"]),
    "a check of what is not evaluated": ({"claim": {"says": "well", "checks": ["return_2 > 0"]}}, ["1 adaptations"]),
    "a sweep of an unknown option": ({"sweep": {"algo.inner_rl": [1]}}, ["inner_rl", "'inner_lr'"]),
    "a sweep of one value": ({"sweep": {"algo.inner_lr": 0.1}}, ["sweep.algo.inner_lr is 0.1", "a list of values"]),
    "a sweep of no values": ({"sweep": {"algo.inner_lr": []}}, ["sweep.algo.inner_lr is []"]),
    "a sweep in no room": ({"sweep": {"inner_lr": [0.1]}}, ["sweep.inner_lr", "algo.OPTION"]),
    "a sweep of what the grid gives": ({"sweep": {"train.seed": [0, 1]}}, ["sweep.train.seed", "given by the grid"]),
    "a sweep of what is said": (
        {"algo": {"inner_lr": 0.1}, "sweep": {"algo.inner_lr": [0.1, 0.2]}},
        ["sweep.algo.inner_lr is said"],
    ),
    "an impossible value of a sweep": ({"sweep": {"algo.inner_lr": [0.1, "quick"]}}, ["inner_lr", "'quick'"]),
    "a variable that is not set": ({"env": {"train_list": "$NOWHERE"}}, ["$NOWHERE is not set", "NOWHERE=…"]),
}


def refuse(metarl: Command, folder: Path, text: str, words: list[str]) -> None:
    (folder / "bad.yaml").write_text(text)
    before = snapshot(folder)
    assert_refused(metarl("compare", "bad.yaml"), "bad.yaml", *words)
    assert snapshot(folder) == before


@pytest.mark.parametrize(("changes", "words"), BAD_SUITES.values(), ids=BAD_SUITES)
def test_a_bad_suite_is_refused_in_one_line_and_nothing_is_written(
    metarl: Command, tmp_path: Path, changes: dict[str, object], words: list[str]
) -> None:
    refuse(metarl, tmp_path, yaml.safe_dump(SUITE | changes), words)


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_bad_option_in_a_suite_is_refused_by_its_name(
    metarl: Command, tmp_path: Path, options: dict[str, object], words: list[str]
) -> None:
    cell = {"environments": ["point-nav"], "algorithms": ["promp"], **options}
    refuse(metarl, tmp_path, yaml.safe_dump(SUITE | {"cells": [cell]}), words)


def test_what_is_no_suite_at_all_is_refused(metarl: Command, tmp_path: Path) -> None:
    refuse(metarl, tmp_path, "cells: [", ["not valid YAML"])
    refuse(metarl, tmp_path, "just words", ["a mapping"])
    assert_refused(metarl("compare", "smoek"), "did you mean 'smoke'?")
    assert_refused(metarl("compare", "smoke", "--parallel", "-1"), "--parallel is -1")
    assert_refused(metarl("compare", "smoke", "--out", "bad.yaml"), "bad.yaml is a file")


def test_two_cells_of_one_name_need_a_label(metarl: Command, tmp_path: Path) -> None:
    block = SUITE["cells"][0]
    refuse(metarl, tmp_path, yaml.safe_dump(SUITE | {"cells": [block, block]}), ["label"])
    labelled = SUITE | {"cells": [block, block | {"label": "again"}]}
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(labelled))
    folders = [str(cell.folder) for cell in load_suite(str(tmp_path / "good.yaml")).cells]
    assert {"bandit/promp/seed-1", "bandit/promp-again/seed-1"} <= set(folders) and len(set(folders)) == 16


def test_every_built_in_suite_says_on_the_command_line_what_its_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawings, "ALPHABETS", {"Early_Aramaic": 20, "Greek": 12, "Korean": 20, "Latin": 12})
    monkeypatch.setenv("OMNIGLOT", str(drawings.draw(tmp_path)))
    assert {"classic", "dynamics", "memory", "smoke", "reproduce-gradient"} <= set(built_in())
    for name in built_in():
        suite = load_suite(name, check_options=False)
        last_of_each = [cells[-1] for cells in suite.entries.values()]
        for cell in last_of_each[:: 1 + len(last_of_each) // 4]:
            command = parse(cell.train_command(Path("out"), resume=True))
            env = completed(command.environment, command.env)
            assert RunConfig(command.environment, command.algorithm, command.train, env, command.algo) == cell.config
            assert command.resume and command.out == Path("out")
            for asked in cell.evaluations:
                evaluation = parse(asked.command(Path("out")))
                assert (evaluation.tasks, evaluation.adaptations) == (asked.tasks, asked.adaptations)
                assert (evaluation.deterministic, evaluation.shots) == (asked.deterministic, asked.shots)


def test_the_claims_of_built_in_suites_can_be_held_and_broken() -> None:
    claims = [cell.claim for name in built_in() for cell in load_suite(name, check_options=False).cells if cell.claim]
    assert len({claim.says for claim in claims}) >= 10
    for claim in claims:
        # whatever a check bounds is there, and far on the right side of it; then far on the wrong one
        lower = {check.split()[0] for check in claim.checks if ">" in check}
        named = {side for check in claim.checks for side in check.split()[::2]}
        good = {name: (1e6 if name in lower else -1e6) for name in named}
        if {"return_0 >= -48", "return_0 <= -33"} <= set(claim.checks):
            good["return_0"] = -40.0
        assert claim.holds(good) and not claim.holds({name: -value for name, value in good.items()})
        assert not claim.holds({}) and not claim.holds(good | dict.fromkeys(named, float("nan")))


def test_a_suite_is_cut_down_to_the_cells_that_are_named(metarl: Command, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(SUITE))
    suite = load_suite("good.yaml")
    assert len(suite.only([]).cells) == 8 and len(suite.only(["bandit"]).cells) == 4
    two = suite.only(["bandit/promp/seed-1", "point-nav/maml-vpg/seed-0"])
    assert [str(cell.folder) for cell in two.cells] == ["point-nav/maml-vpg/seed-0", "bandit/promp/seed-1"]
    assert_refused(metarl("compare", "good.yaml", "--only", "bandit/prmp"), "'bandit/promp'")
    in_context = load_suite("in-context")  # where environments are named with their variants
    third = in_context.only(["half-cheetah-dir"])
    assert third == in_context.only(["half-cheetah-dir-varibad"])
    assert {cell.environment for cell in third.cells} == {"half-cheetah-dir"} and len(third.cells) == 33
    mixed = load_suite("reproduce-gradient").only(["point-nav"])  # here a variant has a name of its own
    assert {str(cell.entry.parent) for cell in mixed.cells} == {"point-nav"}


def test_the_parts_of_a_suite_are_all_of_it_once(metarl: Command, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(SUITE))
    suite = load_suite("good.yaml")
    parts = [load_suite("good.yaml", part=f"{k}/3").cells for k in (1, 2, 3)]
    assert [len(part) for part in parts] == [3, 3, 2]
    assert sorted(str(cell.folder) for part in parts for cell in part) == sorted(str(c.folder) for c in suite.cells)
    assert [cell.seed for cell in load_suite("good.yaml", ["bandit/promp"], "2/2").cells] == [1]
    for wrong in ("0/3", "4/3", "3", "1/0", "one/two", "-1/2", "1/3/4"):
        assert_refused(metarl("compare", "good.yaml", f"--part={wrong}"), f"--part '{wrong}' is no part", "3/12")
    (tmp_path / "runs").mkdir()
    assert_refused(metarl("compare", "runs", "--part", "1/2"), "--part")


def test_cells_have_seeds_evaluations_and_variables_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA", str(drawings.draw(tmp_path)))
    block = {"environments": ["omniglot"], "algorithms": ["maml"], "env": {"data": "$DATA", "ways": 2}, "seeds": [5]}
    few_shot = block | {"evaluation": {"shots": [2, 1], "adaptations": 2}}
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(SUITE | {"cells": [*SUITE["cells"], few_shot]}))
    *others, cell = load_suite(str(tmp_path / "good.yaml")).cells
    assert len(others) == 8 and cell.seed == 5
    assert cell.config.env.data == str(tmp_path) and cell.options["env"]["data"] == "$DATA"
    assert [(each.shots, each.tasks, each.adaptations) for each in cell.evaluations] == [(2, 3, 2), (1, 3, 2)]


def test_the_suite_in_the_documents_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    (tmp_path / "documented.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    suite = load_suite(str(tmp_path / "documented.yaml"))
    seeds = {entry.name: len(cells) for entry, cells in suite.entries.items()}
    swept = {f"promp-two-steps-inner-lr-{rate}": 2 for rate in ("0.05", "0.1", "0.2")}
    assert seeds == {"maml-trpo": 3, "promp": 3, **swept}


def test_options_of_every_kind_reach_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(SUITE))
    suite = load_suite(str(tmp_path / "good.yaml"))
    command = parse(suite.cells[0].train_command(Path("out"), resume=False))
    assert command.algo.hidden == (8,) and command.algo.first_order and command.env.horizon == 5
    assert (command.train.threads, command.train.torch_threads, command.resume) == (1, 1, False)


def test_a_sweep_is_a_cell_for_every_combination_named_by_its_values(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(
        """
        seeds: [0, 1]
        sweep: {algo.inner_lr: [0.05, 0.1]}
        cells:
          - {environments: [point-nav], algorithms: [maml-vpg], train: {iterations: 3}, sweep: {train.tasks: [2, 4]}}
        """
    )
    cells = load_suite(str(tmp_path / "sweep.yaml")).cells
    seen = {(str(cell.folder), cell.config.algo.inner_lr, cell.config.train.tasks) for cell in cells}
    assert seen == {
        (f"point-nav/maml-vpg-inner-lr-{rate}-tasks-{tasks}/seed-{seed}", rate, tasks)
        for rate in (0.05, 0.1)
        for tasks in (2, 4)
        for seed in (0, 1)
    }
    assert {cell.config.train.iterations for cell in cells} == {3}
    few = load_suite(str(tmp_path / "sweep.yaml"), ["point-nav/maml-vpg-inner-lr-0.1-tasks-2"]).cells
    assert len(few) == 2
