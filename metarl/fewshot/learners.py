"""Learners that adapt by gradient steps on the support set: the inner loops of `core/inner_loops.py`, and Adam.

A learner's meta-parameters are `state["model"]`: the model's initial parameters and, where it learns more than that
(rates), these beside them. Learners differ in their inner loop and in the meta-gradient.
"""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad

from metarl.core.implicit import implicit_adaptation
from metarl.core.inner_loops import ContextSteps, GradientSteps, HeadSteps, LearnedRates, ProximalSteps
from metarl.core.inner_step import for_tasks
from metarl.core.meta_gradient import meta_gradient, meta_step
from metarl.core.networks import initial_parameters
from metarl.core.optimiser import adam_state, falling_rate
from metarl.core.types import FewShot, Labelled, Params, State
from metarl.fewshot import configs
from metarl.fewshot.learner import Problem, Scores, curve
from metarl.fewshot.models import make_model
from metarl.runtime.devices import sent
from metarl.runtime.interruption import interruption_point
from metarl.runtime.randomness import Address
from metarl.runtime.ranks import mean_over_tasks


class GradientLearner:
    """What the family shares; a learner adds its inner loop and its meta-gradient.

    Args:
        config: model, inner loop and meta-update.
        problem: what inputs and outputs are.
        device: where all is computed.
    """

    Config: Any = configs.LearnerConfig
    context_size = 0

    def __init__(self, config: Any, problem: Problem, device: torch.device) -> None:
        self.config, self.problem, self.device = config, problem, device
        self.context_size = getattr(config, "context_size", 0)
        self.model: nn.Module = make_model(problem.input_shape, problem.outputs, config, self.context_size)
        self.inner = self.inner_loop()

    @property
    def steps(self) -> int:
        """Inner steps K of meta-training."""
        return self.config.inner_steps

    def inner_loop(self) -> GradientSteps:
        """How this learner adapts."""
        return GradientSteps(self.loss, self.config.inner_lr, getattr(self.config, "first_order", True))

    def initial_state(self, address: Address) -> State:
        """Fresh meta-parameters and optimiser, on the device."""
        meta = self.inner.initial(initial_parameters(self.model, address.torch_generator()))
        model = {name: sent(value, self.device) for name, value in meta.items()}
        return {"model": model, "optimiser": adam_state(model)}

    def update(self, state: State, tasks: FewShot) -> tuple[State, Scores]:
        """One Adam step down the meta-gradient."""
        interruption_point()
        gradient, scores = self.meta_gradient(state["model"], tasks)
        rate = falling_rate(self.config.learning_rate, self.config.learning_rate_decay, state["optimiser"])
        model, optimiser = meta_step(state["model"], gradient, state["optimiser"], rate)
        return {**state, "model": model, "optimiser": optimiser}, scores

    def meta_gradient(self, meta: Params, tasks: FewShot) -> tuple[Params, Scores]:
        """Which way the meta-update goes down, and the scores on the way, `[N, K + 1]`."""
        gradient, (_, scores) = meta_gradient(self.objective, meta, tasks, has_aux=True)
        return gradient, scores

    def evaluate(self, state: State, tasks: FewShot, steps: int) -> Scores:
        """Each task's scores after 0 … `steps` inner steps, `[N, steps + 1]`."""
        interruption_point()

        def scores(meta: Params, task: FewShot) -> Scores:
            return curve(self.adaptation(meta, task, steps))

        return for_tasks(scores, shared=[0])(state["model"], tasks)

    # What follows is for one task: no axis N.

    def predict(self, params: Params, inputs: torch.Tensor) -> torch.Tensor:
        """The model's outputs."""
        return functional_call(self.model, params, (inputs,), tie_weights=False)

    def loss(self, params: Params, data: Labelled) -> torch.Tensor:
        """What an inner step descends."""
        return self.problem.loss(self.predict(params, data.inputs), data.targets)

    def scores(self, params: Params, data: Labelled) -> Scores:
        """How good the model's predictions are."""
        return self.problem.scores(self.predict(params, data.inputs), data.targets)

    def adaptation(self, meta: Params, task: FewShot, steps: int) -> list[Scores]:
        """The scores on the query after each step on the support."""
        params = self.inner.start(meta)
        points = [self.scores(params, task.query)]
        for number in range(steps):
            params = self.inner.step(meta, params, task.support, number)
            points.append(self.scores(params, task.query))
        return points

    def objective(self, meta: Params, task: FewShot) -> tuple[torch.Tensor, Scores]:
        """The loss on the query after the inner loop; and all scores."""
        points = self.adaptation(meta, task, self.steps)
        return points[-1]["loss"], curve(points)


