"""A learner whose memory is a recurrent state: it reads pairs of input and previous target, then answers.

Hochreiter, Younger & Conwell 2001; Santoro et al. 2016, section 2. Step t of a sequence shows `x_t` and `y_{t−1}`, so
that the answer is not in the question; a query stands last, once for each of a task's queries, all from the same state.
Recurrent layers have no vmap rule and need none: nothing in a task's parameters is its own, so tasks fold into the
batch.

Letters: `N` tasks · `S` shots · `Q` queries · `Y` outputs · `H` hidden.
"""

from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional

from metarl.algorithms.memory_configs import RecurrentConfig
from metarl.core.meta_gradient import descend
from metarl.core.networks import MLP, initial_parameters
from metarl.core.optimiser import adam_state, falling_rate
from metarl.core.recurrent import GRU
from metarl.core.types import FewShot, Labelled, Metrics, Params, State
from metarl.fewshot.models import ConvolutionalNetwork
from metarl.fewshot.problem import Problem, Scores, curve, metrics_of
from metarl.runtime.devices import sent
from metarl.runtime.interruption import interruption_point
from metarl.runtime.randomness import Address


class Reader(nn.Module):
    """Support and questions -> answers, for all tasks at once."""

    def __init__(self, problem: Problem, config: RecurrentConfig) -> None:
        super().__init__()
        images = len(problem.input_shape) == 3
        features = config.filters if images else problem.input_shape[0]
        self.encoder = ConvolutionalNetwork(problem.input_shape[2], features, features) if images else nn.Identity()
        self.memory = GRU(features + problem.outputs, config.memory)
        self.head = MLP(config.memory, config.hidden, problem.outputs, config.activation)

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor, questions: torch.Tensor) -> torch.Tensor:
        """Answers `[N, Q, Y]` after reading `inputs` [N, S, ...] with `targets` [N, S, Y]; S may be 0."""
        shots = inputs.shape[1]
        features = vmap(self.encoder)(torch.cat([inputs, questions], dim=1))  # [N, S + Q, features]
        shown = torch.cat([torch.zeros_like(targets[:, :1]), targets], dim=1) if shots else None  # y_{t−1}
        state = features.new_zeros(features.shape[0], self.memory.size)  # [N, H]
        last = features.new_zeros(features.shape[0], targets.shape[-1])  # [N, Y]
        if shown is not None:
            sequence = torch.cat([features[:, :shots], shown[:, :-1]], dim=-1)
            _, state = self.memory(sequence, state, torch.ones_like(sequence[..., 0]))
            last = shown[:, -1]
        asked = features[:, shots:]
        steps = torch.cat([asked, last[:, None].expand(*asked.shape[:2], -1)], dim=-1).flatten(0, 1)
        states, _ = self.memory(steps, state.repeat_interleave(asked.shape[1], dim=0))  # [N · Q, H]
        return self.head(states).unflatten(0, asked.shape[:2])


class RNN:
    """Adapts by reading: there is one step of adaptation, and more of them change nothing."""

    Config: Any = RecurrentConfig
    steps = 1

    def __init__(self, config: RecurrentConfig, problem: Problem, device: torch.device) -> None:
        self.config, self.problem, self.device = config, problem, device
        self.model = Reader(problem, config)

    def initial_state(self, address: Address) -> State:
        """Fresh parameters and optimiser, on the device."""
        params = initial_parameters(self.model, address.torch_generator())
        model = {name: sent(value, self.device) for name, value in params.items()}
        return {"model": model, "optimiser": adam_state(model)}

    def update(self, state: State, tasks: FewShot, address: Address) -> tuple[State, Metrics]:
        """One Adam step down the mean loss of the answers after reading."""

        def loss(params: Params) -> tuple[torch.Tensor, Scores]:
            scores = self.answered(params, tasks.support, tasks.query)
            return scores["loss"].mean(), scores

        gradient, (value, after) = grad_and_value(loss, has_aux=True)(state["model"])
        points = [self.answered(state["model"], nothing(tasks.support), tasks.query), after]
        rate = falling_rate(self.config.learning_rate, self.config.learning_rate_decay, state["optimiser"])
        model, optimiser, _ = descend(lambda model: (gradient, value), state["model"], state["optimiser"], rate)
        return {**state, "model": model, "optimiser": optimiser}, metrics_of(curve(points, dim=1))

    def scores(self, state: State, tasks: FewShot, steps: int) -> Scores:
        """Each task's scores before reading, and after; `[N, steps + 1]`."""
        interruption_point()
        before = self.answered(state["model"], nothing(tasks.support), tasks.query)
        after = self.answered(state["model"], tasks.support, tasks.query)
        return curve([before, *[after] * steps], dim=1)

    def answered(self, params: Params, support: Labelled, query: Labelled) -> Scores:
        """Each task's scores on its query, `[N]`."""
        targets = support.targets
        if self.problem.classification:
            targets = functional.one_hot(targets, self.problem.outputs).to(support.inputs.dtype)
        answers = functional_call(self.model, params, (support.inputs, targets, query.inputs))
        return vmap(self.problem.scores)(answers, query.targets)


def nothing(support: Labelled) -> Labelled:
    """A support set of no examples."""
    return Labelled(support.inputs[:, :0], support.targets[:, :0])
