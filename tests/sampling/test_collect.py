"""Collecting, with an environment whose every number is known and an agent that writes down what it meets."""

import itertools

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from envs.contract.base import NoConfig, Outcome, TaskEnv
from envs.contract.tasks import TaskDistribution, Uniform
from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.algorithm import Spaces
from metarl.core.advantages import make_batch
from metarl.core.types import Action, Rollout
from metarl.runtime.errors import EnvironmentBroke, InputError, NonFiniteError
from metarl.runtime.randomness import Address, Purpose
from metarl.runtime.threads import torch_threads
from metarl.sampling.collect import collect

HORIZON, LANES = 4, 4
LINE = Box(-np.inf, np.inf, (1,), np.float64)


class Stairs(TaskEnv):
    """Step t pays `level · (t + 1)`, in all tasks alike: copy 0 terminates after one step and copy 1 after two, copy 2
    goes on until it is truncated, and copy 3 diverges in its third step. One sees (steps, position), which starts at
    random and moves by the action.
    """

    def __init__(self, levels: list[float], actions: Box | Discrete = LINE) -> None:
        super().__init__(
            len(levels),
            LANES,
            NoConfig(),
            horizon=HORIZON,
            task_distribution=TaskDistribution(level=Uniform(0.0, 10.0)),
            observation_size=2,
            action_space=actions,
        )
        self.played, self.position = np.zeros((2, self.num_envs))
        self.set_tasks({"level": levels})

    def reset_lanes(self, mask: np.ndarray) -> None:
        self.played[mask] = 0
        for lanes, copies, rng in self.tasks_to_reset(mask):
            self.position[lanes] = rng.normal(size=LANES)[copies]

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        self.played += live
        self.position += live * actions.reshape(self.num_envs)
        copy = np.arange(self.num_envs) % LANES
        terminated = ((copy == 0) & (self.played == 1)) | ((copy == 1) & (self.played == 2))
        return Outcome(self.lane_tasks["level"] * self.played, terminated, (copy == 3) & (self.played == 3), {})

    def observe(self) -> np.ndarray:
        return np.stack([self.played, self.position], axis=1)


class Witness:
    """Acts by noise plus its memory, which counts the rounds adapted to; remembers every call it got."""

    def __init__(self, discrete: bool = False) -> None:
        self.discrete, self.calls, self.noise = discrete, [], []

    def acting(self, state):
        self.calls.append(("acting", state))
        return 0.5

    def begin(self, acting, addresses, lanes_per_task):
        self.calls.append(("begin", [address.key for address in addresses], lanes_per_task))
        return 0

    def act(self, acting, memory, observation, live, noise):
        self.calls.append(("act", memory, tuple(observation.shape), torch.get_num_threads()))
        self.noise.append(noise.clone())
        if self.discrete:
            return Action((noise * 3).long(), noise), memory
        return Action(noise + memory + acting * observation[..., 1:], noise.squeeze(-1)), memory

    def observe(self, acting, memory, transition):
        self.calls.append(("observe", transition.mask.tolist()))
        return memory

    def adapt(self, state, memory, rollout):
        self.calls.append(("adapt", rollout, torch.get_num_threads()))
        return memory + 1


ADDRESS = Address(7)


def equal(a: Rollout, b: Rollout) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_agents_see_observations_in_memory_that_torch_allocated() -> None:
    # As for checkpoints: the last bits of what a policy does with an observation must not depend on numpy's memory.
    starts = []

    class Locator(Witness):
        def act(self, acting, memory, observation, live, noise):
            starts.append(observation.data_ptr() % 64)
            return super().act(acting, memory, observation, live, noise)

    for tasks in range(1, 12):
        collect(Stairs([1.0] * tasks), Locator(), {}, 1, Address(0))
    assert len(starts) > 40 and not any(starts)


def test_a_rollout_holds_what_was_played() -> None:
    (rollout,) = collect(Stairs([1.0, 2.0]), Witness(), {}, 1, ADDRESS).rollouts
    for task in range(2):
        level = 1 + task
        # lanes:                       ends after 1,    after 2,      truncated after 4, diverged in step 3
        assert rollout.reward[task].tolist() == [
            [level, 0, 0, 0],
            [level, 2 * level, 0, 0],
            [level, 2 * level, 3 * level, 4 * level],
            [level, 2 * level, 0, 0],
        ]
        assert rollout.mask[task].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
        assert rollout.first[task].tolist() == [[True, False, False, False]] * 4
        assert rollout.terminated[task, :3].int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
        assert rollout.truncated[task, :3].int().tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
        # the first number that is seen counts the steps: before the step, and after it
        assert rollout.observation[task, 2, :, 0].tolist() == [0, 1, 2, 3]
        assert rollout.next_observation[task, 2, :, 0].tolist() == [1, 2, 3, 4]
        assert rollout.next_observation[task, 1, 1, 0] == 2  # the true successor of the last step
    # the second is moved by the action: s' = s + a
    moved = rollout.observation[..., 1] + rollout.action[..., 0]
    torch.testing.assert_close(rollout.next_observation[:, 2, :, 1], moved[:, 2])
    torch.testing.assert_close(rollout.observation[:, 2, 1:], rollout.next_observation[:, 2, :-1])


