"""From options to inner loops: what each name in `pairs.INNER_LOOPS` makes for a loss and a model.

A maker takes `(loss, model, config)`: the loss of one task, the module whose parameters are learned, and the options of
the pair.
"""

from typing import Any

from torch import nn

from metarl.core.inner_loops import ContextSteps, GradientSteps, LearnedRates
from metarl.core.inner_step import Loss
from metarl.core.proximal_steps import ProximalSteps


def all_parameters(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """MAML (Finn et al. 2017), and FOMAML where the options say so."""
    return GradientSteps(loss, config.inner_lr, config.first_order)


def head(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """ANIL (Raghu et al. 2020): weights and biases of the last layer; a policy's standard deviation is shared too."""
    *_, weight, bias = (name for name, _ in model.named_parameters())
    return GradientSteps(loss, config.inner_lr, config.first_order, only=(weight, bias))


def context(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """CAVIA (Zintgraf et al. 2019): a context that the model takes beside its input."""
    (name,) = (name for name, _ in model.named_parameters() if name.split(".")[-1] == "context")
    return ContextSteps(loss, config.inner_lr, config.first_order, only=(name,), size=config.context_size)


def rates(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """Meta-SGD (Li et al. 2017): a learned rate for every number of the model."""
    return LearnedRates(loss, config.inner_lr, config.first_order)


def step_rates(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """LSLR (Antoniou et al. 2019, section 4): a learned rate for every tensor of the model in every inner step."""
    return LearnedRates(loss, config.inner_lr, config.first_order, steps=config.inner_steps)


def proximal(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """iMAML (Rajeswaran et al. 2019): the solution of a problem that pulls back to where it started."""
    return ProximalSteps(
        loss,
        config.inner_lr,
        strength=config.proximal_strength,
        iterations=config.proximal_steps,
        implicit_iterations=config.implicit_iterations,
    )


def fine_tuning(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """No step in meta-training, plain ones in evaluation."""
    return GradientSteps(loss, config.inner_lr, first_order=True, trained=False)
