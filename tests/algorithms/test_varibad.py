"""VariBAD: what its belief depends on, the bound that it learns by, and that it concentrates on what was seen."""

from typing import Any

import pytest
import torch
from gymnasium.spaces import Discrete
from support.trials import ADDRESSES, CPU, E, N, make, navigate, same, tensors, uneven, with_rewards
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn.functional import linear, one_hot

import envs
from metarl.algorithms.proximal_update import stream_of
from metarl.core.networks import action_as_input, apply
from metarl.core.parts import part_of
from metarl.core.recurrent import streams
from metarl.core.replay import drawn_lanes
from metarl.core.types import Params, Rollout, State, Transition, Trial
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.training.loop import set_new_tasks

START, UPDATE = Address(0), Address(2)
T, K, A, Z = 7, 3, 3, 5
KINDS = pytest.mark.parametrize("actions", [None, Discrete(A)], ids=["gaussian", "categorical"])


def small(actions: Discrete | None = None, **options: Any) -> Any:
    """A method with small networks."""
    sizes = {"memory_size": 6, "embedding_size": 5, "decoder_hidden": (7,), "replay_size": 2000}
    return make("varibad", actions, **{"rounds": K, **sizes, **options})


def lively(algorithm: Any) -> State:
    """A state whose policies and beliefs depend strongly on what was seen: the first ones hardly do."""
    state: State = algorithm.initial_state(START)
    random = torch.Generator().manual_seed(5)

    def moved(params: Params) -> Params:
        return {key: x + 0.4 * torch.randn(x.shape, generator=random) for key, x in params.items()}

    return {**state, "policy": moved(state["policy"]), "model": moved(state["model"])}


@KINDS
def test_stored_log_probabilities_are_those_that_training_computes(actions: Discrete | None) -> None:
    algorithm = small(actions)
    state = lively(algorithm)
    batch, _ = algorithm.batch(state, stream_of(uneven(algorithm, state, K, T), state, CPU))
    assert len(set(batch.mask.sum(dim=1).tolist())) > 5  # lanes of many lengths
    distribution = apply(algorithm.actor, part_of(state["policy"], "actor"), batch.observation[..., :-1])
    difference = (distribution.log_probability(batch.action) - batch.log_probability) * batch.mask
    assert difference.abs().max() <= 1e-6
    # ... and they depend on the belief: without it they would differ.
    blind = torch.cat([batch.observation[..., :3], torch.zeros(N * E, K * T, 2 * Z)], dim=-1)
    distribution = apply(algorithm.actor, part_of(state["policy"], "actor"), blind)
    assert ((distribution.log_probability(batch.action) - batch.log_probability) * batch.mask).abs().max() > 0.1


def test_stored_log_probabilities_agree_in_an_environment_whose_episodes_end_early() -> None:
    algorithm = small()
    state = lively(algorithm)
    trial = navigate(algorithm, state)
    assert len(trial.rollouts) == K and any((rollout.mask == 0).any() for rollout in trial.rollouts)
    batch, _ = algorithm.batch(state, stream_of(trial, state, CPU))
    assert float(algorithm.loss(state["policy"], batch).kl) < 1e-9
    distribution = apply(algorithm.actor, part_of(state["policy"], "actor"), batch.observation[..., :-1])
    difference = (distribution.log_probability(batch.action) - batch.log_probability) * batch.mask
    assert difference.abs().max() <= 1e-6


