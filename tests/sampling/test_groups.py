"""Groups of tasks met side by side: the same trial as together, and an end that nothing hangs on."""

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from envs.registry import environment_class
from metarl.algorithms import algorithm_class, config_class
from metarl.runs.config import RunConfig, TrainConfig
from metarl.runs.presets import default_config
from metarl.runtime import interruption
from metarl.runtime.errors import EnvironmentBroke, InputError
from metarl.runtime.interruption import Interrupted, interruptible_at_points
from metarl.runtime.randomness import Address
from metarl.runtime.threads import torch_threads
from metarl.sampling.groups import Divisions, collect_in_groups, first_tasks
from metarl.training.loop import train_iteration
from metarl.training.ranks import ways_to_group
from metarl.training.setup import Setup, set_up


def setup_in(groups: int, environment: str, algorithm: str = "maml-trpo", threads: int = 2, tasks: int = 5) -> Setup:
    defaults = default_config(environment, algorithm)
    train = TrainConfig(tasks=tasks, lanes=3, threads=threads, torch_threads=1, groups=groups)
    env = replace(defaults.env, horizon=20)
    return set_up(RunConfig(environment, algorithm, train, env, defaults.algo))


@pytest.mark.parametrize("environment", ["point-nav", "ant-goal", "walker-params"])
@pytest.mark.parametrize("groups", [2, 3, 5])
def test_groups_change_no_bit_of_a_trial_or_of_the_update_from_it(environment: str, groups: int) -> None:
    together, divided = (setup_in(count, environment) for count in (1, groups))
    assert [env.num_tasks for env in divided.envs] == {2: [3, 2], 3: [2, 2, 1], 5: [1] * 5}[groups]
    state = together.initial_state(Address(0))
    (after, whole, _), (same, parts, _) = (train_iteration(setup, state, Address(1)) for setup in (together, divided))
    for rollout, other in zip(whole.rollouts, parts.rollouts, strict=True):
        for name, values in rollout._asdict().items():
            assert torch.equal(values, getattr(other, name)), name
    assert whole.tasks is not None and torch.equal(whole.tasks, parts.tasks)
    for name, value in after["policy"].items():
        assert torch.equal(value, same["policy"][name]), name
    assert not torch.equal(after["policy"]["log_std"], state["policy"]["log_std"])


def test_tasks_are_numbered_through_all_groups() -> None:
    assert first_tasks(setup_in(3, "point-nav").envs, first_task=10) == [10, 12, 14]


def test_groups_are_met_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, met = setup_in(2, "point-nav", tasks=2), list[int]()
    meeting = threading.Barrier(2, timeout=20)  # breaks unless both are at their first step at once

    for env in setup.envs:

        def advance(*arguments: Any, plain: Any = env.advance) -> Any:
            if meeting.n_waiting < 2 and not met:
                met.append(meeting.wait())
            return plain(*arguments)

        monkeypatch.setattr(env, "advance", advance)
    collect_in_groups(setup.envs, setup.algorithm, setup.initial_state(Address(0)), 1, Address(1))
    assert sorted(met) == [0, 1]


def test_what_breaks_in_one_group_is_raised() -> None:
    setup = setup_in(2, "point-nav")

    def explode(*arguments: Any) -> Any:
        raise ValueError("no floor here")

    setup.envs[1].advance = explode  # type: ignore[method-assign]
    with pytest.raises(EnvironmentBroke, match="no floor here"):
        collect_in_groups(setup.envs, setup.algorithm, setup.initial_state(Address(0)), 1, Address(1))


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C does what it does to a program in the foreground, wherever the tests run."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_a_signal_ends_all_groups_at_their_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = setup_in(2, "point-nav")
    steps = [0, 0]
    for number, env in enumerate(setup.envs):

        def advance(*arguments: Any, number: int = number, plain: Any = env.advance) -> Any:
            steps[number] += 1
            if steps[number] == 3 and number == 0:
                interruption._note(2, None)  # what a signal does on its arrival
            return plain(*arguments)

        monkeypatch.setattr(env, "advance", advance)
    with pytest.raises(KeyboardInterrupt), interruptible_at_points():
        collect_in_groups(setup.envs, setup.algorithm, setup.initial_state(Address(0)), 1, Address(1))
    assert steps[0] == 3
    assert steps[1] < setup.env.horizon
    assert not interruption._noted


