"""The command line: what it prints, and how it refuses bad input."""
# ruff: noqa: F811 (a fixture is imported, and asked for by its name)

import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Command, assert_refused, metarl, snapshot, train_arguments  # noqa: F401

from envs.registry import ENVIRONMENTS
from metarl.algorithms import ALGORITHMS

# Refused by our own words: arguments after `metarl train`, and what the line must name.
BAD_NAMES = {
    "an unknown environment": ("moon-landing", ["moon-landing", "metarl list envs"]),
    "a typo in the environment": ("point-nva", ["point-nva", "did you mean 'point-nav'?"]),
    "an empty environment": ("''", ["''"]),
    "a module that does not exist": ("no_such_module:Env", ["no_such_module"]),
    "a module without a name": (":Env", [":"]),
    "an attribute that does not exist": ("envs.families.point.navigation:PointNaw", ["PointNaw", "'PointNav'"]),
    "an attribute without a name": ("envs.families.point.navigation:", ["envs.families.point.navigation"]),
    "an attribute that is no environment": ("json:JSONDecoder", ["json:JSONDecoder", "TaskEnv"]),
    "a file that does not exist": ("no/such/file.py:Env", ["no/such/file.py"]),
    "a file without that class": ("{user}:Lime", ["Lime", "'Line'"]),
    "a file that does not parse": ("broken_syntax.py:Env", ["broken_syntax.py"]),
    "an unknown algorithm": ("point-nav alchemy", ["alchemy", "maml-trpo"]),
    "a typo in the algorithm": ("point-nav maml-trop", ["maml-trop", "did you mean 'maml-trpo'?"]),
    "an algorithm's module that does not exist": ("point-nav no_such:Method", ["no_such"]),
    "an attribute that is no algorithm": ("point-nav json:JSONDecoder", ["json:JSONDecoder", "Algorithm"]),
    "an objective that this algorithm cannot follow": (
        "point-nav e-maml --algo.inner-objective likelihood_ratio",
        ["algo.inner_objective is likelihood_ratio", "log_likelihood"],
    ),
    "a method by a name that promised more": ("point-nav maml++", ["maml++", "'lslr'"]),
    "a typo in the variant": ("point-nav --env.variant pearll", ["pearll", "did you mean 'pearl'?"]),
    "a variant where there is none": ("{user}:Line --env.variant pearl", ["variant"]),
    "options before the names": ("--seed 3 point-nav", ["metarl train ENV [ALGO]"]),
    "the algorithm after an option": ("point-nav --seed 3 promp", ["metarl train ENV [ALGO]"]),
    "the algorithm after a flag": ("point-nav --algo.first-order promp", ["metarl train ENV [ALGO]"]),
}
BAD_VALUES = {
    "no iterations": ("--iterations 0", ["iterations is 0", "at least 1"]),
    "negative iterations": ("--iterations -5", ["iterations is -5"]),
    "a negative seed": ("--seed -1", ["seed is -1"]),
    "a huge seed": (f"--seed 1{'0' * 400}", ["seed is 1000", "at most 4294967295"]),
    "no tasks": ("--tasks 0", ["tasks is 0"]),
    "an option by its former name": ("--episodes 3", ["--episodes", "--lanes"]),
    "no lanes": ("--lanes 0", ["lanes is 0"]),
    "more lanes than any memory": ("--lanes 10000000000000", ["lanes"]),
    "more threads than any machine": ("--threads 1000000", ["threads"]),
    "negative threads": ("--torch-threads -1", ["torch_threads is -1"]),
    "never a checkpoint": ("--checkpoint-every 0", ["checkpoint_every is 0"]),
    "no checkpoint kept": ("--keep-checkpoints=0", ["keep_checkpoints is 0"]),
    "a NaN": ("--algo.inner-lr nan", ["algo.inner_lr is nan", "finite"]),
    "an infinity": ("--algo.inner-lr inf", ["algo.inner_lr is inf", "finite"]),
    "a negative rate": ("--algo.learning-rate=-0.1", ["algo.learning_rate is -0.1"]),
    "a layer without units": ("--algo.hidden 8 0", ["algo.hidden"]),
    "a discount above 1": ("--algo.discount 1.5", ["algo.discount is 1.5"]),
    "an integer beyond floats": (f"--algo.inner-steps -1{'0' * 400}", ["algo.inner_steps"]),
    "a horizon of 0": ("--env.horizon 0", ["env.horizon"]),
    "a NaN for the environment": ("--env.step-size nan", ["env.step_size", "finite"]),
    "an infinity for the environment": ("--env.goal-range inf", ["env.goal_range", "finite"]),
    "a GPU that is not there": ("--device cuda", ["--device cuda", "--device cpu"]),
}
# Refused by the parser's words, which must name these.
BAD_SYNTAX = {
    "no environment": ("train", "ENV"),
    "an unknown command": ("trian point-nav", "train"),
    "a typo in an option": ("train point-nav --iteratons 3", "--iterations"),
    "a typo in the environment's option": ("train point-nav --env.varaint pearl", "--env.variant"),
    "a typo in the algorithm's option": ("train point-nav --algo.inner-rl 1", "--algo.inner-lr"),
    "another algorithm's option": ("train point-nav maml-vpg --algo.clip 0.1", "--algo.clip"),
    "an option without its value": ("train point-nav --iterations", "--iterations"),
    "a third name": ("train point-nav promp again", "again"),
    "words for a number": ("train point-nav --iterations many", "--iterations"),
    "a float for an integer": ("train point-nav --iterations 1e3", "--iterations"),
    "a NaN for an integer": ("train point-nav --seed nan", "--seed"),
    "words for a float": ("train point-nav --algo.inner-lr quick", "--algo.inner-lr"),
    "an unknown device": ("train point-nav --device gpu", "gpu"),
    "an unknown activation": ("train point-nav --algo.activation gelu", "gelu"),
    "words for tasks to evaluate on": ("evaluate runs --tasks few", "--tasks"),
    "nothing to evaluate": ("evaluate", "RUN"),
    "an unknown list": ("list everything", "everything"),
}


