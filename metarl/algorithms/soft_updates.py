"""Learning from replay by soft actor-critic: what PEARL and the recurrent soft actor-critic share.

A state holds the `policy`, network by network; `critic` and its `target`; `log_temperature`; one `optimiser` of all
that is learned; and a `replay`.
"""

from collections.abc import Callable
from typing import TypeVar

import torch

from metarl.algorithms.memory_configs import PEARLConfig, RecurrentSACConfig
from metarl.core.optimiser import AdamSteps, adam_state
from metarl.core.parts import Parts, joined, part_of
from metarl.core.replay import empty_replay
from metarl.core.soft_actor_critic import polyak_
from metarl.core.trust_region import require_finite
from metarl.core.types import Metrics, Params, State
from metarl.runtime.devices import sent
from metarl.runtime.interruption import interruption_point

Draw = TypeVar("Draw")


def learned(state: State) -> Params:
    """All that gradient steps change, in one dict."""
    networks = joined({**state["policy"], "critic": state["critic"]})
    return {**networks, "log_temperature": state["log_temperature"]}


def soft_state(
    config: PEARLConfig | RecurrentSACConfig,
    policy: Parts,
    critic: Params,
    sizes: tuple[int, int],
    device: torch.device,
) -> State:
    """What training starts from: targets that equal their critics, and an empty replay for observations and actions of
    such sizes."""
    log_temperature = sent(torch.tensor(config.temperature).log(), device)
    state: State = {"policy": policy, "critic": critic, "log_temperature": log_temperature}
    return {
        **state,
        "target": {name: value.clone() for name, value in critic.items()},
        "optimiser": adam_state(learned(state)),
        "replay": empty_replay(config.replay_size, *sizes, device),
    }


def soft_descent(
    config: PEARLConfig | RecurrentSACConfig,
    state: State,
    steps: int,
    draw: Callable[[], Draw],
    gradient: Callable[[Parts, torch.Tensor, Params, Draw], tuple[Params, dict[str, torch.Tensor]]],
) -> tuple[State, Metrics]:
    """The state after `steps` gradient steps on copies of its parameters, and the means of what they measured.

    Args:
        config: rates.
        state: what to start from.
        steps: how many.
        draw: what a step learns from.
        gradient: of networks, log temperature, target critics and a draw: the gradient, by `PART.NAME`, and measures.

    Raises:
        NonFiniteError: a parameter after the last step is not finite.
    """
    adam = AdamSteps(learned(state), state["optimiser"], config.learning_rate, fused=True)
    target = {name: value.clone() for name, value in state["target"].items()}
    parts = {part: part_of(adam.params, part) for part in (*state["policy"], "critic")}
    measured = []
    for _ in range(steps):
        interruption_point()
        found, metrics = gradient(parts, adam.params["log_temperature"], target, draw())
        adam.step(found)
        polyak_(target, parts["critic"], config.target_rate)
        measured.append(torch.stack(list(metrics.values())))
    params, optimiser = adam.result()
    require_finite("updated policy", params)
    updated = {
        **state,
        "policy": {part: part_of(params, part) for part in state["policy"]},
        "critic": part_of(params, "critic"),
        "log_temperature": params["log_temperature"],
        "target": target,
        "optimiser": optimiser,
    }
    means = torch.stack(measured).mean(dim=0).tolist()
    averages = {f"update/{name}": mean for name, mean in zip(metrics, means, strict=True)}
    return updated, {**averages, "update/gradient_steps": float(steps)}
