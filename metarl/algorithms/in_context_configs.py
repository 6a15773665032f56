"""The options of the methods that learn from stored histories, without torch, as in `memory_configs.py`."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from metarl.runtime.options import check_ranges, number


@dataclass(frozen=True)
class InContextConfig:
    """A sequence model that learns from histories what to do next."""

    learns: ClassVar[Literal["done", "best"]] = "done"
    """What the source did, or what had been best."""

    data: str = ""
    """The folder of histories (`metarl collect-data`)."""
    rounds: int = number(20, least=1, most=10_000)
    """Episodes of a context in training."""
    skip: int = number(1, least=1, most=10_000)
    """Every how manieth episode of a history counts: more of them show more of its learning."""
    memory: str = "transformer"
    """`transformer` (published), or what else RL² remembers with."""
    memory_size: int = number(64, least=1, most=100_000)
    """Units of the memory."""
    layers: int = number(2, least=1, most=100)
    """Blocks of a transformer."""
    window: int = number(0, least=0)
    """Steps that a transformer looks back at in each block (0: all)."""
    embedding_size: int = number(128, least=0, most=100_000)
    """Units of a layer between a step and the memory (0: none)."""
    hidden: tuple[int, ...] = ()
    """Units of each hidden layer of the policy."""
    initial_std: float = number(1.0, above=0)
    """Standard deviation of continuous actions before training."""
    learning_rate: float = number(1e-3, above=0)
    """Step size of Adam."""
    learning_rate_decay: float = number(1.0, above=0, most=1)
    """Factor on the step size after every iteration."""
    batch_size: int = number(32, least=1, most=1_000_000)
    """Contexts of a gradient step."""
    updates: int = number(10, least=1)
    """Gradient steps of an iteration."""
    max_gradient_norm: float = number(1.0, above=0)
    """A longer gradient is shortened to this."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class ADConfig(InContextConfig):
    """Algorithm Distillation (Laskin et al. 2022): learns what a source algorithm did."""


@dataclass(frozen=True)
class DPTConfig(InContextConfig):
    """Decision-Pretrained Transformer (Lee et al. 2023): learns what had been best, as who knows the task says."""

    learns: ClassVar[Literal["done", "best"]] = "best"
