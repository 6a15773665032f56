"""The options of every algorithm, without torch, so that the command line can read them in no time.

An option, its default and its meaning stand together. Sizes (observations, actions, tasks) are never here: they
come from the environment.
"""

from dataclasses import dataclass
from typing import Literal

from metarl.runtime.errors import InputError
from metarl.runtime.options import check_ranges, number

__all__ = ["check_ranges", "number"]  # for methods from elsewhere


@dataclass(frozen=True)
class InnerLoopConfig:
    """Policy, advantages and inner loop, shared by all gradient-based methods."""

    hidden: tuple[int, ...] = (64, 64)
    """Units of each hidden layer of the policy."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation of the hidden layers."""
    initial_std: float = number(1.0, above=0)
    """Standard deviation of the actions before training."""
    output_gain: float = number(1.0, above=0)
    """Factor on the initial weights of the policy's last layer."""
    state_dependent_std: bool = False
    """Let the standard deviation of continuous actions depend on the observation."""
    inner_steps: int = number(1, least=1)
    """Adaptation rounds K of meta-training: one round of experience and one gradient step each."""
    inner_lr: float = number(0.1, above=0)
    """Step size of the inner loop."""
    later_inner_lr: float = number(0.5, least=0)
    """Factor on `inner_lr` for evaluation rounds beyond the trained ones (the MAML papers halve it)."""
    first_order: bool = False
    """Ignore how the inner gradient depends on the meta-parameters (FOMAML)."""
    inner_objective: Literal["log_likelihood", "likelihood_ratio", "dice"] = "log_likelihood"
    """What an inner step climbs; in expectation the choices differ in their second derivatives only."""
    discount: float = number(0.99, least=0, most=1)
    """Discount factor γ."""
    gae_lambda: float = number(1.0, least=0, most=1)
    """λ of generalised advantage estimation."""
    entropy_bonus: float = number(0.0, least=0)
    """Weight of the adapted policies' mean entropy in the meta-objective."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class MAMLTRPOConfig(InnerLoopConfig):
    """MAML with a trust-region meta-update (Finn et al. 2017)."""

    max_kl: float = number(0.01, above=0)
    """Trust region: mean KL divergence between adapted policies before and after the update."""
    cg_iterations: int = number(10, least=1)
    """Conjugate-gradient steps towards the natural gradient."""
    cg_damping: float = number(1e-5, least=0)
    """Multiple of the identity added to the curvature."""
    curvature_share: float = number(0.25, above=0, most=1)
    """Share of the lanes that the curvature is estimated from (two at the least)."""
    backtrack_ratio: float = number(0.8, above=0, below=1)
    """Ratio between successive steps of the line search."""
    max_backtracks: int = number(15, least=1)
    """How many steps the line search tries."""


@dataclass(frozen=True)
class FOMAMLConfig(MAMLTRPOConfig):
    """MAML that ignores how the inner gradient depends on the meta-parameters (Finn et al. 2017, section 5.2)."""

    first_order: bool = True
    """Ignore how the inner gradient depends on the meta-parameters; without it, this is MAML."""


@dataclass(frozen=True)
class ANILConfig(MAMLTRPOConfig):
    """Almost no inner loop (Raghu et al. 2020)."""


@dataclass(frozen=True)
class MetaSGDConfig(MAMLTRPOConfig):
    """MAML with learned inner rates (Li et al. 2017; LSLR, Antoniou et al. 2019)."""

    inner_lr: float = number(0.1, above=0)
    """First value of the learned inner rates."""


@dataclass(frozen=True)
class CAVIAConfig(MAMLTRPOConfig):
    """Context adaptation (Zintgraf et al. 2019)."""

    context_size: int = number(8, least=1, most=10_000)
    """Numbers in the context."""
    inner_lr: float = number(1.0, above=0)
    """Step size of the inner loop, in the context."""


@dataclass(frozen=True)
class EMAMLConfig(MAMLTRPOConfig):
    """MAML with credit to how the inner loop's data were sampled (Stadie et al. 2018)."""

    sampling_credit: float = number(1.0, least=0)
    """Weight of that credit. The unbiased estimate of the whole gradient has the weight episodes · σ_R / σ_A: σ_R the
    spread of the tasks' returns, σ_A the standard deviation by which advantages are normalised."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inner_objective != "log_likelihood":
            raise InputError(
                f"algo.inner_objective is {self.inner_objective}, whose curvature credits the sampling already, and"
                " E-MAML would once more — leave it at log_likelihood"
            )


@dataclass(frozen=True)
class IMAMLConfig(MAMLTRPOConfig):
    """Implicit MAML (Rajeswaran et al. 2019)."""

    inner_steps: int = number(1, least=1, most=1)
    """Adaptation rounds of meta-training: one, whose problem is solved."""
    inner_lr: float = number(0.02, above=0)
    """Step size of the proximal problem's solver."""
    proximal_strength: float = number(40.0, above=0)
    """λ: how strongly the solution is held at the meta-parameters. The problem has a solution where this is above the
    log-likelihood's curvature, which grows as the policy's standard deviation shrinks."""
    proximal_steps: int = number(10, least=1)
    """Gradient steps of the solver."""
    implicit_iterations: int = number(5, least=1)
    """Conjugate-gradient steps of a product with the solution's derivative."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_first_order(self, "the way to a solution is never differentiated")


@dataclass(frozen=True)
class AdamConfig(InnerLoopConfig):
    """Methods whose meta-update is Adam's."""

    learning_rate: float = number(1e-3, above=0)
    """Step size of the meta-update."""
    learning_rate_decay: float = number(1.0, above=0, most=1)
    """Factor on the step size after every meta-update."""
    max_gradient_norm: float = number(1e9, above=0)
    """A longer meta-gradient is shortened to this."""