def test_returns_are_over_the_lanes_that_count_and_diverged_ones_are_counted() -> None:
    # (1 + 3 + 10) / 3 for level 1, twice that for level 2; one lane diverged in each of 2 tasks and 3 rounds
    trial = collect(Stairs([1.0, 2.0]), Witness(), {}, 3, ADDRESS)
    torch.testing.assert_close(trial.returns, torch.tensor([[14 / 3] * 3, [28 / 3] * 3]))
    assert trial.diverged == 6


class Climb(Stairs):
    """At level 1 a step succeeds that is a lane's second, at level 2 its third."""

    events = ("success",)

    def advance(self, actions: np.ndarray, live: np.ndarray) -> Outcome:
        outcome = super().advance(actions, live)
        return outcome._replace(terms={"success": (self.played == self.lane_tasks["level"] + 1).astype(float)})


def test_an_episode_succeeds_where_any_of_its_steps_does() -> None:
    # of the three lanes that count, two have a second step and one a third; the one that diverged in it counts for none
    trial = collect(Climb([1.0, 2.0]), Witness(), {}, 2, ADDRESS)
    torch.testing.assert_close(
        trial.diagnostics["success"], torch.tensor([[2 / 3] * 2, [1 / 3] * 2], dtype=torch.float64)
    )
    assert collect(Stairs([1.0]), Witness(), {}, 1, ADDRESS).diagnostics == {}


def test_a_diverged_lane_has_no_part_in_anything_that_is_learned() -> None:
    (rollout,) = collect(Stairs([1.0, 2.0]), Witness(), {}, 1, ADDRESS).rollouts
    batch = make_batch(rollout, 0.9, 0.95)
    without = make_batch(Rollout(*(field[:, :3] for field in rollout)), 0.9, 0.95)
    torch.testing.assert_close(batch.advantage[:, :3], without.advantage, rtol=0, atol=1e-5)
    assert not batch.advantage[:, 3].any() and not batch.return_[:, 3].any()


def test_a_task_without_any_lane_left_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Stairs([1.0, 2.0])
    second_task = np.arange(env.num_envs) >= LANES
    broken = Outcome(np.ones(env.num_envs), np.zeros(env.num_envs, bool), second_task, {})
    monkeypatch.setattr(env, "advance", lambda actions, live: broken)
    with pytest.raises(EnvironmentBroke, match="every lane of task 1 diverged"):
        collect(env, Witness(), {}, 1, ADDRESS)


def test_rounds_adapt_in_between_and_go_on_with_the_new_memory() -> None:
    agent = Witness()
    trial = collect(Stairs([1.0, 2.0]), agent, {}, 3, ADDRESS)
    names = [call[0] for call in agent.calls]
    one_round = ["act", "observe"] * HORIZON
    assert names == ["acting", "begin", *one_round, "adapt", *one_round, "adapt", *one_round]
    own = [ADDRESS.at(Purpose.AGENT, task).key for task in (0, 1)]
    assert agent.calls[1] == ("begin", own, LANES)
    acts = [call for call in agent.calls if call[0] == "act"]
    assert [memory for _, memory, _, _ in acts] == [0] * 4 + [1] * 4 + [2] * 4
    assert {shape for _, _, shape, _ in acts} == {(2, LANES, 2)}
    adapted_to = [call[1] for call in agent.calls if call[0] == "adapt"]
    assert all(a is b for a, b in zip(adapted_to, trial.rollouts[:2], strict=True))


def test_a_round_stops_when_no_lane_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    env, agent = Stairs([1.0]), Witness()
    everywhere = np.ones(LANES, bool)
    monkeypatch.setattr(env, "advance", lambda actions, live: Outcome(np.ones(LANES), everywhere, ~everywhere, {}))
    (rollout,) = collect(env, agent, {}, 1, ADDRESS).rollouts
    assert [call[0] for call in agent.calls] == ["acting", "begin", "act", "observe"]
    assert rollout.mask.sum() == LANES


