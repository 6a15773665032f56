"""What the advantages promise: the gradient of a finite game's return, enumerated, and credit that ends with the game.

The process has 2 states, 2 actions and 3 steps at most; some moves end an episode earlier. The policy is a table of
logits `[S, A]`, and process and policy have probabilities in quarters, so that an urn holds every episode as often as
it is probable: means over its lanes are expectations.
"""

import itertools

import pytest
import torch
from torch.func import grad, jacrev

from metarl.core.advantages import discounted_returns, generalised_advantages, make_batch
from metarl.core.distributions import Categorical
from metarl.core.losses import dice_loss
from metarl.core.types import Batch, Rollout

S, A, T = 2, 2, 3
# Of moving to states 0 and 1; what is missing from one ends the episode. [S, A, S]
MOVE = torch.tensor([[[0.25, 0.75], [0.5, 0.25]], [[0.5, 0.5], [0.0, 0.75]]], dtype=torch.float64)
REWARD = torch.tensor([[1.0, -0.5], [2.0, 3.0]], dtype=torch.float64)  # [S, A]
LOGITS = torch.tensor([[1.0, 3.0], [3.0, 1.0]], dtype=torch.float64).log()  # 1/4, 3/4; 3/4, 1/4
END = S


def moves(state: int, action: int) -> list[float]:
    """Probabilities of the next state, of the end last."""
    if state == END:
        return [0.0] * S + [1.0]
    known = MOVE[state, action].tolist()
    return [*known, 1 - sum(known)]


def urn() -> Rollout:
    """Every episode from state 0 as often as it is probable, in 4⁵ lanes: three actions and two moves, in quarters."""
    policy = LOGITS.softmax(-1)
    lanes = []
    for states in itertools.product(range(S + 1), repeat=T):
        for actions in itertools.product(range(A), repeat=T):
            probability = float(states[0] == 0)
            for t, (state, action) in enumerate(zip(states, actions, strict=True)):
                probability *= float(policy[state, action]) if state != END else float(action == 0)
                probability *= moves(state, action)[states[t + 1]] if t + 1 < T else 1.0
            count = round(4**5 * probability)
            assert abs(count - 4**5 * probability) < 1e-9
            lanes += [(*states, *actions)] * count
    facts = torch.tensor(lanes)
    assert len(facts) == 4**5
    state, action = facts[None, :, :T], facts[None, :, T:]
    mask = (state != END).double()
    state = torch.where(state == END, 0, state)
    last = torch.cat([mask[..., 1:] == 0, torch.ones(1, len(lanes), 1, dtype=torch.bool)], dim=-1) & (mask == 1)
    clock = last & (torch.arange(T) == T - 1)
    observation = torch.eye(S, dtype=torch.float64)[state]
    return Rollout(
        observation=observation,
        action=action,
        log_probability=torch.log_softmax(LOGITS, -1)[state, action],
        reward=REWARD[state, action] * mask,
        terminated=last & ~clock,
        truncated=clock,
        first=torch.arange(T).expand_as(mask) == 0,
        mask=mask,
        next_observation=torch.eye(S, dtype=torch.float64)[action],  # at the end only: known by the last action
    )


def policy_gradient(rollout: Rollout, advantage: torch.Tensor) -> torch.Tensor:
    """`E[Σ_t ∇ log π(a_t|s_t) A_t]` over the lanes, `[S, A]`, by the score of a softmax: `1(b = a) − π(b|s)`."""
    score = torch.eye(A, dtype=torch.float64)[rollout.action] - rollout.observation @ LOGITS.softmax(-1)
    weighted = (advantage * rollout.mask)[..., None, None] * rollout.observation[..., None] * score[..., None, :]
    return weighted.sum(dim=(0, 2)).mean(dim=0)


def expected_return(logits: torch.Tensor) -> torch.Tensor:
    """Of an episode of T steps at most, undiscounted, by dynamic programming."""
    value = torch.zeros(S, dtype=torch.float64)
    for _ in range(T):
        value = (logits.softmax(-1) * (REWARD + MOVE @ value)).sum(-1)
    return value[0]


def exact_values(discount: float) -> tuple[torch.Tensor, torch.Tensor]:
    """With `T − t` steps to go: values `[T, S]` and values of actions `[T, S, A]`."""
    value, V, Q = torch.zeros(S, dtype=torch.float64), [], []
    for _ in range(T):
        of_action = REWARD + discount * MOVE @ value
        value = (LOGITS.softmax(-1) * of_action).sum(-1)
        V, Q = [value, *V], [of_action, *Q]
    return torch.stack(V), torch.stack(Q)