@KINDS
@pytest.mark.parametrize("memory", ["gru", "transformer"])
def test_the_beliefs_of_a_recorded_trial_are_those_that_were_acted_on(actions: Discrete | None, memory: str) -> None:
    # Step by step: the belief moves where a step was played, stays elsewhere, and lives through borders of episodes.
    algorithm = small(actions, memory=memory)
    state = lively(algorithm)
    trial = uneven(algorithm, state, K, T)
    mean, variance = algorithm.beliefs(state, trial)
    assert mean.shape == variance.shape == (N, E, K, T, Z)
    acting = algorithm.acting(state)
    known = algorithm.begin(acting, ADDRESSES, E)
    start = algorithm.belief(acting, known)
    assert all(len(x.flatten(0, 1).unique(dim=0)) == 1 for x in start)  # the prior: the same in every lane
    noise = torch.full((N, E) if actions else (N, E, 2), 0.5)
    for k, rollout in enumerate(trial.rollouts):
        for t in range(T):
            step = Transition(*(field[:, :, t] for field in rollout))
            before = algorithm.belief(acting, known)
            _, known = algorithm.act(acting, known, step.observation, step.mask > 0, noise)
            known = algorithm.observe(acting, known, step)
            now = algorithm.belief(acting, known)
            played = step.mask > 0
            assert torch.equal(now[0][~played], before[0][~played])
            assert (now[0][played] != before[0][played]).any(dim=1).all()
            torch.testing.assert_close(mean[:, :, k, t], now[0], rtol=0, atol=1e-5)
            torch.testing.assert_close(variance[:, :, k, t], now[1], rtol=1e-4, atol=1e-5)
        held = algorithm.belief(acting, known)
        known = algorithm.adapt(state, known, rollout)
        assert same(list(held), list(algorithm.belief(acting, known)))
    anew = algorithm.begin(acting, ADDRESSES, E)
    assert same(list(start), list(algorithm.belief(acting, anew)))  # a new trial


@pytest.mark.parametrize("told", [True, False])
def test_policy_and_encoder_are_told_where_episodes_start_and_end(told: bool) -> None:
    # As in lmzintgraf/varibad, environments/wrappers.py: there the observation holds whether an episode has ended.
    algorithm = small(episode_starts=told)
    state = lively(algorithm)
    trial = uneven(algorithm, state, K, T)
    batch, _ = algorithm.batch(state, stream_of(trial, state, CPU))
    seen = batch.observation[batch.mask > 0]
    assert seen.shape[-1] == 2 + told + 2 * Z + 1
    assert state["model"]["encoder.embedding.weight"].shape == (5, 2 + 2 + 1 + told)
    starts = torch.cat([rollout.first for rollout in trial.rollouts], dim=2).flatten(0, 1)[batch.mask > 0]
    assert starts.sum() == N * E * K and (not told or torch.equal(seen[:, 2] > 0, starts))
    # The same steps, divided otherwise into episodes: a border less ...
    first, second, third = trial.rollouts
    ends = first.terminated & False, first.truncated & False
    without = Trial([first._replace(terminated=ends[0], truncated=ends[1]), second, third])
    before, after = (algorithm.beliefs(state, each)[0] for each in (trial, without))
    assert told != torch.equal(before, after)
    # ... be it one by termination, as here, or by a time limit, which say the same.
    timed = Trial([first._replace(terminated=ends[0], truncated=first.terminated), second, third])
    assert torch.equal(algorithm.beliefs(state, timed)[0], before)
    # Acting: with the same belief another action is likely when an episode starts.
    acting, live = algorithm.acting(state), torch.ones(N, E, dtype=torch.bool)
    memory = algorithm.adapt(state, algorithm.begin(acting, ADDRESSES, E), first)
    observation, noise = torch.zeros(N, E, 2), torch.zeros(N, E, 2)
    later = memory if not told else memory._replace(first=torch.zeros_like(memory.first))
    actions = [algorithm.act(acting, each, observation, live, noise)[0].action for each in (memory, later)]
    assert told == bool((actions[0] != actions[1]).all())


def test_what_is_remembered_of_episodes_comes_from_replay_as_it_was_played() -> None:
    # The belief that the model is trained on, drawn from replay, is the one that was acted on: borders and all.
    algorithm = small()
    state = lively(algorithm)
    trial = uneven(algorithm, state, K, T)
    trial.rollouts[0].truncated.logical_or_(trial.rollouts[0].terminated)
    trial.rollouts[0].terminated.zero_()
    learned, _ = algorithm.model.learn(state, trial, torch.Generator().manual_seed(0))
    drawn = drawn_lanes(learned["replay"], trial, N * E, torch.Generator().manual_seed(0))
    ours = algorithm.model.beliefs(state["model"], drawn).mean[:, -1]
    played = algorithm.beliefs(state, trial)[0][:, :, -1, -1].flatten(0, 1)
    assert sorted(ours.sum(dim=1).tolist()) == pytest.approx(sorted(played.sum(dim=1).tolist()), abs=1e-5)
    assert ours.std(dim=0).min() > 1e-3