def cases(table: dict[str, tuple[str, object]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("arguments", "words"), table.values(), ids=table.keys())


def split(arguments: str) -> list[str]:
    user = Path(__file__).parent / "support" / "user_environments.py"
    return ["" if word == "''" else word.format(user=user) for word in arguments.split()]


@cases(BAD_NAMES)
def test_a_bad_name_is_refused_in_one_line_and_nothing_is_written(
    metarl: Command, tmp_path: Path, arguments: str, words: list[str]
) -> None:
    (tmp_path / "broken_syntax.py").write_text("class Env(:\n")
    before = snapshot(tmp_path)
    assert_refused(metarl("train", *split(arguments)), *words)
    assert snapshot(tmp_path) == before


@cases(BAD_VALUES)
def test_a_bad_value_is_refused_in_one_line_and_nothing_is_written(
    metarl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, words: list[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert_refused(metarl(*train_arguments("run"), *arguments.split()), *words)
    assert not any(tmp_path.iterdir())


@cases(BAD_SYNTAX)
def test_what_the_parser_refuses_it_refuses_in_a_few_lines_and_nothing_is_written(
    metarl: Command, tmp_path: Path, arguments: str, words: str
) -> None:
    code, out, err = metarl(*arguments.split())
    assert code == 2
    assert out == ""
    assert words in err
    assert "Traceback" not in err and "dummy" not in err
    assert len(err.splitlines()) <= 20
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        "report ''",
        "evaluate ''",
        "report runs ''",
        "export runs --out ''",
        "train point-nav --out=",
        "render '' --out a.gif",
    ],
)
def test_an_empty_path_is_not_the_working_directory(metarl: Command, tmp_path: Path, arguments: str) -> None:
    # what a shell makes of "$FOLDER" where FOLDER is not set
    assert_refused(metarl(*split(arguments)), "a path is empty")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        "train {long}.py:Own",
        "train point-nav --env.train-list {long}",
        "train omniglot --env.data {long}",
        "compare {long}.yaml",
        "report --out {long}",
        "render run --out {long}.gif",
        "export run --out {long}",
    ],
)
def test_a_name_that_no_file_system_takes_is_refused_in_one_line(
    metarl: Command, tmp_path: Path, arguments: str
) -> None:
    result = metarl(*arguments.format(long="a" * 5000).split())
    assert result.code in (2, 5)  # the file system's refusal, where it was asked
    assert_refused(result, "" if result.code == 2 else "File name too long", code=result.code)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["evaluate", "render", "export"])
def test_adaptations_by_their_former_name_are_refused_with_that_of_today(metarl: Command, command: str) -> None:
    for option in (("--rounds", "3"), ("--rounds=3",)):
        assert_refused(metarl(command, "run", *option), "--rounds", "give --adaptations")


def test_running_out_of_memory_is_one_line(metarl: Command, tmp_path: Path) -> None:
    # a layer of 10^6 x 10^6 numbers takes 3.6 TiB
    result = metarl(*train_arguments("run"), "--algo.hidden", "1000000", "1000000")
    assert_refused(result, "out of memory", "--tasks")
    assert not any(tmp_path.iterdir())


def test_list_prints_every_name(metarl: Command) -> None:
    everything = metarl("list")
    assert everything.code == 0
    for name in (*ENVIRONMENTS, *ALGORITHMS):
        assert name in everything.out
    environments = metarl("list", "envs").out
    assert all(name in environments for name in ENVIRONMENTS)
    assert "Nagabandi" in environments and "gradient" not in environments  # variants and their sources; no algorithms
    assert all(name in metarl("list", "algos").out for name in ALGORITHMS)
    assert "source" in metarl("list", "presets").out


def test_help_shows_the_options_of_the_named_environment_and_algorithm_with_their_defaults(
    metarl: Command,
) -> None:
    code, out, _ = metarl("train", "point-nav", "promp", "--env.variant", "pearl", "--help")
    assert code == 0
    for option in ("--iterations", "--env.goal-range", "--algo.target-kl", "--resume"):
        assert option in out
    assert "pearl" in out


def test_torch_is_not_imported_for_help_lists_and_bad_input() -> None:
    program = """
import sys
from metarl.cli import main
for arguments in (
    ["--help"], ["list"], ["train", "point-nav", "--help"], ["evaluate", "--help"], ["train", "point-nva"],
    ["train", "point-nav", "prompt"], ["train", "point-nav", "--iterations", "0"],
    ["train", "point-nav", "--algo.inner-lr", "nan"], ["train", "point-nav", "--env.varaint", "pearl"],
    ["train", "point-nav", "e-maml", "--algo.inner-objective", "dice"],
):
    try:
        main(arguments)
    except SystemExit:
        pass
    assert "torch" not in sys.modules, arguments
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)


def test_the_installed_command_and_the_module_exit_with_the_codes_of_main(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("metarl")
    for command in ([str(script)], [sys.executable, "-m", "metarl"]):
        refused = subprocess.run([*command, "train", "point-nva"], cwd=tmp_path, capture_output=True, text=True)
        assert refused.returncode == 2
        assert refused.stderr == "metarl: error: unknown environment 'point-nva' — did you mean 'point-nav'?\n"
        assert refused.stdout == ""
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", ["list", "train point-nav --help"])
def test_a_reader_that_leaves_early_is_no_error(arguments: str) -> None:
    command = f"{sys.executable} -m metarl {arguments} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