@dataclass(frozen=True)
class MAMLVPGConfig(AdamConfig):
    """MAML with a plain policy-gradient meta-update by Adam."""

    learning_rate: float = number(1e-2, above=0)
    """Step size of the meta-update, of which an iteration has only one."""


@dataclass(frozen=True)
class MAMLPPOConfig(AdamConfig):
    """MAML with a clipped meta-objective (PPO) by Adam."""

    inner_objective: Literal["log_likelihood", "likelihood_ratio", "dice"] = "likelihood_ratio"
    """What an inner step climbs. After the first epoch the initial policy is no longer the one that sampled the round,
    which a ratio corrects; the log-likelihood would go on climbing as if it were."""
    epochs: int = number(5, least=1)
    """Meta-gradient steps an iteration."""
    clip: float = number(0.3, above=0)
    """Bound on how far probability ratios count, 1 ± clip."""


@dataclass(frozen=True)
class ProMPConfig(MAMLPPOConfig):
    """Proximal meta-policy search (Rothfuss et al. 2019), whose low-variance curvature is the likelihood ratio's."""

    kl_coefficient: float = number(5e-4, least=0)
    """Weight of the KL divergence of the pre-update policies (at the start, where adaptive)."""
    adaptive_kl: bool = False
    """Double or halve the coefficient to hold that divergence near `target_kl`."""
    target_kl: float = number(0.01, above=0)
    """Divergence aimed at where the coefficient is adaptive."""


@dataclass(frozen=True)
class ReptileConfig(AdamConfig):
    """Reptile (Nichol et al. 2018)."""

    learning_rate: float = number(0.01, above=0)
    """Step size of the meta-update."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_first_order(self, "Reptile differentiates no inner step")


def refuse_first_order(config: InnerLoopConfig, reason: str) -> None:
    """Raises: InputError where `first_order` is asked of a method that has nothing to leave out."""
    if config.first_order:
        raise InputError(f"algo.first_order is True, but {reason} — leave it out")