class MAML(GradientLearner):
    """Gradient steps from a learned start; by `first_order` FOMAML (Finn et al. 2017)."""

    Config = configs.MAMLConfig


class ANIL(MAML):
    """Steps in the last layer; the layers below are features that all tasks share (Raghu et al. 2020)."""

    def inner_loop(self) -> GradientSteps:
        """Steps in weights and biases of the last layer."""
        *_, weight, bias = (name for name, _ in self.model.named_parameters())
        return HeadSteps(self.loss, self.config.inner_lr, self.config.first_order, (weight, bias))


class MetaSGD(MAML):
    """Steps whose rates are learned, one for every number of the model (Li et al. 2017)."""

    Config = configs.MetaSGDConfig

    def inner_loop(self) -> GradientSteps:
        """Steps at the learned rates."""
        return LearnedRates(self.loss, self.config.inner_lr, self.config.first_order)


class CAVIA(MAML):
    """Steps in a context alone, from 0 (Zintgraf et al. 2019)."""

    Config = configs.CAVIAConfig

    def inner_loop(self) -> GradientSteps:
        """Steps in the context."""
        config = self.config
        return ContextSteps(self.loss, config.inner_lr, config.first_order, size=config.context_size)


class IMAML(GradientLearner):
    """A proximal problem, differentiated at its solution (Rajeswaran et al. 2019)."""

    Config = configs.IMAMLConfig

    @property
    def steps(self) -> int:
        """One problem, solved."""
        return 1

    def inner_loop(self) -> GradientSteps:
        """The problem."""
        config = self.config
        return ProximalSteps(
            self.loss, config.inner_lr, strength=config.proximal_strength, iterations=config.proximal_steps
        )

    def meta_gradient(self, meta: Params, tasks: FewShot) -> tuple[Params, Scores]:
        """`(I + H/λ)⁻¹` times the gradient at each task's solution."""
        solve = partial(self.inner.step, number=0)
        tasks_of = tasks.support.inputs.shape[0]
        start = {name: value.expand(tasks_of, *value.shape) for name, value in meta.items()}
        solutions = for_tasks(lambda params, support: solve(params, params, support))(start, tasks.support)
        config = self.config
        adaptation = implicit_adaptation(
            self.loss, solutions, tasks.support, config.proximal_strength, config.implicit_iterations
        )
        gradients = for_tasks(grad(self.loss))(solutions, tasks.query)
        points = [for_tasks(self.scores)(params, tasks.query) for params in (start, solutions)]
        return mean_over_tasks(adaptation.pullback(gradients)), curve(points, dim=1)


class Reptile(GradientLearner):
    """Towards where steps on all of a task's data lead; nothing is differentiated twice (Nichol et al. 2018)."""

    Config = configs.ReptileConfig

    def meta_gradient(self, meta: Params, tasks: FewShot) -> tuple[Params, Scores]:
        """Mean over tasks of the way back from the adapted to the initial parameters."""

        def adapted(meta: Params, task: FewShot) -> Params:
            return self.inner.adapt(meta, [union(task)] * self.steps)

        ends = for_tasks(adapted, shared=[0])(meta, tasks)
        direction = {name: (meta[name] - ends[name].mean(dim=0)).detach() for name in meta}
        return direction, self.evaluate({"model": meta}, tasks, self.steps)


class MultiTask(GradientLearner):
    """Joint training on all tasks, which evaluation fine-tunes: transfer without learning to learn."""

    Config = configs.MultiTaskConfig

    @property
    def steps(self) -> int:
        """None in training."""
        return 0

    def objective(self, meta: Params, task: FewShot) -> tuple[torch.Tensor, Scores]:
        """The loss on all of a task's data, without adaptation."""
        return self.loss(meta, union(task)), curve(self.adaptation(meta, task, 0))


def union(task: FewShot) -> Labelled:
    """Support and query of one task together."""
    return Labelled(*(torch.cat(pair) for pair in zip(task.support, task.query, strict=True)))