@pytest.mark.usefixtures("heard")
def test_a_thread_that_works_for_the_main_one_leaves_signals_to_it() -> None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            interruption.interruption_point()
        except BaseException as error:
            raised.append(error)

    with pytest.raises(KeyboardInterrupt), interruptible_at_points():
        interruption._note(2, None)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert isinstance(raised[0], Interrupted)


@pytest.mark.usefixtures("heard")
def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible_at_points():
        signal.raise_signal(signal.SIGINT)
        assert not interruption._noted


def test_one_group_or_two_is_tried_where_two_could_be_faster() -> None:
    def ways(environment: str, algorithm: str = "promp", lanes: int = 10, **train: int) -> list[list[int]]:
        options = TrainConfig(**{"tasks": 5, "lanes": lanes, "threads": 2, **train})  # type: ignore[arg-type]
        traits = algorithm_class(algorithm).traits(config_class(algorithm)())
        return ways_to_group(environment_class(environment), algorithm, traits, options)

    assert ways("half-cheetah-dir") == [[5], [3, 2]]
    assert ways("half-cheetah-dir", lanes=9) == [[5]]  # 45 lanes
    assert ways("half-cheetah-dir", threads=1) == [[5]]
    assert ways("point-nav") == [[5]]  # its steps are Python's
    assert ways("half-cheetah-dir", "rl2") == [[5]]
    assert ways("half-cheetah-dir", groups=3) == [[2, 2, 1]]


@pytest.mark.parametrize(
    ("seconds", "kept"), [([9.0, 1.0, 3.0, 2.0, 1.5, 8.0], 0), ([1.0, 9.0, 3.0, 2.0, 3.5, 8.0], 1)]
)
def test_the_faster_division_is_kept_and_its_first_meeting_does_not_count(seconds: list[float], kept: int) -> None:
    ways = [setup_in(groups, "point-nav").envs for groups in (1, 2)]
    closed = list[int]()
    for way, envs in enumerate(ways):
        for env in envs:
            env.close = lambda way=way: closed.append(way)  # type: ignore[method-assign]
    divisions = Divisions(*ways)
    for number, taken in enumerate(seconds):
        assert not divisions.settled and divisions.envs is ways[number % 2]
        divisions.took(taken)
    assert divisions.settled and divisions.envs is ways[kept]
    assert closed == [1 - kept] * len(ways[1 - kept])
    divisions.took(100.0)
    assert divisions.envs is ways[kept]


def test_iterations_that_find_the_faster_division_have_the_bits_of_any_other() -> None:
    defaults = default_config("half-cheetah-dir", "maml-trpo")
    updated = []
    for threads in (1, 2):
        train = TrainConfig(tasks=10, lanes=5, threads=threads, torch_threads=2)
        config = RunConfig("half-cheetah-dir", "maml-trpo", train, replace(defaults.env, horizon=10), defaults.algo)
        setup = set_up(config)
        state, groups = setup.initial_state(Address(0)), set[int]()
        with torch_threads(2):
            for iteration in range(7):
                groups.add(len(setup.envs))
                state = train_iteration(setup, state, Address(1).at(iteration))[0]
        assert groups == {1, threads} and setup.divisions.settled
        updated.append(state["policy"])
    for name, value in updated[0].items():
        assert torch.equal(value, updated[1][name]), name


@pytest.mark.parametrize(
    ("groups", "algorithm", "message"),
    [
        (6, "promp", "--groups is 6, of 5 tasks — give at most 5, or 0"),
        (2, "rl2", "--groups is 2, but rl2 samples its tasks in one — leave it out"),
    ],
)
def test_impossible_groups_are_refused(groups: int, algorithm: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        setup_in(groups, "point-nav", algorithm)
