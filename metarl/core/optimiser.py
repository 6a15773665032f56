"""Adam as a function of values: torch's own optimiser, run on copies, with its memory as named tensors."""

import torch

from metarl.core.types import Params, State


def adam_state(params: Params) -> State:
    """The memory of an optimiser that has not stepped yet."""
    return {
        "step": torch.zeros(()),
        "exp_avg": {name: torch.zeros_like(value) for name, value in params.items()},
        "exp_avg_sq": {name: torch.zeros_like(value) for name, value in params.items()},
    }


def adam_step(params: Params, gradient: Params, state: State, learning_rate: float) -> tuple[Params, State]:
    """One Adam step (Kingma & Ba 2015) down `gradient`; nothing passed in is changed."""
    leaves = {name: value.detach().clone() for name, value in params.items()}
    optimiser = torch.optim.Adam(list(leaves.values()), lr=learning_rate)
    memory: dict[str, Params] = {}
    for name, leaf in leaves.items():
        leaf.grad = gradient[name].detach()
        memory[name] = {
            "step": state["step"].cpu().clone(),  # where torch keeps it, whatever the parameters' device
            "exp_avg": state["exp_avg"][name].clone(),
            "exp_avg_sq": state["exp_avg_sq"][name].clone(),
        }
        optimiser.state[leaf] = memory[name]
    optimiser.step()
    new_params = {name: leaf.detach() for name, leaf in leaves.items()}
    new_state = {
        "step": state["step"] + 1,
        "exp_avg": {name: memory[name]["exp_avg"] for name in leaves},
        "exp_avg_sq": {name: memory[name]["exp_avg_sq"] for name in leaves},
    }
    return new_params, new_state
