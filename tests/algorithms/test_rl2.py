"""RL²: what its memory carries and when it is reset; and that training sees what acting saw."""

from typing import Any

import pytest
import torch
from gymnasium.spaces import Discrete
from support.trials import ADDRESSES, OBSERVATIONS, E, N, make, navigate, same, tensors, uneven, with_rewards

import envs
from metarl.core.types import Batch, Rollout, State, Transition, Trial
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect

START, UPDATE = Address(0), Address(2)
T, K, A = 7, 3, 3
VARIANTS = pytest.mark.parametrize(
    "options",
    [
        {},
        {"embedding_size": 6},
        {"previous_observation": True},
        {"memory": "attention"},
        {"memory": "splagger"},
        {"memory": "transformer"},
        {"head": "state"},
        {"head": "film"},
        {"head": "hypernetwork"},
    ],
    ids=str,
)
KINDS = pytest.mark.parametrize("actions", [None, Discrete(A)], ids=["gaussian", "categorical"])


def lively(algorithm: Any) -> State:
    """A state whose policies depend strongly on memory: the first ones hardly do."""
    state: State = algorithm.initial_state(START)
    random = torch.Generator().manual_seed(5)
    # With more than this such actions hang on so large numbers that single precision rounds them by 4e-6.
    spreads = {"attention": 0.2, "transformer": 0.1}
    spread = spreads.get(algorithm.config.memory, 0.4 if algorithm.config.head == "memory" else 0.2)
    policy = {key: x + spread * torch.randn(x.shape, generator=random) for key, x in state["policy"].items()}
    return {**state, "policy": policy}


def play(algorithm: Any, state: State, rounds: int = K) -> Trial:
    """A trial whose episodes have any length from 1 to T."""
    return uneven(algorithm, state, rounds, T)


@VARIANTS
@KINDS
def test_stored_log_probabilities_are_those_that_training_computes(
    actions: Discrete | None, options: dict[str, Any]
) -> None:
    algorithm = make("rl2", actions, rounds=K, **options)
    state = lively(algorithm)
    batch, _ = algorithm.batch(state, play(algorithm, state))
    assert len(set(batch.mask.sum(dim=1).tolist())) > 5  # lanes of many lengths
    distribution, _ = algorithm.distribution_and_value(state["policy"], batch.observation, batch.mask)
    difference = (distribution.log_probability(batch.action) - batch.log_probability) * batch.mask
    assert difference.abs().max() <= 1e-6
    spread = (batch.log_probability - batch.log_probability.mean()) * batch.mask
    assert spread.abs().max() > 0.1


def test_stored_log_probabilities_agree_in_an_environment_whose_episodes_end_early() -> None:
    algorithm = make("rl2", rounds=K)
    state = lively(algorithm)
    trial = navigate(algorithm, state)
    assert len(trial.rollouts) == K and any((rollout.mask == 0).any() for rollout in trial.rollouts)
    batch, _ = algorithm.batch(state, trial)
    distribution, _ = algorithm.distribution_and_value(state["policy"], batch.observation, batch.mask)
    difference = (distribution.log_probability(batch.action) - batch.log_probability) * batch.mask
    assert difference.abs().max() <= 1e-6


@pytest.mark.parametrize("shown", [0, 2], ids=["", "with the last observation"])
def test_the_policy_is_given_its_last_action_the_reward_for_it_and_whether_an_episode_starts(shown: int) -> None:
    algorithm = make("rl2", Discrete(A), rounds=K, previous_observation=bool(shown))
    state = algorithm.initial_state(START)
    trial = play(algorithm, state)
    inputs = algorithm.batch(state, trial)[0].observation.reshape(N, E, K * T, 2 + shown + A + 2)
    last = torch.zeros(N, E, shown + A + 1)
    for k, rollout in enumerate(trial.rollouts):
        for t in range(T):
            for n, e in rollout.mask[:, :, t].nonzero().tolist():
                seen = inputs[n, e, k * T + t]
                assert torch.equal(seen[:2], rollout.observation[n, e, t])
                assert torch.equal(seen[2:-1], last[n, e])
                assert seen[-1] == (t == 0)
                last[n, e] = torch.zeros(shown + A + 1)
                last[n, e, :shown] = rollout.observation[n, e, t, :shown]
                last[n, e, shown + rollout.action[n, e, t]] = 1
                last[n, e, -1] = rollout.reward[n, e, t]