def test_a_belief_is_a_function_of_the_past() -> None:
    algorithm = small()
    state = lively(algorithm)
    trial = uneven(algorithm, state, K, T)
    trial = Trial([rollout._replace(mask=torch.ones(N, E, T)) for rollout in trial.rollouts])
    changed = [rollout._replace(reward=rollout.reward.clone()) for rollout in trial.rollouts]
    changed[1].reward[:, :, 4] += 1
    before, after = (algorithm.beliefs(state, each)[0].flatten(2, 3) for each in (trial, Trial(changed)))
    now = T + 4  # the step that paid more
    assert torch.equal(before[:, :, :now], after[:, :, :now])
    assert (before[:, :, now:] != after[:, :, now:]).any(dim=-1).all()


def test_an_earlier_trial_changes_no_bit_of_a_later_one() -> None:
    algorithm = small()
    state = lively(algorithm)
    env, other = (envs.make("point-nav", num_tasks=N, lanes_per_task=E, horizon=T) for _ in range(2))
    tasks = env.sample_tasks(range(N))
    for each in (env, other):
        each.set_tasks(tasks)
    collect(env, algorithm, state, K, Address(8))
    trials = [collect(each, algorithm, state, K, Address(9)) for each in (env, other)]
    assert same(tensors(trials[0]), tensors(trials[1]))


