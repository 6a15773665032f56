"""PEARL: what it believes, what it draws, and which loss moves which network."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from support.aim import Aim
from support.trials import ADDRESSES, CPU, OBSERVATIONS, E, N, T, copies, make, navigate, same, tensors

from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.algorithm import Spaces
from metarl.algorithms.soft_updates import learned
from metarl.core.parts import part_of
from metarl.core.replay import slots_of, write_trial
from metarl.core.types import Rollout
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.normalisation import Normaliser

START = Address(0)


def pearl(**options: Any) -> Any:
    return make("pearl", **{"encoder_hidden": (8,), "latent_size": 3, **options})


def after_one_round(algorithm: Any, addresses: list[Address] = ADDRESSES) -> tuple[Any, Any, Rollout]:
    """Memories at the start and after a round, and the round."""
    state = algorithm.initial_state(START)
    rollout = navigate(algorithm, state).rollouts[0]
    begun = algorithm.begin(algorithm.acting(state), addresses, E)
    return begun, algorithm.adapt(state, begun, rollout), rollout


def test_the_belief_is_the_product_over_the_valid_steps_of_a_lane() -> None:
    # Step by step in plain numpy: precisions and precision-weighted means add up, from the prior's 1 and 0.
    algorithm = pearl()
    state = algorithm.initial_state(START)
    _, adapted, rollout = after_one_round(algorithm)
    mean, variance = algorithm.evidence(state["policy"]["encoder"], rollout)
    assert 0 < rollout.mask.sum() < rollout.mask.numel()
    for n in range(N):
        for e in range(E):
            precision, shift = np.ones(3), np.zeros(3)
            for t in range(T):
                if rollout.mask[n, e, t]:
                    precision = precision + 1 / variance[n, e, t].double().numpy()
                    shift = shift + (mean[n, e, t] / variance[n, e, t]).double().numpy()
            np.testing.assert_allclose(adapted.belief.mean[n, e], shift / precision, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(adapted.belief.variance[n, e], 1 / precision, rtol=1e-4)


def test_the_belief_starts_as_the_prior_and_narrows_with_every_round() -> None:
    algorithm = pearl()
    begun, first, rollout = after_one_round(algorithm)
    assert (begun.belief.mean == 0).all() and (begun.belief.variance == 1).all()
    second = algorithm.adapt(algorithm.initial_state(START), first, rollout)
    assert (first.belief.variance < begun.belief.variance).all()
    assert (second.belief.variance < first.belief.variance).all()


def test_each_lane_has_a_latent_of_its_own_that_stays_for_a_round_and_is_drawn_anew_after_it() -> None:
    algorithm = pearl()
    begun, adapted, _ = after_one_round(algorithm)
    assert len(begun.latent.reshape(-1, 3).unique(dim=0)) == N * E
    acting, live = algorithm.acting(algorithm.initial_state(START)), torch.ones(N, E, dtype=torch.bool)
    _, acted = algorithm.act(acting, begun, torch.zeros(N, E, 2), live, torch.zeros(N, E, 2))
    assert torch.equal(acted.latent, begun.latent)
    noise = [(memory.latent - memory.belief.mean) / memory.belief.variance.sqrt() for memory in (begun, adapted)]
    assert (noise[0] - noise[1]).abs().min() > 1e-4


def test_a_tasks_latents_come_from_its_address_alone() -> None:
    algorithm = pearl()
    begun, adapted, _ = after_one_round(algorithm)
    others = [Address(9), ADDRESSES[1], Address(8)]
    begun_there, adapted_there, _ = after_one_round(algorithm, others)
    for here, there in ((begun, begun_there), (adapted, adapted_there)):
        assert [torch.equal(here.latent[n], there.latent[n]) for n in range(N)] == [False, True, False]


def test_actions_stay_in_their_box_and_have_its_density() -> None:
    # With one action, the density over the box [−1, 5] must integrate to one whatever the policy.
    box = Box(np.array([-1.0]), np.array([5.0]), dtype=np.float64)
    algorithm = make("pearl", box, latent_size=3)
    state = algorithm.initial_state(START)
    acting, live = algorithm.acting(state), torch.ones(1, 4001, dtype=torch.bool)
    memory = algorithm.begin(acting, [Address(1)], 1)
    memory = memory._replace(latent=memory.latent.expand(1, 4001, 3))
    noise = torch.linspace(-7, 7, 4001).reshape(1, 4001, 1)
    action, _ = algorithm.act(acting, memory, torch.zeros(1, 4001, 2), live, noise)
    assert action.action.min() >= -1 and action.action.max() <= 5
    assert action.action.max() - action.action.min() > 4
    area = torch.trapezoid(action.log_probability[0].double().exp(), action.action[0, :, 0].double())
    assert abs(area - 1) < 1e-3


@pytest.mark.parametrize(
    ("actions", "fault"),
    [(Discrete(4), "takes continuous ones — use"), (Box(-np.inf, np.inf, (2,)), "give it finite borders")],
)
def test_actions_that_it_cannot_squash_are_refused(actions: Any, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        make_algorithm("pearl", config_class("pearl")(), Spaces(OBSERVATIONS, actions), CPU)


def step_of(algorithm: Any, state: Any) -> tuple[Any, Any, Any]:
    """A draw from one trial, and the networks as leaves."""
    trial = navigate(algorithm, state)
    slots = slots_of(write_trial(state["replay"], trial), trial)
    leaves = {name: value.clone().requires_grad_() for name, value in learned(state).items()}
    parts = {part: part_of(leaves, part) for part in ("actor", "encoder", "critic")}
    return (
        algorithm.draw(slots, Normaliser({}).seen, torch.Generator().manual_seed(0)),
        parts,
        leaves["log_temperature"],
    )


def test_the_encoder_learns_from_the_critics_and_the_bottleneck_and_not_from_the_actor() -> None:
    gradients = {}
    for weight in (0.0, 1.0):
        algorithm = pearl(kl_weight=weight)
        state = algorithm.initial_state(START)
        draw, parts, log_temperature = step_of(algorithm, state)
        gradients[weight], _ = algorithm.gradient(parts, log_temperature, state["target"], draw)
    encoders = [part_of(gradient, "encoder") for gradient in gradients.values()]
    for name, gradient in encoders[0].items():
        assert gradient.abs().max() > 0 and not torch.equal(gradient, encoders[1][name])
    # The same losses by torch's own backward: what each reaches.
    belief = algorithm.posterior(parts["encoder"], draw.context)
    latent = belief.sample(draw.latent_noise).unsqueeze(1).expand(-1, algorithm.config.batch_size, -1)
    loss, _ = algorithm.critic_loss(parts, torch.tensor(1.0), state["target"], draw, latent)
    loss.backward()
    for name, leaf in parts["encoder"].items():
        torch.testing.assert_close(leaf.grad, encoders[0][name], rtol=1e-4, atol=1e-6)
    assert all(leaf.grad is None for leaf in parts["actor"].values())
    for part in parts.values():
        for leaf in part.values():
            leaf.grad = None
    loss, _ = algorithm.actor_loss(parts, torch.tensor(1.0), draw, latent.detach())
    loss.backward()
    assert all(leaf.grad is None for name in ("encoder", "critic") for leaf in parts[name].values())
    for name, leaf in parts["actor"].items():
        torch.testing.assert_close(leaf.grad, gradients[1.0][f"actor.{name}"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("learned_temperature", [False, True])
def test_the_temperature_stays_unless_it_is_learned(learned_temperature: bool) -> None:
    algorithm = pearl(learned_temperature=learned_temperature, temperature=0.5)
    state = algorithm.initial_state(START)
    updated, metrics = algorithm.update(state, navigate(algorithm, state), Address(2))
    assert abs(float(state["log_temperature"].exp()) - 0.5) < 1e-6
    assert torch.equal(updated["log_temperature"], state["log_temperature"]) == (not learned_temperature)


def test_warmup_iterations_only_gather() -> None:
    algorithm = pearl(warmup_iterations=1, replay_size=1000)
    state = algorithm.initial_state(START)
    trial = navigate(algorithm, state)
    gathered, metrics = algorithm.update(state, trial, Address(2))
    assert metrics["update/gradient_steps"] == 0 and int(gathered["replay"]["meetings"]) == N
    assert same(copies(gathered["policy"]), copies(state["policy"]))
    trained, metrics = algorithm.update(gathered, trial, Address(2))
    assert metrics["update/gradient_steps"] > 0 and not same(copies(trained["policy"]), copies(state["policy"]))


def test_gradient_steps_follow_from_the_steps_taken_in_the_environment() -> None:
    for ratio in (0.0, 0.02, 0.05):
        algorithm = pearl(update_ratio=ratio, replay_size=1000)
        state = algorithm.initial_state(START)
        trial = navigate(algorithm, state)
        taken = sum(float(rollout.mask.sum()) for rollout in trial.rollouts)
        _, metrics = algorithm.update(state, trial, Address(2))
        assert metrics["update/gradient_steps"] == max(1, round(ratio * taken))


def test_a_task_that_is_met_again_is_known_by_its_last_meeting_and_taught_by_all() -> None:
    # A step's reward tells the meeting, since actions are continuous: two tasks, met twice.
    env = Aim(2, 3)
    env.set_tasks({"aim": np.array([0.5, -0.5])})
    config = config_class("pearl")(hidden=(8,), encoder_hidden=(8,), update_ratio=0.0, batch_size=400, context_size=400)
    algorithm: Any = make_algorithm("pearl", config, Spaces(env.single_observation_space, env.single_action_space), CPU)
    state, met = algorithm.initial_state(START), []
    for meeting in range(2):
        trial = collect(env, algorithm, state, algorithm.rounds, Address(1, meeting))
        state, _ = algorithm.update(state, trial, Address(2, meeting))
        met.append(torch.cat([rollout.reward for rollout in trial.rollouts], dim=2))  # [N, E, L]
    draw = algorithm.draw(slots_of(state["replay"], trial), Normaliser({}).seen, torch.Generator().manual_seed(0))
    found = []
    for row in range(2):
        seen = set(draw.batch.reward[row].tolist())
        (task,) = (n for n in range(2) if seen <= set(torch.cat([rewards[n] for rewards in met]).flatten().tolist()))
        found.append(task)
        shares = [torch.isin(draw.batch.reward[row], rewards[task]).float().mean() for rewards in met]
        assert min(shares) > 0.4  # a half each, of 400: four standard deviations
        assert set(draw.context.reward[row].tolist()) in [set(lane.tolist()) for lane in met[1][task]]
    assert sorted(found) == [0, 1]


def test_meetings_are_tasks_of_their_own_where_they_are_not_pooled() -> None:
    trained = []
    for pooled in (True, False):
        algorithm = pearl(pool_meetings=pooled, replay_size=2000)
        state = algorithm.initial_state(START)
        trial = navigate(algorithm, state)
        for key in (2, 3):  # the same tasks twice
            state, _ = algorithm.update(state, trial, Address(key))
            trained.append(state["policy"])
    assert same(tensors(trained[0]), tensors(trained[2]))  # as long as each task was met once
    assert not same(tensors(trained[1]), tensors(trained[3]))


def test_it_learns_to_infer_its_task_and_to_act_on_it() -> None:
    # Who does not know the aim loses 5 E|aim| = 2 an episode at best, by always shooting at 0.
    env = Aim(16, 4)
    learning = {"learning_rate": 1e-2, "reward_scale": 10.0, "temperature": 0.2, "kl_weight": 0.1, "update_ratio": 0.06}
    sizes = {"hidden": (32,), "encoder_hidden": (32,), "latent_size": 2, "replay_size": 20_000}
    batches = {"meta_batch": 16, "batch_size": 16, "context_size": 5}
    config = config_class("pearl")(discount=0.0, **learning, **sizes, **batches)
    algorithm: Any = make_algorithm("pearl", config, Spaces(env.single_observation_space, env.single_action_space), CPU)
    state, returns = algorithm.initial_state(START), []
    for iteration in range(24):
        env.set_tasks(env.sample_tasks(iteration))
        trial = collect(env, algorithm, state, algorithm.rounds, Address(1, iteration))
        returns.append(trial.returns.mean(dim=0))
        state, _ = algorithm.update(state, trial, Address(2, iteration))
    first, second, third = torch.stack(returns[-4:]).mean(dim=0).tolist()
    untrained = torch.stack(returns[:4]).mean(dim=0).tolist()
    assert min(second, third) > first + 0.7
    assert min(second, third) > max(untrained) + 1.5
