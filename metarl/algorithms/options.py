"""The options of gradient methods in small pieces, without torch, so that the command line can read them in no time.

A method's options are those of what is learned (a policy, or a model of labelled data), of its inner loop and of its
meta-update, put together by `pairs.py`. An option, its default and its meaning stand together. Sizes (observations,
actions, tasks) are never here: they come from the environment.
"""

from dataclasses import dataclass
from typing import Literal

from metarl.runtime.errors import InputError
from metarl.runtime.options import number

# What is learned.

FEED_FORWARD = "feed-forward"


@dataclass(frozen=True)
class PolicyOptions:
    """A policy, and what its losses are made of."""

    hidden: tuple[int, ...] = (64, 64)
    """Units of each hidden layer of the policy."""
    policy: str = FEED_FORWARD
    """What acts: `feed-forward`, by the observation at hand, or behind a recurrent core that remembers the episode
    (`attention`; `gru` where torch can; or your own, as `module:attribute`), which is adapted with it."""
    memory_size: int = number(64, least=1, most=100_000)
    """Units of such a core: what it tells the policy at every step."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation of the hidden layers."""
    initial_std: float = number(1.0, above=0)
    """Standard deviation of the actions before training."""
    output_gain: float = number(1.0, above=0)
    """Factor on the initial weights of the policy's last layer."""
    state_dependent_std: bool = False
    """Let the standard deviation of continuous actions depend on the observation."""
    sees_task: bool = False
    """Show the policy the task's parameters behind its observation: what knowing the task is worth."""
    inner_objective: Literal["log_likelihood", "likelihood_ratio", "dice"] = "log_likelihood"
    """What an inner step climbs; in expectation the choices differ in their second derivatives only. A meta-update of
    several steps wants a ratio: after the first one it is not the initial policy any more that sampled a round."""
    discount: float = number(0.99, least=0, most=1)
    """Discount factor γ."""
    gae_lambda: float = number(1.0, least=0, most=1)
    """λ of generalised advantage estimation."""
    entropy_bonus: float = number(0.0, least=0)
    """Weight of the adapted policies' mean entropy in the meta-objective."""
    later_inner_lr: float = number(0.5, least=0)
    """Factor on the length of inner steps in evaluation rounds beyond the trained ones (the MAML papers halve it)."""


@dataclass(frozen=True)
class ModelOptions:
    """A model of labelled data."""

    hidden: tuple[int, ...] = (40, 40)
    """Units of each hidden layer, where inputs are vectors."""
    activation: Literal["tanh", "relu"] = "relu"
    """Activation of these layers."""
    filters: int = number(64, least=1, most=10_000)
    """Filters of each of the four convolutions, where inputs are images. Each is followed by normalisation over the
    batch at hand, a task's query set too: an answer depends on what else is asked (transductive, as in Finn et al.)."""


# Inner loops.


@dataclass(frozen=True)
class StepOptions:
    """Gradient steps."""

    inner_steps: int = number(1, least=1, most=10_000)
    """Inner steps K: in meta-training one after each round of experience, or all on a labelled support set. A method
    that takes none in meta-training takes so many of full size in evaluation."""
    inner_lr: float = number(0.1, above=0)
    """Step size of the inner loop; where rates are learned, their first value."""


@dataclass(frozen=True)
class DerivativeOptions:
    """Steps that a meta-gradient goes through."""

    first_order: bool = False
    """Ignore how the inner gradient depends on the meta-parameters (FOMAML)."""


@dataclass(frozen=True)
class ContextOptions:
    """Steps in a context."""

    context_size: int = number(8, least=1, most=10_000)
    """Numbers in the context."""


@dataclass(frozen=True)
class ProximalOptions:
    """A proximal problem, solved and differentiated at its solution."""

    inner_steps: int = number(1, least=1, most=1)
    """Adaptation rounds of meta-training: one, whose problem is solved."""
    inner_lr: float = number(0.02, above=0)
    """Step size of the proximal problem's solver."""
    proximal_strength: float = number(40.0, above=0)
    """λ: how strongly the solution is held at the meta-parameters. The problem has a solution where this is above the
    curvature of the loss; a log-likelihood's grows as the policy's standard deviation shrinks."""
    proximal_steps: int = number(10, least=1, most=10_000)
    """Gradient steps of the solver."""
    implicit_iterations: int = number(5, least=1, most=10_000)
    """Conjugate-gradient steps of a product with the solution's derivative."""


# Meta-updates.


@dataclass(frozen=True)
class TrustRegionOptions:
    """A natural-gradient step within a trust region (Schulman et al. 2015)."""

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
class CreditOptions:
    """Credit to how the inner loop's data were sampled (Stadie et al. 2018)."""

    sampling_credit: float = number(1.0, least=0)
    """Weight of that credit. The unbiased estimate of the whole gradient has the weight lanes · σ_R / σ_A: σ_R the
    spread of the tasks' returns, σ_A the standard deviation by which advantages are normalised."""

    def require(self) -> None:
        """Raises: InputError for an inner objective that credits the sampling already."""
        objective = self.inner_objective  # type: ignore[attr-defined]  # PolicyOptions', beside these
        if objective != "log_likelihood":
            raise InputError(
                f"algo.inner_objective is {objective}, whose curvature credits the sampling already, and"
                " E-MAML would once more — leave it at log_likelihood"
            )


@dataclass(frozen=True)
class AdamOptions:
    """Steps of Adam (Kingma & Ba 2015)."""

    learning_rate: float = number(1e-3, above=0)
    """Step size of the meta-update."""
    learning_rate_decay: float = number(1.0, above=0, most=1)
    """Factor on the step size after every meta-update."""
    max_gradient_norm: float = number(1e9, above=0)
    """A longer meta-gradient is shortened to this."""


@dataclass(frozen=True)
class ClippedOptions:
    """Several steps on the clipped objective (Schulman et al. 2017)."""

    epochs: int = number(5, least=1)
    """Meta-gradient steps an iteration."""
    clip: float = number(0.3, above=0)
    """Bound on how far probability ratios count, 1 ± clip."""


@dataclass(frozen=True)
class PenaltyOptions:
    """A penalty on leaving the policies that sampled the inner steps (Rothfuss et al. 2019)."""

    kl_coefficient: float = number(5e-4, least=0)
    """Weight of the KL divergence of the pre-update policies (at the start, where adaptive)."""
    adaptive_kl: bool = False
    """Double or halve the coefficient to hold that divergence near `target_kl`."""
    target_kl: float = number(0.01, above=0)
    """Divergence aimed at where the coefficient is adaptive."""