def written_out(algorithm: Any, model: Params, lane: Rollout, prefix: list[int], noise: torch.Tensor) -> torch.Tensor:
    """Errors and weighted divergences of one lane `[L, ...]`, prefix by prefix, with torch's own parts."""
    config = algorithm.config
    cell = torch.nn.GRUCell(config.embedding_size, config.memory_size, dtype=torch.float64)

    def network(name: str, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(linear(x, model[f"{name}.layers.0.weight"], model[f"{name}.layers.0.bias"]))
        return linear(hidden, model[f"{name}.layers.1.weight"], model[f"{name}.layers.1.bias"])

    def belief(hidden: torch.Tensor) -> Normal:
        mean, log_std = linear(hidden, model["head.weight"], model["head.bias"]).split(Z)
        return Normal(mean, torch.exp(5 * torch.tanh(log_std / 5)))

    weights = {
        f"{theirs}_{which}h": model[f"encoder.gru.{theirs}_{ours}"]
        for theirs in ("weight", "bias")
        for which, ours in (("i", "input"), ("h", "hidden"))
    }
    hidden = torch.zeros(config.memory_size).double()
    now, previous = belief(hidden), Normal(torch.zeros(Z).double(), torch.ones(Z).double())
    beliefs = [(now, previous)]
    action = one_hot(lane.action, A).double() if lane.action.dim() == 1 else lane.action
    for t in range(len(lane.mask)):
        if lane.mask[t]:
            ended = (lane.terminated[t : t + 1] | lane.truncated[t : t + 1]).double()
            x = torch.cat([lane.next_observation[t], action[t], lane.reward[t : t + 1], ended])
            embedded = torch.relu(linear(x, model["encoder.embedding.weight"], model["encoder.embedding.bias"]))
            hidden = torch.func.functional_call(cell, weights, (embedded, hidden))
        previous, now = now, belief(hidden)
        beliefs.append((now, previous))
    total = torch.zeros(()).double()
    for number, t in enumerate(prefix):
        if t > 0 and not lane.mask[t - 1]:
            continue
        now, previous = beliefs[t]
        z = now.mean + now.stddev * noise[number]
        total = total + config.kl_weight * kl_divergence(Independent(now, 1), Independent(previous, 1))
        for i in lane.mask.nonzero().flatten().tolist():
            before = torch.cat([lane.observation[i], action[i]])
            reward = network("reward_decoder", torch.cat([z, lane.next_observation[i], before]))
            following = network("transition_decoder", torch.cat([z, before]))
            total = total + (reward[0] - lane.reward[i]) ** 2
            total = total + config.transition_weight * ((following - lane.next_observation[i]) ** 2).sum()
    return total


def tiny_problem(actions: Discrete | None) -> tuple[Any, Params, Rollout, torch.Tensor, torch.Tensor]:
    """A model in double precision, trials, prefixes and noise."""
    algorithm = small(actions, reward_from_action=True, transition_weight=0.7, kl_weight=0.3)
    state = lively(algorithm)
    trials = Rollout(*(x[:5] for x in streams(uneven(algorithm, state, 2, 3))))
    trials = Rollout(*(x.double() if x.is_floating_point() else x for x in trials))
    trials = trials._replace(action=action_as_input(trials.action, A).double()) if actions else trials
    random = torch.Generator().manual_seed(6)
    prefix = torch.rand(5, 7, generator=random).argsort(dim=1)[:, :4]
    model = {key: x.double() for key, x in state["model"].items()}
    return algorithm, model, trials, prefix, torch.randn(5, 4, Z, generator=random).double()


@KINDS
def test_the_bound_is_a_loop_over_trials_prefixes_and_steps(actions: Discrete | None) -> None:
    algorithm, model, trials, prefix, noise = tiny_problem(actions)
    assert 0 < trials.mask.mean() < 1
    total, predicted = torch.zeros(()).double(), 0.0
    for b in range(5):
        lane = Rollout(*(field[b] for field in trials))
        total = total + written_out(algorithm, model, lane, prefix[b].tolist(), noise[b])
        ends_played = torch.cat([torch.ones(1).double(), lane.mask])[prefix[b]]
        predicted += float(ends_played.sum() * lane.mask.sum())
    assert float(algorithm.model.bound(model, trials, prefix, noise).loss) == pytest.approx(
        float(total) / predicted, rel=1e-9
    )


@KINDS
def test_the_bounds_gradient_is_that_of_finite_differences(actions: Discrete | None) -> None:
    algorithm, model, trials, prefix, noise = tiny_problem(actions)
    model = {key: x.requires_grad_() for key, x in model.items()}
    loss = algorithm.model.bound(model, trials, prefix, noise).loss
    gradients = dict(zip(model, torch.autograd.grad(loss, list(model.values())), strict=True))
    assert all(gradient.abs().max() > 0 for gradient in gradients.values())
    random = torch.Generator().manual_seed(1)
    for _ in range(3):
        direction = {key: torch.randn(x.shape, generator=random).double() for key, x in model.items()}
        ends = []
        for step in (1e-6, -1e-6):
            moved = {key: x.detach() + step * direction[key] for key, x in model.items()}
            ends.append(float(algorithm.model.bound(moved, trials, prefix, noise).loss))
        slope = sum((gradients[key] * direction[key]).sum() for key in model)
        assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_policy_and_model_learn_apart() -> None:
    algorithm = small()
    state = lively(algorithm)
    trial = uneven(algorithm, state, K, T)
    updated, _ = algorithm.update(state, trial, UPDATE)
    other, _ = small(model_learning_rate=0.1, kl_weight=2.0).update(state, trial, UPDATE)
    assert same(tensors(updated["policy"]), tensors(other["policy"]))
    assert not same(tensors(updated["model"]), tensors(other["model"]))
    other, _ = small(learning_rate=0.1, entropy_bonus=2.0).update(state, trial, UPDATE)
    assert same(tensors(updated["model"]), tensors(other["model"]))
    assert not same(tensors(updated["policy"]), tensors(other["policy"]))


def test_the_model_learns_from_whole_lanes_of_the_last_trials() -> None:
    algorithm = small(Discrete(A))
    state = lively(algorithm)
    trial = uneven(algorithm, state, K, T)
    stream = stream_of(trial, state, CPU)
    updated, _ = algorithm.update(state, trial, UPDATE)
    drawn = drawn_lanes(updated["replay"], trial, 1000, torch.Generator().manual_seed(0))
    assert drawn.mask.shape == (N * E, K * T)

    def played(steps: Rollout, lane: int) -> tuple[float, ...]:
        chosen = steps.mask[lane] > 0
        facts = steps.next_observation, action_as_input(steps.action, A), steps.reward[..., None]
        return tuple(torch.cat([x[lane][chosen] for x in facts], dim=1).flatten().tolist())

    assert {played(drawn, lane) for lane in range(N * E)} == {played(stream, lane) for lane in range(N * E)}
    # What a lane is believed to have seen is the same, wherever in time its steps stand.
    last = algorithm.model.beliefs(state["model"], drawn).mean[:, -1].sum(dim=1).sort().values
    torch.testing.assert_close(
        last, algorithm.model.beliefs(state["model"], stream).mean[:, -1].sum(dim=1).sort().values
    )


def test_a_lane_that_diverged_is_left_out_of_the_whole_trial() -> None:
    algorithm = small()
    state = algorithm.initial_state(START)
    trial = uneven(algorithm, state, K, T)
    trial.rollouts[1].mask[2, 1] = 0
    mask = algorithm.batch(state, stream_of(trial, state, CPU))[0].mask.reshape(N, E, -1)
    assert not mask[2, 1].any() and mask.sum(dim=2).count_nonzero() == N * E - 1
    updated, _ = algorithm.update(state, trial, UPDATE)
    remembered = updated["replay"]["mask"][: N * E * K * T].reshape(N, E, -1)
    assert not remembered[2, 1].any() and remembered.sum(dim=2).count_nonzero() == N * E - 1


def test_the_value_function_is_read_in_the_unit_that_it_was_fitted_in() -> None:
    # A reward of 8 for the last step and γ = 1: every return is 8, which is 4 in units of 2, whatever comes next.
    algorithm = small(discount=1.0, gae_lambda=0.5)
    state = algorithm.initial_state(START)
    *others, last = with_rewards(uneven(algorithm, state, K, T), lambda rollout: 0 * rollout.reward).rollouts
    trial = Trial([*others, last._replace(reward=8 * last.terminated * last.mask)])
    policy = {key: torch.zeros_like(x) if key.startswith("critic") else x for key, x in state["policy"].items()}
    policy = {**policy, "critic.layers.1.bias": torch.full((1,), 4.0)}
    state = {**state, "policy": policy, "return_scale": torch.tensor(2.0)}
    batch, targets = algorithm.batch(state, stream_of(trial, state, CPU))
    assert targets.scale == pytest.approx(0.9 * 2 + 0.1 * 8) and not batch.advantage.any()


def test_the_belief_concentrates_on_the_goal_once_it_was_seen() -> None:
    # Five goals of a 3 x 3 grid. What is believed is read off the decoder: the reward expected at each of their cells.
    options = {"rounds": 2, "replay_size": 20_000, "kl_weight": 0.01, "epochs": 1}
    model = {"memory_size": 32, "model_learning_rate": 4e-3, "model_updates": 15, "model_batch": 32}
    algorithm = make("varibad", Discrete(5), **options, **model)
    env = envs.make("grid-navi", num_tasks=16, lanes_per_task=4, size=3, horizon=8)
    state = algorithm.initial_state(START)
    for iteration in range(25):
        set_new_tasks(env, Address(1, iteration))
        trial = collect(env, algorithm, state, 2, Address(1, iteration))
        state, _ = algorithm.update(state, trial, Address(2, iteration))
    set_new_tasks(env, Address(3))
    trial = collect(env, algorithm, state, 2, Address(3))
    mean, variance = algorithm.beliefs(state, trial)  # [16, 4, 2, 8, Z]
    goals = torch.tensor([[0, 2], [1, 2], [2, 0], [2, 1], [2, 2]]).float()
    inputs = torch.cat([mean[..., None, :].expand(-1, -1, -1, -1, 5, -1), goals.expand(16, 4, 2, 8, 5, 2)], dim=-1)
    decoder = part_of(state["model"], "reward_decoder")
    expected = apply(algorithm.model.modules["reward_decoder"], decoder, inputs).squeeze(-1)  # [16, 4, 2, 8, 5]
    paid = torch.stack([rollout.reward for rollout in trial.rollouts], dim=2) > 0
    seen = paid.flatten(2).cummax(dim=2).values.view_as(paid)
    true = (torch.as_tensor(env.tasks["goal"])[:, None] == goals).all(dim=-1).long().argmax(dim=1)  # [16]
    right = expected.argmax(dim=-1) == true[:, None, None, None]
    assert 50 < seen.sum() < seen.numel() - 50
    # Who has seen the goal knows it, and is sure; who has not guesses among what is left of five.
    assert right[seen].float().mean() > 0.9
    assert right[~seen].float().mean() < 0.6
    assert expected[seen].max(dim=-1).values.mean() > 0.6 > 0.4 > expected[~seen].max(dim=-1).values.mean()
    assert variance[seen].log().mean() < variance[~seen].log().mean() - 2