def test_a_lane_that_is_truncated_early_plays_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Stairs([1.0])
    step = env.step

    def stops_copy_2_after_two_steps(actions):
        observation, reward, terminated, truncated, info = step(actions)
        truncated[2] |= env.played[2] >= 2
        return observation, reward, terminated, truncated, info

    monkeypatch.setattr(env, "step", stops_copy_2_after_two_steps)
    (rollout,) = collect(env, Witness(), {}, 1, ADDRESS).rollouts
    assert rollout.mask[0, 2].tolist() == [1, 1, 0, 0]
    assert rollout.reward[0, 2].tolist() == [1, 2, 0, 0]
    assert rollout.truncated[0, 2].tolist() == [False, True, False, False]
    assert not rollout.terminated[0, 2].any()


def test_the_agent_is_told_which_lanes_are_playing() -> None:
    agent = Witness()
    collect(Stairs([1.0]), agent, {}, 1, ADDRESS)
    # While it plays, a lane that will diverge counts; what it did in its last step is no step.
    masks = [call[1][0] for call in agent.calls if call[0] == "observe"]
    assert [mask[:3] for mask in masks] == [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1]]


def test_noise_has_an_address() -> None:
    agent = Witness()
    collect(Stairs([1.0, 2.0]), agent, {}, 2, ADDRESS, first_task=5)
    noise = torch.stack(agent.noise, dim=2)  # [N, E, rounds · T, A]
    for task in range(2):
        for round_ in range(2):
            generator = ADDRESS.at(Purpose.ACTIONS, 5 + task, round_).generator()
            expected = generator.standard_normal((LANES, HORIZON, 1), dtype=np.float32)
            np.testing.assert_array_equal(noise[task, :, round_ * HORIZON :][:, :HORIZON], expected)


def test_the_same_address_gives_the_same_trial_and_another_another() -> None:
    env = Stairs([1.0, 2.0])
    first, again, other = (collect(env, Witness(), {}, 2, address) for address in (ADDRESS, ADDRESS, Address(8)))
    assert all(equal(a, b) for a, b in zip(first.rollouts, again.rollouts, strict=True))
    # where an episode starts, and what noise it is played with, differ between addresses and between rounds
    starts, noises = [], []
    for rollout in (*first.rollouts, *other.rollouts):
        starts.append(rollout.observation[:, :, 0, 1])
        noises.append(rollout.log_probability[:, :, 0])
    for drawn in (starts, noises):
        assert not any(torch.equal(a, b) for a, b in itertools.combinations(drawn, 2))


def test_a_tasks_data_do_not_depend_on_the_tasks_beside_it() -> None:
    whole = collect(Stairs([1.0, 2.0, 3.0, 4.0]), Witness(), {}, 2, ADDRESS)
    part = collect(Stairs([3.0, 4.0]), Witness(), {}, 2, ADDRESS, first_task=2)
    for all_tasks, some in zip(whole.rollouts, part.rollouts, strict=True):
        assert equal(Rollout(*(field[2:] for field in all_tasks)), some)


def test_with_likeliest_actions_an_agent_explores_as_ever_and_is_then_shown_without_noise() -> None:
    agent, usual = Witness(), Witness()
    explored = collect(Stairs([1.0, 2.0]), usual, {}, 3, ADDRESS)
    trial = collect(Stairs([1.0, 2.0]), agent, {}, 3, ADDRESS, likeliest=True, explores=True)
    # it learns from just what it would have learned from
    learned, as_ever = ([call[1] for call in each.calls if call[0] == "adapt"] for each in (agent, usual))
    assert len(learned) == 2 and all(equal(a, b) for a, b in zip(learned, as_ever, strict=True))
    for round_, (rollout, other) in enumerate(zip(trial.rollouts, explored.rollouts, strict=True)):
        assert torch.equal(rollout.observation[:, :, 0], other.observation[:, :, 0])  # the same starts
        mean = round_ + 0.5 * rollout.observation[..., 1:]  # the memory counts rounds
        played = rollout.mask[..., None] > 0
        torch.testing.assert_close(rollout.action[played.expand_as(rollout.action)], mean[played])
    assert trial.diverged == 6  # copy 3 of two tasks in three rounds


def test_what_an_agent_that_learns_from_single_episodes_does_without_noise_is_its_experience() -> None:
    agent = Witness()
    trial = collect(Stairs([1.0, 2.0]), agent, {}, 3, ADDRESS, likeliest=True)
    assert not torch.stack(agent.noise).any() and len(agent.noise) == 3 * HORIZON
    learned = [call[1] for call in agent.calls if call[0] == "adapt"]
    assert len(learned) == 2 and all(equal(a, b) for a, b in zip(learned, trial.rollouts[:2], strict=True))


