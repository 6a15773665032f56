"""The options of the methods that learn by proximal policy optimisation, without torch, as in `options.py`."""

from dataclasses import dataclass
from typing import Literal

from metarl.runtime.options import check_ranges, number


@dataclass(frozen=True)
class PPOOptions:
    """Proximal policy optimisation (Schulman et al. 2017) of a policy and a value function."""

    hidden: tuple[int, ...] = ()
    """Units of each hidden layer of the policy, and likewise of the value function."""
    initial_std: float = number(1.0, above=0)
    """Standard deviation of continuous actions before training."""
    discount: float = number(0.99, least=0, most=1)
    """Discount factor γ, through all episodes of a trial."""
    gae_lambda: float = number(0.95, least=0, most=1)
    """λ of generalised advantage estimation."""
    learning_rate: float = number(1e-3, above=0)
    """Step size of Adam for policy and value function."""
    learning_rate_decay: float = number(1.0, above=0, most=1)
    """Factor on the step size after every iteration."""
    desired_kl: float = number(0.0, least=0)
    """Divergence of an update that the next one's step size is fitted to: after more than twice as much it is 1.5 times
    smaller, after less than half of it as much larger (Rudin et al. 2022, rsl_rl); 0: it is not fitted."""
    epochs: int = number(5, least=1)
    """Passes over the trials of an iteration."""
    minibatches: int = number(4, least=1)
    """Adam steps in a pass, each on as many of the lanes."""
    clip: float = number(0.2, above=0)
    """Bound on how far probability ratios count, 1 ± clip."""
    value_coefficient: float = number(0.5, above=0)
    """Weight of the value function's error."""
    entropy_bonus: float = number(0.01, least=0)
    """Weight of the policy's mean entropy."""
    entropy_bonus_decay: float = number(1.0, above=0, most=1)
    """Factor on that weight after every iteration: explore first, then be sure."""
    max_gradient_norm: float = number(0.5, above=0)
    """A longer gradient is shortened to this."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class ByStepOptions:
    """The same where all steps of all lanes are one batch, as roboticists run it: what stands otherwise."""

    hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer of the policy, and likewise of the value function."""
    activation: Literal["tanh", "relu"] = "relu"
    """Activation of the hidden layers."""
    desired_kl: float = number(0.01, least=0)
    """Divergence of an update that the next one's step size is fitted to: after more than twice as much it is 1.5 times
    smaller, after less than half of it as much larger (Rudin et al. 2022, rsl_rl); 0: it is not fitted."""
    minibatches: int = number(4, least=1)
    """Adam steps in a pass, each on as many of the steps of all lanes."""
    entropy_bonus: float = number(0.005, least=0)
    """Weight of the policy's mean entropy."""
    max_gradient_norm: float = number(1.0, above=0)
    """A longer gradient is shortened to this."""


@dataclass(frozen=True)
class RandomisedConfig(ByStepOptions, PPOOptions):
    """One policy without memory for all tasks."""

    sees_task: bool = False
    """Show policy and value function the task's parameters: an oracle."""


@dataclass(frozen=True)
class StudentOptions:
    """A student that learns to say what a teacher was told."""

    teacher_iterations: int = number(300, least=1)
    """Iterations in which the teacher acts and learns; after them the student acts and learns alone."""
    memory: str = "gru"
    """What the student remembers an episode with: `gru`, `attention`, `splagger`, `transformer`, or a core as
    `module:attribute`."""
    embedding_size: int = number(64, least=0, most=100_000)
    """Units of a layer between a step and the memory (0: none)."""
    memory_size: int = number(64, least=1, most=100_000)
    """Units of the memory."""
    student_learning_rate: float = number(1e-3, above=0)
    """Step size of Adam for the student."""
    student_epochs: int = number(1, least=1)
    """Its passes over the episodes of an iteration."""


@dataclass(frozen=True)
class RMAConfig(StudentOptions, ByStepOptions, PPOOptions):
    """A teacher that reads an encoding of the task, and a student that finds it from what happens."""

    encoding_size: int = number(8, least=1, most=10_000)
    """Numbers Z that a task is encoded in."""
    encoder_hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer of the encoder."""


@dataclass(frozen=True)
class SystemIDConfig(StudentOptions, ByStepOptions, PPOOptions):
    """A teacher that reads the task's parameters, and a student that estimates them."""
