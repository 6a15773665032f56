"""Learning from histories: training sees what acting saw, and what is distilled is the rule that made them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from support.trials import CPU, OBSERVATIONS, uneven

import envs
from envs.families.toy.bandit import BanditConfig
from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.algorithm import Spaces
from metarl.core.distributions import Categorical
from metarl.core.types import Action, Rollout, State, Transition, Trial
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sampling.collect import collect
from metarl.sampling.histories import Histories, read_histories
from metarl.sources import NoOptions
from metarl.sources.collect import collect_data
from metarl.training.loop import set_new_tasks
from metarl.training.setup import spaces_of

A, K, T = 3, 3, 7


def make(name: str, spaces: Spaces = Spaces(OBSERVATIONS, Discrete(A)), **options: Any) -> Any:  # noqa: B008
    sizes = {"memory_size": 16, "layers": 1, "embedding_size": 8, "rounds": K, **options}
    return make_algorithm(name, config_class(name)(**sizes), spaces, CPU)


def lively(algorithm: Any) -> State:
    state: State = algorithm.initial_state(Address(0))
    random = torch.Generator().manual_seed(5)
    policy = {key: x + 0.1 * torch.randn(x.shape, generator=random) for key, x in state["policy"].items()}
    return {**state, "policy": policy}


def as_histories(trial: Trial, informed: torch.Tensor | None = None) -> Histories:
    """The lanes of a trial, each a history."""
    fields = zip(*trial.rollouts, strict=True)
    return Histories(
        Rollout(*(torch.stack([x.flatten(0, 1) for x in field], dim=1) for field in fields)), informed, {}, {}
    )


@pytest.mark.parametrize("actions", [None, Discrete(A)], ids=["gaussian", "categorical"])
@pytest.mark.parametrize("options", [{}, {"window": 5}, {"memory": "gru"}], ids=str)
def test_training_computes_the_probabilities_that_were_acted_with(actions: Any, options: dict[str, Any]) -> None:
    spaces = Spaces(OBSERVATIONS, actions or envs.make("point-nav", 1, 1).single_action_space)
    algorithm = make("ad", spaces, **options)
    state = lively(algorithm)
    trial = uneven(Acting(algorithm), state, K, T)  # episodes of any length from 1 to T
    steps = as_histories(trial).steps
    stream = Rollout(*(field.flatten(1, 2) for field in steps))
    loss = algorithm.losses(state["policy"], (stream, stream.action))[0]
    expected = -(stream.log_probability * stream.mask).sum() / stream.mask.sum()
    assert stream.mask.mean() < 0.8
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)


class Acting:
    """An in-context agent, as trials ask for it."""

    def __init__(self, algorithm: Any) -> None:
        self.acting, self.begin, self.act = algorithm.acting, algorithm.begin, algorithm.act
        self.observe, self.adapt, self.actor = algorithm.observe, algorithm.adapt, algorithm.agent.actor


def test_contexts_are_every_so_manieth_episode_and_ask_for_what_was_done_or_best() -> None:
    B, R = 4, 11
    number = torch.arange(B * R * T).reshape(B, R, T)
    steps = Rollout(*[number] * len(Rollout._fields))
    histories = Histories(steps, 1000 + number, {}, {})
    for name, more in (("ad", 0), ("dpt", 1000)):
        algorithm = make(name, rounds=3, skip=4, batch_size=200)
        algorithm.require(histories)
        drawn, wanted = algorithm.drawn(histories, torch.Generator().manual_seed(0))
        assert torch.equal(wanted, drawn.reward + more) and wanted.shape == (200, 3 * T)
        episodes = drawn.mask.unflatten(1, (3, T)) // T  # numbers of all histories' episodes
        assert torch.equal(episodes, episodes[:, :, :1].expand_as(episodes))
        first = episodes[:, 0, 0] % R
        assert set(first.tolist()) == {0, 1, 2}  # the last that leaves room for two more
        assert torch.equal(episodes[:, :, 0] - episodes[:, :1, 0], torch.tensor([[0, 4, 8]]).expand(200, 3))
        assert set((episodes[:, 0, 0] // R).tolist()) == set(range(B))


def test_histories_that_do_not_suffice_are_refused() -> None:
    histories = as_histories(uneven(Acting(make("ad")), make("ad").initial_state(Address(0)), 4, T))
    with pytest.raises(InputError, match=r"of 4 episodes, algo.rounds 3 and algo.skip 2 ask for 5 — collect longer"):
        make("ad", skip=2).require(histories)
    with pytest.raises(InputError, match=r"do not say what had been best"):
        make("dpt").require(histories)


class LastPull(NamedTuple):
    arm: torch.Tensor  # [B]; -1 before the first
    paid: torch.Tensor  # [B]


class WinStay:
    """Win–stay, lose–shift (Robbins 1952): the same arm after a reward, after none any of the others alike."""

    Config = NoOptions

    def __init__(self, config: NoOptions, env: Any) -> None:
        self.arms = int(env.single_action_space.n)

    def acting(self, state: State) -> None: ...

    def begin(self, acting: None, addresses: Sequence[Address], lanes_per_task: int) -> LastPull:
        lanes = len(addresses) * lanes_per_task
        return LastPull(torch.full((lanes,), -1), torch.zeros(lanes))

    def act(
        self, acting: None, memory: LastPull, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, LastPull]:
        distribution = Categorical(win_stay(memory.arm, memory.paid, self.arms).log().unflatten(0, noise.shape))
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), memory

    def observe(self, acting: None, memory: LastPull, transition: Transition) -> LastPull:
        return LastPull(transition.action.flatten(), transition.reward.flatten())

    def adapt(self, state: State, memory: LastPull, rollout: Rollout) -> LastPull:
        return memory


def win_stay(arm: torch.Tensor, paid: torch.Tensor, arms: int) -> torch.Tensor:
    """The rule, as probabilities of arms `[B, A]`."""
    same = torch.nn.functional.one_hot(arm.clamp(min=0), arms).float()
    probability = torch.where(paid[:, None] > 0, same, (1 - same) / (arms - 1))
    return torch.where(arm[:, None] < 0, torch.full_like(same, 1 / arms), probability)


def test_distillation_recovers_the_rule_of_a_bandits_player(tmp_path: Path) -> None:
    bandit = BanditConfig(arms=A, horizon=10)
    collect_data("bandit", f"{__name__}:WinStay", tmp_path / "data", tasks=300, episodes=2, env=bandit)
    env = envs.make("bandit", 50, 2, arms=A, horizon=10)
    rates = {"learning_rate": 5e-3, "learning_rate_decay": 0.2}
    algorithm = make("ad", spaces_of(env), rounds=2, updates=150, batch_size=64, **rates)
    histories = read_histories(tmp_path / "data")
    state = algorithm.initial_state(Address(0))
    for iteration in range(2):
        state, metrics = algorithm.update(state, histories, Address(1, iteration))
    set_new_tasks(env, Address(77))  # bandits that no history is of
    before = {name: value.clone() for name, value in state["policy"].items()}
    trial = collect(env, algorithm, state, 2, Address(5))
    stream = Rollout(*(field.flatten(0, 1) for field in trial.rollouts[0]))  # [B, T, ...]
    arm = torch.cat([torch.full((100, 1), -1), stream.action[:, :-1]], dim=1)
    paid = torch.cat([torch.zeros(100, 1), stream.reward[:, :-1]], dim=1)
    rule = win_stay(arm.flatten(), paid.flatten(), A)
    chosen = rule.gather(1, stream.action.reshape(-1, 1)).log()  # what the rule says of what was done
    # The agent is the rule: of its own probabilities and the rule's the means differ by less than 0.03.
    difference = (stream.log_probability.flatten().exp() - chosen.squeeze(1).exp()).abs().mean()
    assert difference < 0.03, (difference, metrics)
    stays = stream.action[:, 1:] == stream.action[:, :-1]
    won = stream.reward[:, :-1] > 0
    assert stays[won].float().mean() > 0.97 and stays[~won].float().mean() < 0.05
    assert all(torch.equal(before[name], state["policy"][name]) for name in before)


def test_what_was_best_is_told_from_what_arms_paid(tmp_path: Path) -> None:
    # Two arms that pay p and 1 − p, p being 0.1 or 0.9 alike: after w rewards more of the first arm than of the second,
    # counted as rewards of one and as blanks of the other, it is the best with odds 9^w (Bayes). That is what DPT says.
    means = np.array([[0.1, 0.9], [0.9, 0.1]])
    (tmp_path / "bandits.json").write_text(str({"means": means.tolist()}).replace("'", '"'))
    bandit = BanditConfig(arms=2, horizon=4, train_list=str(tmp_path / "bandits.json"), shared_tasks=True)
    collect_data("bandit", "random", tmp_path / "data", tasks=600, episodes=2, env=bandit)
    env = envs.make("bandit", 40, 1, arms=2, horizon=4, train_list=bandit.train_list, shared_tasks=True)
    rates = {"learning_rate": 5e-3, "learning_rate_decay": 0.2}
    algorithm = make("dpt", spaces_of(env), rounds=1, updates=150, batch_size=128, **rates)
    histories, state = read_histories(tmp_path / "data"), algorithm.initial_state(Address(0))
    for iteration in range(3):
        state, _ = algorithm.update(state, histories, Address(1, iteration))
    env.set_tasks(env.sample_tasks(9))
    trial = collect(env, algorithm, state, 1, Address(5))
    stream = Rollout(*(field.flatten(0, 1) for field in trial.rollouts[0]))
    sign = torch.where(stream.action == 0, 1, -1) * torch.where(stream.reward > 0, 1, -1)
    evidence = torch.cat([torch.zeros(40, 1), sign.cumsum(dim=1)[:, :-1].float()], dim=1)
    first = 1 / (1 + 9.0**-evidence)
    expected = torch.where(stream.action == 0, first, 1 - first)
    assert (stream.log_probability.exp() - expected).abs().mean() < 0.05
    assert evidence.unique().numel() >= 5