def test_the_likeliest_of_discrete_actions_is_asked_for_by_noise_of_one() -> None:
    agent = Witness(discrete=True)
    agent.act = lambda acting, memory, observation, live, noise: (Action((noise == 1).long(), noise), memory)
    (rollout,) = collect(Stairs([1.0, 2.0], Discrete(3)), agent, {}, 1, ADDRESS, likeliest=True).rollouts
    assert (rollout.action[rollout.mask > 0] == 1).all()


def test_a_trial_knows_its_tasks_row_by_row() -> None:
    trial = collect(Stairs([3.0, 4.0]), Witness(), {}, 1, ADDRESS)
    assert trial.tasks is not None and trial.tasks.tolist() == [[3.0], [4.0]]


def test_nor_do_those_of_a_policy_that_adapts() -> None:
    env = Stairs([1.0, 2.0, 3.0, 4.0])
    agent = make_algorithm(
        "maml-vpg",
        config_class("maml-vpg")(hidden=(8,)),
        Spaces(env.single_observation_space, env.single_action_space),
        torch.device("cpu"),
    )
    state = agent.initial_state(Address(0))
    whole = collect(env, agent, state, 2, ADDRESS)
    part = collect(Stairs([3.0, 4.0]), agent, state, 2, ADDRESS, first_task=2)
    for all_tasks, some in zip(whole.rollouts, part.rollouts, strict=True):
        for field, other in zip(all_tasks, some, strict=True):
            # forwards of another number of tasks may differ in their last bits
            torch.testing.assert_close(field[2:], other, rtol=1e-5, atol=1e-5)


def test_discrete_actions_are_whole_numbers_from_uniform_noise() -> None:
    agent = Witness(discrete=True)
    (rollout,) = collect(Stairs([1.0, 2.0], Discrete(3)), agent, {}, 1, ADDRESS).rollouts
    assert rollout.action.shape == (2, LANES, HORIZON) and rollout.action.dtype == torch.int64
    noise = torch.stack(agent.noise, dim=2)
    assert noise.min() >= 0 and noise.max() < 1
    torch.testing.assert_close(rollout.action, (noise * 3).long())
    assert rollout.action.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("quantity", ["observation", "reward", "action"])
def test_a_number_that_is_none_is_named(quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env, agent = Stairs([1.0, 2.0]), Witness()
    if quantity == "observation":
        seen = env.observe
        monkeypatch.setattr(env, "observe", lambda: np.where(env.played[:, None] == 4, np.nan, seen()))
    elif quantity == "reward":
        advance = env.advance
        monkeypatch.setattr(env, "advance", lambda *step: advance(*step)._replace(reward=np.full(8, np.nan)))
    else:
        act = agent.act
        broken = Action(torch.full((2, LANES, 1), torch.nan), torch.zeros(2, LANES))
        monkeypatch.setattr(agent, "act", lambda *arguments: (broken, act(*arguments)[1]))
    with pytest.raises(NonFiniteError, match=f"^{quantity}.* is nan"):
        collect(env, agent, {}, 1, ADDRESS)


def test_an_environment_that_raises_is_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Stairs([1.0])
    advance = env.advance

    def third_step_fails(actions, live):
        if env.played.max() == 2:
            raise ZeroDivisionError("no such stair")
        return advance(actions, live)

    monkeypatch.setattr(env, "advance", third_step_fails)
    with pytest.raises(EnvironmentBroke, match="Stairs raised ZeroDivisionError at step 2: no such stair") as raised:
        collect(env, Witness(), {}, 1, ADDRESS)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_an_agent_that_raises_is_not_the_environments_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Witness()
    monkeypatch.setattr(agent, "observe", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        collect(Stairs([1.0]), agent, {}, 1, ADDRESS)


def test_what_an_environment_refuses_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Witness()
    wrong = Action(torch.zeros(1, LANES, 2), torch.zeros(1, LANES))
    monkeypatch.setattr(agent, "act", lambda *arguments: (wrong, 0))
    with pytest.raises(InputError, match="shape"):
        collect(Stairs([1.0]), agent, {}, 1, ADDRESS)


def test_one_torch_thread_while_tasks_are_met_and_all_of_them_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch_threads(2):
        agent = Witness()
        collect(Stairs([1.0]), agent, {}, 2, ADDRESS)
        assert {call[3] for call in agent.calls if call[0] == "act"} == {1}
        assert {call[2] for call in agent.calls if call[0] == "adapt"} == {1}
        assert torch.get_num_threads() == 2
        monkeypatch.setattr(agent, "observe", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            collect(Stairs([1.0]), agent, {}, 1, ADDRESS)
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 1