@KINDS
def test_memory_lives_through_a_trial_and_not_through_the_next(actions: Discrete | None) -> None:
    algorithm = make("rl2", actions, rounds=K)
    state = lively(algorithm)
    observation, noise = torch.zeros(N, E, 2), torch.full((N, E) if actions else (N, E, 2), 0.5)

    def first_of_next_round(sign: float, rounds: int) -> torch.Tensor:
        trial = with_rewards(play(algorithm, state, rounds), lambda rollout: sign * rollout.mask)
        acting, live = algorithm.acting(state), torch.ones(N, E, dtype=torch.bool)
        memory = algorithm.begin(acting, ADDRESSES, E)
        for rollout in trial.rollouts:
            for t in range(T):
                step = Transition(*(field[:, :, t] for field in rollout))
                _, memory = algorithm.act(acting, memory, step.observation, step.mask > 0, noise)
                memory = algorithm.observe(acting, memory, step)
            memory = algorithm.adapt(state, memory, rollout)
        action, _ = algorithm.act(acting, memory, observation, live, noise)
        # With this noise a normal action is its mean, up to a constant; of a category the probability says more.
        seen: torch.Tensor = action.log_probability if actions else action.action.sum(dim=-1)
        return seen

    # A later round's first action depends on what an earlier round paid, be it two rounds ago ...
    difference = first_of_next_round(1.0, 1) - first_of_next_round(-1.0, 1)
    assert difference.abs().min() > 1e-4
    # ... and a new trial on nothing at all: every lane starts alike, whatever was met before.
    fresh = first_of_next_round(1.0, 0)
    assert torch.equal(fresh, first_of_next_round(-1.0, 0)) and len(fresh.unique()) == 1


def test_an_earlier_trial_changes_no_bit_of_a_later_one() -> None:
    algorithm = make("rl2", rounds=2)
    state = lively(algorithm)

    def meet(env: Any, key: int) -> Trial:
        return collect(env, algorithm, state, 2, Address(key))

    env, other = (envs.make("point-nav", num_tasks=N, lanes_per_task=E, horizon=T) for _ in range(2))
    tasks = env.sample_tasks(range(N))
    for each in (env, other):
        each.set_tasks(tasks)
    meet(env, 8)
    assert same(tensors(meet(env, 9)), tensors(meet(other, 9)))


def test_a_lane_waits_with_the_state_of_its_last_step() -> None:
    algorithm = make("rl2", Discrete(A))
    state = lively(algorithm)
    rollout = play(algorithm, state).rollouts[0]
    acting = algorithm.acting(state)
    memory = algorithm.begin(acting, ADDRESSES, E)
    for t in range(T):
        step = Transition(*(field[:, :, t] for field in rollout))
        before = memory
        _, memory = algorithm.act(acting, memory, step.observation, step.mask > 0, torch.full((N, E), 0.5))
        memory = algorithm.observe(acting, memory, step)
        ended = step.mask.flatten() == 0
        assert torch.equal(memory.hidden[ended], before.hidden[ended])
        assert torch.equal(memory.previous[ended], before.previous[ended])
        assert (memory.hidden[~ended] != before.hidden[~ended]).any(dim=1).all()
    assert ended.any()


def test_a_lane_that_diverged_is_left_out_of_the_whole_trial() -> None:
    algorithm = make("rl2", rounds=K)
    state = algorithm.initial_state(START)
    trial = play(algorithm, state)
    trial.rollouts[1].mask[2, 1] = 0
    mask = algorithm.batch(state, trial)[0].mask.reshape(N, E, -1)
    assert not mask[2, 1].any() and mask.sum(dim=2).count_nonzero() == N * E - 1


