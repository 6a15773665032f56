"""Rapid motor adaptation (Kumar et al. 2021), and system identification in its place (Yu et al. 2017).

In a simulator the policy may be told what it will have to find out. While the *teacher* acts, policy and value function
read an encoding z of the task's parameters, learned with them by proximal policy optimisation (phase 1). A *student*
reads what a robot has, its observations and actions, and learns to say z; it learns from the teacher's episodes all the
while, then from its own: after `teacher_iterations` it acts and the policy stays as it is (phase 2). Wherever the task
is not shown, in evaluation and on a robot, the student acts.

`rma` encodes the task in a few numbers; the authors' student is a convolution over the last 50 steps, here it is any
core (`core/recurrent.py`) over all of the episode. `system-id` has no encoding: the policy reads the task's parameters
themselves, and the student estimates them.

Letters beside the house's: B = N·E lanes · L steps of an episode · P task parameters · Z numbers of z · X inputs of
a student's step.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import nn

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.cores import make_core
from metarl.algorithms.ppo_configs import RMAConfig, SystemIDConfig
from metarl.algorithms.proximal_update import actor_and_critic, proximal_state, stream_of, update_by_step
from metarl.algorithms.recurrent_memory import RecurrentMemory, nothing_met
from metarl.core.losses import masked_mean
from metarl.core.networks import (
    MLP,
    Linear,
    action_as_input,
    apply,
    for_acting,
    size_of_action,
    size_of_observation,
)
from metarl.core.optimiser import adam_state
from metarl.core.parts import Parts, fresh_parameters, part_of
from metarl.core.proximal import Loss, adam_descent, minibatches, proximal_loss
from metarl.core.recurrent import of_previous_step, step
from metarl.core.types import Action, Batch, Metrics, Params, Rollout, State, Transition, Trial
from metarl.runtime.devices import CPU, read_back
from metarl.runtime.randomness import Address


class StudentMemory(NamedTuple):
    """What a student carries through an episode."""

    met: RecurrentMemory
    encoding: torch.Tensor  # [N, E, Z], what it last said


class RMA:
    """A teacher that is told the task's encoding, and the student that acts without.

    Args:
        config: its options.
        spaces: of one lane, where the task is not shown.
        device: where updates are computed.
    """

    Config: type = RMAConfig
    rounds = 1

    @classmethod
    def traits(cls, config: Any) -> Traits:
        """In training the task is shown."""
        return Traits(teaches=True, learns_from_whole_batch=True, adapts_after_each_episode=True)

    def __init__(self, config: Any, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device = config, device
        self.observation_size, (parameters,) = size_of_observation(spaces.observation), spaces.task.shape
        self.encoder, self.encoding_size = self.encoder_of(parameters)
        seen = Box(-np.inf, np.inf, (self.observation_size + self.encoding_size,))
        self.actor, self.critic = actor_and_critic(config, seen, spaces.action)
        self.action_size = size_of_action(spaces.action)
        self.previous_size = self.action_size + 1
        inputs = self.observation_size + self.previous_size
        self.core = make_core(config.memory, inputs, config.embedding_size, config.memory_size)
        self.head = Linear(config.memory_size, self.encoding_size)

    def encoder_of(self, parameters: int) -> tuple[nn.Module, int]:
        """What makes z of P parameters, and its size."""
        size = self.config.encoding_size
        return MLP(parameters, self.config.encoder_hidden, size, self.config.activation), size

    def initial_state(self, address: Address) -> State:
        """Fresh parameters and optimisers, on the device."""
        generator = address.torch_generator()
        modules = {"encoder": self.encoder, "actor": self.actor, "critic": self.critic}
        policy = fresh_parameters(modules, generator, self.device)
        student = fresh_parameters({"core": self.core, "head": self.head}, generator, self.device)
        own = {"student": student, "student_optimiser": adam_state(student), "iteration": torch.zeros(())}
        return {**proximal_state(self.config, policy), **own}

    def taught(self, state: State) -> bool:
        """Whether the teacher acts and learns."""
        return bool(state["iteration"] < self.config.teacher_iterations)

    def acting(self, state: State) -> Parts:
        """The parameters of `actor`, `core` and `head`; and of `encoder` while the teacher acts."""
        taught = {"encoder": for_acting(part_of(state["policy"], "encoder"))} if self.taught(state) else {}
        student = {part: part_of(state["student"], part, CPU) for part in ("core", "head")}
        return {"actor": for_acting(part_of(state["policy"], "actor")), **student, **taught}

    def begin(self, acting: Parts, addresses: Sequence[Address], lanes_per_task: int) -> StudentMemory:
        """Nothing remembered."""
        met = nothing_met(self.core, len(addresses) * lanes_per_task, self.previous_size)
        return StudentMemory(met, torch.zeros(len(addresses), lanes_per_task, self.encoding_size))

    def act(
        self, acting: Parts, memory: StudentMemory, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, StudentMemory]:
        """Sample from the policy at observation `[N, E, O]`, of the student's z; or at `[N, E, O + P]` of the
        teacher's, as long as it acts."""
        observation, task = self.split(observation)
        if "encoder" in acting and task.shape[-1]:
            encoding = apply(self.encoder, acting["encoder"], task)
        else:
            inputs = torch.cat([observation.flatten(0, 1), memory.met.previous], dim=1)  # [B, X]
            said, hidden = step(self.core, acting["core"], inputs, memory.met.hidden, live.flatten())
            encoding = apply(self.head, acting["head"], said).unflatten(0, observation.shape[:2])
            memory = StudentMemory(memory.met._replace(hidden=hidden), encoding)
        distribution = apply(self.actor, acting["actor"], torch.cat([observation, encoding], dim=-1))
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), memory

    def observe(self, acting: Parts, memory: StudentMemory, transition: Transition) -> StudentMemory:
        """Remember what was done, in the lanes that did it."""
        done = action_as_input(transition.action, self.action_size).flatten(0, 1)
        return memory._replace(met=memory.met.after(done, transition.mask.flatten()))

    def adapt(self, state: State, memory: StudentMemory, rollout: Rollout) -> StudentMemory:
        """The next episode begins with nothing remembered."""
        met = nothing_met(self.core, len(memory.met.previous), self.previous_size)
        return StudentMemory(met, torch.zeros_like(memory.encoding))

    def belief(self, acting: Parts, memory: StudentMemory) -> tuple[torch.Tensor, torch.Tensor]:
        """What the student last said, `[N, E, Z]`; it does not say how sure it is."""
        return memory.encoding, torch.zeros_like(memory.encoding)

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Epochs of minibatches of steps for the teacher, while it acts; then of whole episodes for the student.

        Raises:
            NonFiniteError: the rewards, a gradient or a parameter are not finite.
        """
        stream, generator, metrics = stream_of(trial, state, self.device), address.torch_generator(), Metrics()
        if self.taught(state):
            state, metrics = update_by_step(self.config, state, stream, self.value, self.loss, generator)
        state, told = self.teach(state, stream, generator)
        return {**state, "iteration": state["iteration"] + 1}, metrics | told

    def split(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Observation and task, `[..., O]` and `[..., P]`; of nothing where the task is not shown."""
        return seen[..., : self.observation_size], seen[..., self.observation_size :]

    def known(self, policy: Params, seen: torch.Tensor) -> torch.Tensor:
        """What policy and value function read while the task is shown, `[..., O + Z]`."""
        observation, task = self.split(seen)
        return torch.cat([observation, apply(self.encoder, part_of(policy, "encoder"), task)], dim=-1)

    def value(self, policy: Params, seen: torch.Tensor) -> torch.Tensor:
        """Of what is shown, `[..., O + P]` -> `[...]`, in units of the returns' scale."""
        value: torch.Tensor = apply(self.critic, part_of(policy, "critic"), self.known(policy, seen)).squeeze(-1)
        return value

    def loss(self, policy: Params, batch: Batch) -> Loss:
        """What an Adam step of the teacher descends, of some of the steps."""
        config, known = self.config, self.known(policy, batch.observation)
        distribution = apply(self.actor, part_of(policy, "actor"), known)
        value = apply(self.critic, part_of(policy, "critic"), known).squeeze(-1)
        return proximal_loss(distribution, value, batch, config.clip, config.value_coefficient, config.entropy_bonus)

    def teach(self, state: State, stream: Rollout, generator: torch.Generator) -> tuple[State, Metrics]:
        """Let the student learn what the teacher would say at every step of episodes `[B, L, ...]`."""
        config = self.config
        with torch.no_grad():
            target = self.known(state["policy"], stream.observation)[..., self.observation_size :]  # [B, L, Z]
        inputs = self.inputs(stream)
        parts = minibatches(config.student_epochs, len(inputs), config.minibatches, generator, self.device)
        batches = [(inputs[lanes], target[lanes], stream.mask[lanes]) for epoch in parts for lanes in epoch]
        student, optimiser, errors = adam_descent(
            self.student_loss,
            state["student"],
            state["student_optimiser"],
            batches,
            config.student_learning_rate,
            config.max_gradient_norm,
            "student",
        )
        error = torch.stack([error for (error,) in errors[-len(parts[-1]) :]]).mean()
        mean = (target * stream.mask[..., None]).sum(dim=(0, 1)) / stream.mask.sum()  # [Z]
        variance = masked_mean((target - mean).square().sum(dim=-1), stream.mask).clamp(min=1e-8)
        told = read_back({"update/student_error": error, "update/student_explained_variance": 1 - error / variance})
        return {**state, "student": student, "student_optimiser": optimiser}, told

    def inputs(self, stream: Rollout) -> torch.Tensor:
        """What the student reads at each step, `[B, L, X]`: as in acting."""
        previous = of_previous_step(action_as_input(stream.action, self.action_size), stream.mask)
        first = stream.first[..., None].to(previous.dtype)
        return torch.cat([self.split(stream.observation)[0], previous, first], dim=-1)

    def estimate(self, student: Params, inputs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The student's z after each input, `[B, L, Z]`."""
        start = inputs.new_zeros(len(inputs), self.core.state_size)
        said, _ = apply(self.core, part_of(student, "core"), inputs, start, mask)
        estimate: torch.Tensor = apply(self.head, part_of(student, "head"), said)
        return estimate

    def student_loss(self, student: Params, batch: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """The squared error of what it says, summed over z, and a mean over steps."""
        inputs, target, mask = batch
        return [masked_mean((self.estimate(student, inputs, mask) - target).square().sum(dim=-1), mask)]


class SystemID(RMA):
    """The policy reads the task's parameters, and the student estimates them."""

    Config = SystemIDConfig

    @classmethod
    def traits(cls, config: Any) -> Traits:
        """As of its kin; and what it says are the parameters."""
        return super().traits(config)._replace(estimates_task=True)

    def encoder_of(self, parameters: int) -> tuple[nn.Module, int]:
        """The parameters stand for themselves."""
        return nn.Identity(), parameters
