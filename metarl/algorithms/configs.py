"""The options of every algorithm, without torch, so that the command line can read them in no time.

An option, its default and its meaning stand together. Sizes (observations, actions, tasks) are never here: they
come from the environment.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal

from envs.errors import InputError

POSITIVE = {
    "inner_steps",
    "inner_lr",
    "initial_std",
    "output_gain",
    "max_kl",
    "cg_iterations",
    "max_backtracks",
    "learning_rate",
    "clip",
    "epochs",
    "target_kl",
    "curvature_share",
}
NON_NEGATIVE = {"cg_damping", "later_inner_lr", "kl_coefficient"}
UNIT_INTERVAL = {"discount", "gae_lambda", "backtrack_ratio", "curvature_share"}


@dataclass(frozen=True)
class InnerLoopConfig:
    """Policy, advantages and inner loop, shared by all gradient-based methods."""

    hidden: tuple[int, ...] = (64, 64)
    """Units of each hidden layer of the policy."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation of the hidden layers."""
    initial_std: float = 1.0
    """Standard deviation of the actions before training."""
    output_gain: float = 1.0
    """Factor on the initial weights of the policy's last layer."""
    inner_steps: int = 1
    """Adaptation rounds K of meta-training: one round of experience and one gradient step each."""
    inner_lr: float = 0.1
    """Step size of the inner loop."""
    later_inner_lr: float = 0.5
    """Factor on `inner_lr` for evaluation rounds beyond the trained ones (the MAML papers halve it)."""
    first_order: bool = False
    """Ignore how the inner gradient depends on the meta-parameters (FOMAML)."""
    inner_objective: Literal["log_likelihood", "likelihood_ratio", "dice"] = "log_likelihood"
    """What an inner step climbs; the choices differ in their second derivatives only."""
    discount: float = 0.99
    """Discount factor γ."""
    gae_lambda: float = 1.0
    """λ of generalised advantage estimation."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class MAMLTRPOConfig(InnerLoopConfig):
    """MAML with a trust-region meta-update (Finn et al. 2017)."""

    max_kl: float = 0.01
    """Trust region: mean KL divergence between adapted policies before and after the update."""
    cg_iterations: int = 10
    """Conjugate-gradient steps towards the natural gradient."""
    cg_damping: float = 1e-5
    """Multiple of the identity added to the curvature."""
    curvature_share: float = 0.125
    """Share of the lanes that the curvature is estimated from (two at the least)."""
    backtrack_ratio: float = 0.8
    """Ratio between successive steps of the line search."""
    max_backtracks: int = 15
    """How many steps the line search tries."""


@dataclass(frozen=True)
class MAMLVPGConfig(InnerLoopConfig):
    """MAML with a plain policy-gradient meta-update by Adam."""

    learning_rate: float = 1e-3
    """Step size of the meta-update."""


@dataclass(frozen=True)
class MAMLPPOConfig(InnerLoopConfig):
    """MAML with a clipped meta-objective (PPO) by Adam."""

    learning_rate: float = 1e-3
    """Step size of the meta-update."""
    epochs: int = 5
    """Meta-gradient steps an iteration."""
    clip: float = 0.3
    """Bound on how far probability ratios count, 1 ± clip."""


@dataclass(frozen=True)
class ProMPConfig(MAMLPPOConfig):
    """Proximal meta-policy search (Rothfuss et al. 2019)."""

    inner_objective: Literal["log_likelihood", "likelihood_ratio", "dice"] = "likelihood_ratio"
    """What an inner step climbs; the likelihood ratio is ProMP's low-variance curvature surrogate."""
    kl_coefficient: float = 5e-4
    """Weight of the KL divergence of the pre-update policies (at the start, where adaptive)."""
    adaptive_kl: bool = False
    """Double or halve the coefficient to hold that divergence near `target_kl`."""
    target_kl: float = 0.01
    """Divergence aimed at where the coefficient is adaptive."""


def check_ranges(config: object) -> None:
    """Refuse impossible values by name.

    Raises:
        InputError: names the field, its value and what it must be.
    """
    for field in fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        requirement = None
        if field.name == "hidden" and not all(1 <= units <= 1_000_000 for units in value):
            requirement = "sizes from 1 to 1000000"
        elif isinstance(value, bool) or not isinstance(value, int | float):
            continue
        elif isinstance(value, float) and not math.isfinite(value):
            requirement = "a finite number"
        elif field.name in POSITIVE and value <= 0:
            requirement = "above 0"
        elif field.name in NON_NEGATIVE and value < 0:
            requirement = "at least 0"
        elif field.name in UNIT_INTERVAL and not 0 <= value <= 1:
            requirement = "between 0 and 1"
        if requirement:
            raise InputError(f"algo.{field.name} is {value} — it must be {requirement}")
