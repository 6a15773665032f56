"""The options of every few-shot learner, without torch. Sizes of inputs and outputs come from the task source."""

from dataclasses import dataclass
from typing import Literal

from metarl.runtime.options import check_ranges, number


@dataclass(frozen=True)
class LearnerConfig:
    """Model and meta-update, shared by all learners."""

    hidden: tuple[int, ...] = (40, 40)
    """Units of each hidden layer, where inputs are vectors."""
    activation: Literal["tanh", "relu"] = "relu"
    """Activation of these layers."""
    filters: int = number(64, least=1, most=10_000)
    """Filters of each of the four convolutions, where inputs are images. Each is followed by normalisation over the
    batch at hand, a task's query set too: an answer depends on what else is asked (transductive, as in Finn et al.)."""
    learning_rate: float = number(1e-3, above=0)
    """Step size of the meta-update, by Adam."""
    learning_rate_decay: float = number(1.0, above=0, most=1)
    """Factor on the step size after every meta-update."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class InnerLoopConfig(LearnerConfig):
    """Gradient steps on the support set."""

    inner_steps: int = number(1, least=1, most=10_000)
    """Steps K of meta-training."""
    inner_lr: float = number(0.01, above=0)
    """Step size of the inner loop."""


@dataclass(frozen=True)
class MAMLConfig(InnerLoopConfig):
    """MAML (Finn et al. 2017)."""

    first_order: bool = False
    """Ignore how the inner gradient depends on the meta-parameters (FOMAML)."""


@dataclass(frozen=True)
class FOMAMLConfig(MAMLConfig):
    """MAML that ignores how the inner gradient depends on the meta-parameters (Finn et al. 2017, section 5.2)."""

    first_order: bool = True
    """Ignore how the inner gradient depends on the meta-parameters; without it, this is MAML."""


@dataclass(frozen=True)
class MetaSGDConfig(MAMLConfig):
    """MAML with learned inner rates (Li et al. 2017)."""

    inner_lr: float = number(0.01, above=0)
    """First value of the learned inner rates."""


@dataclass(frozen=True)
class CAVIAConfig(MAMLConfig):
    """Context adaptation (Zintgraf et al. 2019)."""

    context_size: int = number(5, least=1, most=10_000)
    """Numbers in the context."""
    inner_lr: float = number(1.0, above=0)
    """Step size of the inner loop, in the context."""


@dataclass(frozen=True)
class IMAMLConfig(LearnerConfig):
    """Implicit MAML (Rajeswaran et al. 2019). One step of adaptation solves one problem."""

    inner_lr: float = number(0.02, above=0)
    """Step size of the proximal problem's solver."""
    proximal_strength: float = number(0.5, above=0)
    """λ: how strongly the solution is held at the meta-parameters."""
    proximal_steps: int = number(16, least=1, most=10_000)
    """Gradient steps of the solver."""
    implicit_iterations: int = number(5, least=1, most=10_000)
    """Conjugate-gradient steps of a product with the solution's derivative."""


@dataclass(frozen=True)
class ReptileConfig(InnerLoopConfig):
    """Reptile (Nichol et al. 2018)."""

    inner_steps: int = number(5, least=1, most=10_000)
    """Steps of meta-training, each on support and query together."""


@dataclass(frozen=True)
class MultiTaskConfig(LearnerConfig):
    """Joint training."""

    inner_lr: float = number(0.01, above=0)
    """Step size of fine-tuning, which is part of evaluation alone."""


@dataclass(frozen=True)
class RecurrentConfig(LearnerConfig):
    """A recurrent network over pairs of input and previous target."""

    memory: int = number(64, least=1, most=100_000)
    """Units of the recurrent layer."""
