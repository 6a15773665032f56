"""From options to inner loops: what each name in `pairs.INNER_LOOPS` makes.

A maker takes `(loss, model, config)`: the loss of one task, the module whose parameters are learned, and the options of
the pair.
"""

from typing import Any

from torch import nn

from metarl.core.inner_loops import GradientSteps
from metarl.core.inner_step import Loss
from metarl.core.proximal_steps import ProximalSteps
from metarl.core.rates_and_contexts import ContextSteps, LearnedRates


def all_parameters(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """MAML's (Finn et al. 2017), and FOMAML's where the options say so."""
    return GradientSteps(loss, config.inner_lr, config.first_order)


def head(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """ANIL's (Raghu et al. 2020): in weights and biases of the last layer; a policy shares its deviation as well."""
    *_, weight, bias = (name for name, _ in model.named_parameters())
    return GradientSteps(loss, config.inner_lr, config.first_order, only=(weight, bias))


def context(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """CAVIA's (Zintgraf et al. 2019)."""
    (name,) = (name for name, _ in model.named_parameters() if name.split(".")[-1] == "context")
    return ContextSteps(loss, config.inner_lr, config.first_order, only=(name,), size=config.context_size)


def rates(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """Meta-SGD's (Li et al. 2017): a learned rate for every number of the model."""
    return LearnedRates(loss, config.inner_lr, config.first_order)


def step_rates(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """LSLR's (Antoniou et al. 2019, section 4): one for every tensor in every inner step."""
    return LearnedRates(loss, config.inner_lr, config.first_order, steps=config.inner_steps)


def proximal(loss: Loss[Any], model: nn.Module, config: Any) -> GradientSteps:
    """iMAML's (Rajeswaran et al. 2019)."""
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