def promised_gradient(discount: float) -> torch.Tensor:
    """`Σ_t Σ_s P(s_t = s) Σ_a ∇π(a|s) Q_t(s, a)`, `[S, A]`: times as they come, rewards discounted to the action."""
    policy, (_, Q) = LOGITS.softmax(-1), exact_values(discount)
    visits, gradient = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.zeros(S, A, dtype=torch.float64)
    for t in range(T):
        mean = (policy * Q[t]).sum(-1, keepdim=True)
        gradient += visits[:, None] * policy * (Q[t] - mean)
        visits = torch.einsum("s,sa,saz->z", visits, policy, MOVE)
    return gradient


def test_without_discount_the_promised_gradient_is_that_of_the_expected_return() -> None:
    changes = [1e-5 * change.reshape(S, A) for change in torch.eye(S * A, dtype=torch.float64)]
    differences = [(expected_return(LOGITS + c) - expected_return(LOGITS - c)) / 2e-5 for c in changes]
    torch.testing.assert_close(
        promised_gradient(1.0).flatten(), torch.tensor(differences, dtype=torch.float64), rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("discount", [1.0, 0.9, 0.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_expected_policy_gradient_is_the_promised_one_for_any_baseline(discount: float, seed: int) -> None:
    rollout = urn()
    baseline = 10 * torch.randn(T, S, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    value = (rollout.observation * baseline).sum(-1)  # a baseline of state and time
    advantage = generalised_advantages(rollout.reward, value, rollout.mask, discount, 1.0)
    torch.testing.assert_close(policy_gradient(rollout, advantage), promised_gradient(discount), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.5, 1.0])
def test_with_the_exact_values_it_is_so_for_any_lambda(gae_lambda: float) -> None:
    rollout, discount = urn(), 0.9
    value = (rollout.observation * exact_values(discount)[0]).sum(-1)
    advantage = generalised_advantages(rollout.reward, value, rollout.mask, discount, gae_lambda)
    torch.testing.assert_close(policy_gradient(rollout, advantage), promised_gradient(discount), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_a_batch_has_the_promised_gradient_in_units_of_its_advantages(discount: float) -> None:
    # The baseline is fitted to the very urn. Advantages less their mean, over their deviation: the mean is one more
    # baseline, and the deviation the unit.
    rollout = urn()
    batch = make_batch(rollout, discount, 1.0)
    ours, exact = policy_gradient(rollout, batch.advantage), promised_gradient(discount)
    torch.testing.assert_close(ours / ours.norm(), exact / exact.norm(), rtol=1e-10, atol=1e-10)
    assert 0.1 < float(exact.norm() / ours.norm()) < 10


def test_dice_on_a_batch_has_both_derivatives_of_the_expected_return() -> None:
    # In the advantages' unit, which the first derivative shows; the loss is a mean over steps.
    rollout, start = urn(), LOGITS.clone()
    batch = Batch(*(field[0] for field in make_batch(rollout, 1.0, 1.0)))

    def objective(logits: torch.Tensor) -> torch.Tensor:
        distribution = Categorical(batch.observation @ logits)
        return -dice_loss(distribution, batch) * batch.mask.sum(dim=-1).mean()

    gradient, exact = (grad(function)(start) for function in (objective, expected_return))
    curvature, exact_curvature = (jacrev(jacrev(function))(start) for function in (objective, expected_return))
    unit = exact.norm() / gradient.norm()
    torch.testing.assert_close(unit * gradient, exact, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(unit * curvature, exact_curvature, rtol=1e-10, atol=1e-10)


def test_no_action_is_credited_after_the_last_reward() -> None:
    # A walk x ← x + a by normal steps, rewarded with x until t = 50 of 100. Whatever is done later changes nothing, so
    # late actions are not correlated with their advantages, which do not average to 0 by themselves.
    E, length = 2_000, 100
    action = torch.randn(1, E, length, generator=torch.Generator().manual_seed(0))
    place = torch.cat([torch.zeros(1, E, 1), action.cumsum(-1)], dim=-1) / 10
    late = torch.arange(length) >= 50
    never, ones = torch.zeros(1, E, length, dtype=torch.bool), torch.ones(1, E, length)
    rollout = Rollout(
        observation=place[..., :-1, None],
        action=action[..., None],
        log_probability=-ones,
        reward=torch.where(late, 0.0, place[..., 1:]),
        terminated=never,
        truncated=(torch.arange(length) == length - 1).expand_as(never),
        first=never,
        mask=ones,
        next_observation=place[..., 1:, None],
    )
    batch = make_batch(rollout, discount=0.99, gae_lambda=1.0)
    of_lanes = (action * batch.advantage)[0, :, late].mean(-1)  # [E], independent of one another
    assert abs(of_lanes.mean()) < 2 * of_lanes.std() / E**0.5
    # Early ones are credited: an action at t moves 50 − t rewards.
    assert (action * batch.advantage)[0, :, ~late].mean() > 0.1
    assert discounted_returns(rollout.reward, rollout.mask, 0.99)[..., late].abs().max() == 0