def test_values_are_in_units_of_a_moving_scale_of_the_returns() -> None:
    # One reward of 2 at the end of each trial of K rounds and γ = 1: every return is 2, and so is its root mean square.
    algorithm = make("rl2", rounds=K, discount=1.0, gae_lambda=0.5)
    state = algorithm.initial_state(START)

    def paid(amount: float) -> Trial:
        *others, last = with_rewards(play(algorithm, state), lambda rollout: 0 * rollout.reward).rollouts
        return Trial([*others, last._replace(reward=amount * (last.terminated & (last.mask > 0)).float())])

    batch, targets = algorithm.batch(state, paid(2.0))
    assert targets.scale == pytest.approx(2.0)
    torch.testing.assert_close(batch.return_ * batch.mask, batch.mask)  # 2 / 2
    # The next scale is nine parts of the old one and one of the new.
    batch, targets = algorithm.batch({**state, "return_scale": torch.tensor(2.0)}, paid(10.0))
    assert targets.scale == pytest.approx(0.9 * 2 + 0.1 * 10)
    torch.testing.assert_close(batch.return_ * batch.mask, batch.mask * 10 / 2.8)
    # The value function was fitted in the old one: who says 5 there expects 10, and finds no advantage anywhere.
    policy = {key: torch.zeros_like(x) if key.startswith("critic") else x for key, x in state["policy"].items()}
    policy = {**policy, "critic.layers.1.bias": torch.full((1,), 5.0)}
    batch, _ = algorithm.batch({**state, "policy": policy, "return_scale": torch.tensor(2.0)}, paid(10.0))
    assert not batch.advantage.any()


@KINDS
def test_the_gradient_is_that_of_finite_differences(actions: Discrete | None) -> None:
    algorithm = make("rl2", actions, rounds=2, memory_size=3, hidden=(4,), entropy_bonus=0.1)
    state = lively(algorithm)
    batch, _ = algorithm.batch(state, play(algorithm, state, 2))
    # Another policy than the one that acted, near enough that only some ratios are clipped.
    batch = Batch(*(x.double() if x.is_floating_point() else x for x in batch))
    policy = {key: (1.2 * x.double()).requires_grad_() for key, x in state["policy"].items()}
    loss = algorithm.loss(policy, batch)
    assert 0 < loss.clipped < 1
    gradients = torch.autograd.grad(loss.total, list(policy.values()))
    random = torch.Generator().manual_seed(1)
    for _ in range(3):
        direction = {key: torch.randn(x.shape, generator=random).double() for key, x in policy.items()}
        ends = []
        for step in (1e-6, -1e-6):
            moved = {key: x.detach() + step * direction[key] for key, x in policy.items()}
            ends.append(float(algorithm.loss(moved, batch).total))
        slope = sum((g * direction[key]).sum() for key, g in zip(policy, gradients, strict=True))
        assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


@KINDS
def test_an_update_makes_rewarded_actions_likelier(actions: Discrete | None) -> None:
    algorithm = make("rl2", actions, learning_rate=0.01)
    state = algorithm.initial_state(START)

    def reward(rollout: Rollout) -> torch.Tensor:
        return rollout.mask * ((rollout.action == 0) if actions else rollout.action[..., 0])

    trial = with_rewards(play(algorithm, state, 2), reward)
    updated, metrics = algorithm.update(state, trial, UPDATE)
    batch, _ = algorithm.batch(state, trial)
    before, after = (
        algorithm.distribution_and_value(policy, batch.observation, batch.mask)[0][0][..., 0].detach()
        for policy in (state["policy"], updated["policy"])
    )
    assert ((after - before) * batch.mask).sum() / batch.mask.sum() > 0.01
    assert metrics["update/kl"] > 0


def test_sizes_come_from_the_spaces() -> None:
    algorithm = make("rl2", Discrete(A), memory_size=5, hidden=())
    shapes = {key: tuple(x.shape) for key, x in algorithm.initial_state(START)["policy"].items()}
    # Observation, one-hot action, reward, start of an episode.
    assert shapes["core.weight_input"] == (15, OBSERVATIONS.shape[0] + A + 2)
    assert not any(key.startswith("core.embedding") for key in shapes)
    assert shapes["actor.body.layers.0.weight"] == (A, 5) and shapes["critic.layers.0.weight"] == (1, 5)


def test_a_layer_may_stand_between_a_step_and_the_memory() -> None:
    algorithm = make("rl2", Discrete(A), memory_size=5, embedding_size=6)
    shapes = {key: tuple(x.shape) for key, x in algorithm.initial_state(START)["policy"].items()}
    assert shapes["core.embedding.weight"] == (6, OBSERVATIONS.shape[0] + A + 2)
    assert shapes["core.gru.weight_input"] == (15, 6)
