"""Adam as a function of values: torch's own optimiser, run on copies, with its memory as named tensors."""

import torch

from metarl.core.types import Params, State
from metarl.runtime.devices import sent


def adam_state(params: Params) -> State:
    """The memory of an optimiser that has not stepped yet; the count of its steps lies on the CPU."""
    return {
        "step": torch.zeros(()),
        "exp_avg": {name: torch.zeros_like(value) for name, value in params.items()},
        "exp_avg_sq": {name: torch.zeros_like(value) for name, value in params.items()},
    }


def falling_rate(rate: float, decay: float, state: State, steps: int = 1) -> float:
    """The step size of the next update: `rate`, times `decay` for every update of so many steps that was taken."""
    return rate * decay ** (int(state["step"]) // steps)


class AdamSteps:
    """Many steps of Adam (Kingma & Ba 2015) within one update; nothing passed in is ever changed.

    Args:
        params: where to start.
        state: the optimiser's memory there.
        learning_rate: of every step.
        fused: let torch step in all parameters at once, which is faster and rounds differently.
    """

    def __init__(self, params: Params, state: State, learning_rate: float, fused: bool = False) -> None:
        self.params = {
            name: value.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
            for name, value in params.items()
        }
        """Copies that every step writes to."""
        self._start, self._taken = state["step"], 0
        # where torch keeps it: on the CPU whatever the parameters' device, unless fused
        step = sent(state["step"], next(iter(params.values())).device) if fused else state["step"]
        self._memory = {
            name: {
                "step": step.clone(),
                "exp_avg": state["exp_avg"][name].clone(memory_format=torch.contiguous_format),
                "exp_avg_sq": state["exp_avg_sq"][name].clone(memory_format=torch.contiguous_format),
            }
            for name in params
        }
        self._optimiser = torch.optim.Adam(list(self.params.values()), lr=learning_rate, fused=fused)
        for name, leaf in self.params.items():
            self._optimiser.state[leaf] = self._memory[name]

    def step(self, gradient: Params) -> None:
        """One step down `gradient`."""
        for name, leaf in self.params.items():
            # Fused steps pair numbers as they lie in memory: a transposed gradient would move the wrong parameters.
            leaf.grad = gradient[name].detach().contiguous()
        self._optimiser.step()
        self._taken += 1

    def result(self) -> tuple[Params, State]:
        """The parameters and the memory after the last step."""
        params = {name: leaf.detach() for name, leaf in self.params.items()}
        state = {
            "step": self._start + self._taken,
            "exp_avg": {name: memory["exp_avg"] for name, memory in self._memory.items()},
            "exp_avg_sq": {name: memory["exp_avg_sq"] for name, memory in self._memory.items()},
        }
        return params, state


def adam_step(params: Params, gradient: Params, state: State, learning_rate: float) -> tuple[Params, State]:
    """One Adam step down `gradient`; nothing passed in is changed."""
    steps = AdamSteps(params, state, learning_rate)
    steps.step(gradient)
    return steps.result()
