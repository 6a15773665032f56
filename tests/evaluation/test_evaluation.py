"""Evaluation: what it prints and writes, its intervals, and that training never feels it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.command import Command, assert_refused, end_result, snapshot, train_arguments
from support.processes import Job

import metarl as library
from metarl.evaluation.evaluate import bootstrap_interval


def test_the_printed_object_and_the_written_file_are_the_contract(metarl: Command, run: Path) -> None:
    code, out, err = metarl("evaluate", "run", "--tasks", "5", "--adaptations", "2", "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert json.loads((run / "evaluation.json").read_text()) == record
    assert {"env", "algo", "iteration", "split", "tasks", "returns", "per_task"} <= record.keys()
    facts = [record[name] for name in ("env", "algo", "iteration", "split", "tasks")]
    assert facts == ["point-nav", "maml-vpg", 4, "test", 5]
    per_task = np.array(record["per_task"])
    assert per_task.shape == (5, 3)
    assert record["returns"].keys() == {"mean", "low", "high"}
    assert np.allclose(record["returns"]["mean"], per_task.mean(axis=0), rtol=1e-12)
    low, high = np.array(record["returns"]["low"]), np.array(record["returns"]["high"])
    assert (per_task.min(axis=0) <= low).all() and (low < high).all() and (high <= per_task.max(axis=0)).all()


def test_a_deterministic_evaluation_reports_likeliest_and_sampled_actions(metarl: Command, run: Path) -> None:
    sizes = ("--tasks", "3", "--adaptations", "1")
    usual = json.loads(metarl("evaluate", "run", *sizes, "--json").out)
    code, out, err = metarl("evaluate", "run", *sizes, "--deterministic", "--compare", "random-init", "--json")
    record = json.loads(out)
    assert code == 0 and record["deterministic"] and not usual["deterministic"] and "sampled" not in usual
    assert record["sampled"] == {name: usual[name] for name in ("returns", "per_task", "diverged", "diagnostics")}
    assert np.shape(record["per_task"]) == (3, 2) and not np.isclose(record["per_task"], usual["per_task"]).any()
    assert record["no_adaptation"] == record["returns"]["mean"][0]
    other = record["compared"]["random-init"]
    out = metarl("evaluate", "run", *sizes, "--deterministic", "--compare", "random-init").out
    (table,) = (line.removeprefix("written: ") for line in out.splitlines() if line.endswith("evaluation.csv"))
    with open(run.parent / table, newline="") as file:
        rows = list(csv.DictReader(file))
    for algo, curve in (("maml-vpg", record), ("random-init", other)):
        for column, returns in (("return", curve), ("return_sampled", curve["sampled"])):
            written = [float(row[column]) for row in rows if row["algo"] == algo]
            assert written == np.ravel(returns["per_task"]).tolist()
            assert all(f"{mean:.2f}" in out for mean in returns["returns"]["mean"])


def test_without_a_number_of_adaptations_it_is_three_or_that_of_training(metarl: Command, run: Path) -> None:
    assert metarl(*train_arguments("long", 1), "--algo.inner-steps", "5").code == 0
    for name, adaptations in (("run", 3), ("long", 5)):
        per_task = json.loads(metarl("evaluate", name, "--tasks", "2", "--json").out)["per_task"]
        assert np.shape(per_task) == (2, adaptations + 1)


def test_the_table_shows_the_same_numbers(metarl: Command, run: Path) -> None:
    out = metarl("evaluate", "run", "--tasks", "5", "--adaptations", "2").out
    returns = json.loads((run / "evaluation.json").read_text())["returns"]
    for name in ("mean", "low", "high"):
        assert all(f"{value:.2f}" in out for value in returns[name])
    for name in ("evaluation.json", "evaluation.csv", "adaptation.png"):
        assert f"written: run/{name}" in out


def test_an_evaluation_is_its_seed_and_neither_cores_nor_an_absent_gpu_matter(
    metarl: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(seed: int) -> str:
        result = metarl("evaluate", "run", "--tasks", "3", "--adaptations", "1", "--seed", seed, "--json")
        assert result.code == 0, result
        return result.out

    first = evaluate(0)
    assert evaluate(0) == first
    assert json.loads(evaluate(1))["per_task"] != json.loads(first)["per_task"]
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["train"] |= {"device": "cuda", "threads": 64}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert evaluate(0) == first


def test_tasks_of_an_evaluation_do_not_depend_on_how_many_there_are(metarl: Command, run: Path) -> None:
    few, many = (
        json.loads(metarl("evaluate", "run", "--tasks", tasks, "--adaptations", "1", "--json").out)["per_task"]
        for tasks in (3, 6)
    )
    assert np.allclose(few, many[:3], rtol=1e-5)


def test_evaluating_between_two_halves_changes_no_bit_of_training(
    metarl: Command, tmp_path: Path, finished_run: Path
) -> None:
    assert metarl(*train_arguments("half", iterations=2)).code == 0
    before = snapshot(tmp_path / "half")
    assert metarl("evaluate", "half", "--tasks", "3").code == 0
    after = snapshot(tmp_path / "half")
    assert {name: content for name, content in after.items() if name in before} == before
    added = {name.split("/")[0] for name in after.keys() - before.keys()}
    assert added == {"evaluation.json", "evaluation.csv", "adaptation.png", "evaluation", "evaluations"}
    assert metarl(*train_arguments("half", iterations=4), "--resume").code == 0
    assert end_result(tmp_path / "half") == end_result(finished_run)


def test_a_run_can_be_evaluated_while_it_trains(metarl: Command, tmp_path: Path, finished_run: Path) -> None:
    job = Job([*train_arguments(tmp_path / "run", iterations=4), "--keep-checkpoints", "1"], tmp_path / "log")
    job.wait_for(lambda: any(tmp_path.glob("run/checkpoints/*.json")))
    evaluated = []
    while job.process.is_alive():
        result = metarl("evaluate", "run", "--tasks", "2", "--adaptations", "0", "--json")
        assert (result.code, result.err) == (0, "")
        evaluated.append(json.loads(result.out)["iteration"])
    assert evaluated == sorted(evaluated)
    assert job.end() == 0
    assert end_result(tmp_path / "run") == end_result(finished_run)


def test_evaluating_twice_in_a_process_changes_no_bit_either(run: Path) -> None:
    first = library.evaluate(str(run), tasks=3, adaptations=1)
    assert library.evaluate(run, tasks=3, adaptations=1) == first
    assert len(library.evaluate(run)["per_task"]) == 40


def test_a_split_with_a_fixed_list_is_met_in_full_and_in_its_order(metarl: Command) -> None:
    lists = ("--env.train-tasks", "4", "--env.test-tasks", "3")
    assert metarl(*train_arguments("run", iterations=1), *lists).code == 0

    def goals_met(*options: str) -> list[float]:
        record = json.loads(metarl("evaluate", "run", "--adaptations", "0", "--json", *options).out)
        assert record["tasks"] == len(record["per_task"])
        return [only for (only,) in record["per_task"]]

    test, train = goals_met(), goals_met("--split", "train")
    assert (len(test), len(train)) == (3, 4)
    assert np.allclose(goals_met("--tasks", "2"), test[:2], rtol=1e-5)
    assert_refused(metarl("evaluate", "run", "--tasks", "4"), "--tasks is 4", "holds 3")


def test_an_evaluation_says_whether_its_tasks_are_unseen_and_meets_a_published_list_whole(metarl: Command) -> None:
    assert metarl(*train_arguments("run", iterations=1), "--env.variant", "pearl", "--env.horizon", "5").code == 0
    for split, count, unseen in (("test", 20, True), ("train", 80, False)):
        record = json.loads(metarl("evaluate", "run", "--adaptations", "0", "--split", split, "--json").out)
        assert (record["tasks"], record["unseen"]) == (count, unseen)
        title = metarl("evaluate", "run", "--adaptations", "0", "--split", split).out
        assert ("met in training" in " ".join(title.split())) == (not unseen)


def test_shots_are_for_labelled_data(metarl: Command, run: Path) -> None:
    assert_refused(metarl("evaluate", "run", "--shots", "3"), "--shots", "for labelled data, not for environments")


def test_a_split_that_the_environment_does_not_have_is_refused(metarl: Command) -> None:
    arguments = train_arguments("run", 1, environment="half-cheetah-dir")
    assert metarl(*arguments).code == 0
    assert_refused(metarl("evaluate", "run", "--split", "outside"), "no split 'outside'", "train, test")


@pytest.mark.parametrize(
    ("option", "value"),
    [("tasks", 0), ("tasks", -3), ("tasks", 10**9), ("adaptations", -1), ("seed", -1), ("seed", 2**32)],
)
def test_impossible_numbers_are_refused_by_name(metarl: Command, run: Path, option: str, value: int) -> None:
    before = snapshot(run)
    assert_refused(metarl("evaluate", "run", f"--{option}={value}"), f"--{option} is {value}")
    assert snapshot(run) == before


def test_no_adaptation_at_all_and_one_task_can_be_evaluated(metarl: Command, run: Path) -> None:
    record = json.loads(metarl("evaluate", "run", "--tasks", "1", "--adaptations", "0", "--json").out)
    ((only,),) = record["per_task"]
    assert record["returns"] == {"mean": [only], "low": [only], "high": [only]}


def test_the_bootstrap_interval_of_coins_is_the_binomials_quantiles() -> None:
    # Five zeros and five ones: a resampled mean is X/10 with X ~ Binomial(10, 1/2).
    # P(X <= 1) = 11/1024 = 0.011 and P(X <= 2) = 56/1024 = 0.055, so the 2.5 % quantile is 2/10; by symmetry 8/10.
    coins = np.array([0.0, 1.0] * 5)
    low, high = bootstrap_interval(np.stack([coins, 10 * coins + 3], axis=1))
    assert np.allclose(low, [0.2, 5.0]) and np.allclose(high, [0.8, 11.0])


def test_the_bootstrap_interval_of_many_tasks_is_the_normal_one() -> None:
    # Central limit theorem: mean ± 1.96 s/√N; the quantiles of 2,000 resamples are good to about 5 % of that width.
    values = np.random.default_rng(1).normal(4.0, 3.0, size=(400, 1))
    low, high = bootstrap_interval(values)
    mean, width = values.mean(), 1.96 * values.std() / np.sqrt(400)
    assert abs(low[0] - (mean - width)) < 0.1 * width
    assert abs(high[0] - (mean + width)) < 0.1 * width
