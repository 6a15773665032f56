"""Gradient methods: an inner loop × a meta-update. What a task starts from and how it moves, times how that is learned.

The inner loop (`core/inner_loops.py`) and the meta-update (`trust_region_update.py`, `adam_updates.py`, `promp.py`) are
named by the options; any pair that fits is a method. What is learned is a policy from experience (`experience.py`), or
a model from labels (`labels.py`): data differ in where batches come from, and in nothing else.

A method's meta-parameters are the model's initial parameters and, where an inner loop has more (rates, …), these beside
them. Its memory of tasks is a set of parameters for each.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from envs.registry import load_attribute
from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.experience import Experience, Seen
from metarl.algorithms.labels import Labels
from metarl.algorithms.options import FEED_FORWARD
from metarl.algorithms.pairs import part
from metarl.core.inner_loops import GradientSteps
from metarl.core.inner_step import for_tasks, repeat_for_tasks
from metarl.core.networks import apply, for_acting, initial_parameters
from metarl.core.types import Action, FewShot, Metrics, Params, Rollout, State, Transition, Trial
from metarl.fewshot.problem import Problem, Scores
from metarl.runtime.devices import sent
from metarl.runtime.interruption import interruption_point
from metarl.runtime.randomness import Address


class TaskParameters(NamedTuple):
    """What tasks taught: parameters of their own."""

    params: Params  # leading N, on the CPU, where acting happens
    steps: int  # inner steps taken
    hidden: torch.Tensor | None = None  # [N, E, S], of a policy that remembers its episode: each lane's state in it


class GradientMethod:
    """A pair at work.

    Args:
        config: of `pairs.pair_config`.
        spaces: of one lane; or the problem that labelled data pose.
        device: where adaptation and updates are computed.
    """

    @classmethod
    def traits(cls, config: Any) -> Traits:
        """Every mean over tasks is one over ranks too."""
        remembers = config.policy != FEED_FORWARD
        learns = config.outer != "none"
        return Traits(config.sees_task, divides_over_ranks=True, remembers_steps=remembers, learns=learns)

    def __init__(self, config: Any, spaces: Spaces | Problem, device: torch.device) -> None:
        self.config, self.device = config, device
        self.learned: Any
        if isinstance(spaces, Problem):
            self.learned = Labels(config, spaces)
        else:
            self.learned = Experience(config, spaces, device)
        make_inner = load_attribute(part("inner", config.inner).target)
        self.inner: GradientSteps = make_inner(self.learned.inner_loss, self.learned.model, config)
        self.outer = load_attribute(part("outer", config.outer).target)(self)
        self.steps = config.inner_steps if self.inner.trained else 0

    @property
    def rounds(self) -> int:
        """Rounds of a meta-training trial, `K + 1`."""
        return self.steps + 1

    def initial_state(self, address: Address) -> State:
        """Fresh meta-parameters, on the device, and what the meta-update keeps beside them."""
        model = initial_parameters(self.learned.model, address.torch_generator())
        meta = {name: sent(value, self.device) for name, value in self.inner.initial(model).items()}
        return {self.learned.key: meta, **self.outer.initial_state(meta)}

    def update(self, state: State, data: Trial | FewShot, address: Address) -> tuple[State, Metrics]:
        """One meta-update, from a trial on every task or from their labelled data."""
        return self.outer.update(state, *self.learned.batches(data, state, self.steps))

    def scores(self, state: State, tasks: FewShot, steps: int) -> Scores:
        """Of labelled data: each task's scores on its query after 0 … `steps` inner steps, `[N, steps + 1]`."""
        interruption_point()
        support = (tasks.support,) * steps
        return self.learned.look(self.inner, state[self.learned.key], support, tasks.query)

    def adapted(self, meta: Params, support: tuple[Any, ...], query: Any) -> Params:
        """Every task's parameters after the inner loop, `[N, ...]`; as many tasks as `query` is of."""
        if not support:
            return repeat_for_tasks(self.inner.start(meta), len(query[0]))
        adapt = for_tasks(lambda meta, support: self.inner.trail(meta, support)[-1], shared=[0])
        return adapt(meta, support)

    def measured(
        self, state: State, support: tuple[Any, ...], query: Any, seen: Seen, adapted: Params | None = None
    ) -> Metrics:
        """What an update tells: what was seen on the way, and how tasks' parameters are (by default the new ones')."""
        meta = state[self.learned.key]
        return self.learned.metrics(meta, lambda: adapted or self.adapted(meta, support, query), query, seen)

    def acting(self, state: State) -> Params:
        """What every task starts from."""
        return for_acting(self.inner.start(state[self.learned.key]))

    def begin(self, acting: Params, addresses: Sequence[Address], lanes_per_task: int) -> TaskParameters:
        """Every task starts alike."""
        tasks, size = len(addresses), self.learned.state_size
        hidden = torch.zeros(tasks, lanes_per_task, size) if size else None
        return TaskParameters(repeat_for_tasks(acting, tasks), 0, hidden)

    def act(
        self,
        acting: Params,
        memory: TaskParameters,
        observation: torch.Tensor,
        live: torch.Tensor,
        noise: torch.Tensor,
    ) -> tuple[Action, TaskParameters]:
        """Sample from each task's own policy; observation `[N, E, O]`."""
        if memory.hidden is None:
            distribution = apply(self.learned.model, memory.params, observation)
            action = distribution.sample(noise)
            return Action(action, distribution.log_probability(action)), memory
        played, following = for_tasks(self.learned.play)(memory.params, observation, memory.hidden, noise)
        return played, memory._replace(hidden=torch.where(live[..., None], following, memory.hidden))

    def observe(self, acting: Params, memory: TaskParameters, transition: Transition) -> TaskParameters:
        """Nothing is learned within a round; a policy that remembers its episode forgets it at its end."""
        if memory.hidden is None:
            return memory
        ended = (transition.terminated | transition.truncated)[..., None]
        return memory._replace(hidden=torch.where(ended, 0.0, memory.hidden))

    def adapt(self, state: State, memory: TaskParameters, rollout: Rollout) -> TaskParameters:
        """One inner step for each task, on its round of experience; the next round begins with nothing remembered."""
        full = memory.steps < self.config.inner_steps
        step = partial(self.inner.step, number=memory.steps, scale=1.0 if full else self.config.later_inner_lr)
        params = {name: sent(value, self.device) for name, value in memory.params.items()}
        adapted = for_tasks(step, shared=[0])(state[self.learned.key], params, self.learned.batch(rollout))
        hidden = None if memory.hidden is None else torch.zeros_like(memory.hidden)
        return TaskParameters(for_acting(adapted), memory.steps + 1, hidden)
