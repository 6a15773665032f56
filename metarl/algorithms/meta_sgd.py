"""Learned inner rates: Meta-SGD (Li, Zhou, Chen & Li 2017) and LSLR (Antoniou, Edwards & Storkey 2019, section 4).

* Inner loop: gradient steps whose rates are meta-parameters, one for every number of the policy (`MetaSGD`), or one for
  every tensor in every step (`LSLR`, "learning per-layer per-step learning rates").
* Meta-update: MAML's, of the policy's initial parameters and the rates together.

Of MAML++, which LSLR is a part of, there is neither the multi-step loss nor the annealing of the derivative's order.
"""

import torch

from metarl.algorithms.configs import MetaSGDConfig
from metarl.algorithms.maml import MAMLTRPO
from metarl.core.inner_loops import RATE, GradientSteps, LearnedRates, LearnedStepRates
from metarl.core.types import Batch, Metrics, Params


class MetaSGD(MAMLTRPO):
    """MAML that learns a rate for every number of the policy."""

    Config = MetaSGDConfig

    def inner_loop(self) -> GradientSteps:
        """Steps at the learned rates."""
        return LearnedRates(self.inner_loss, self.config.inner_lr, self.config.first_order)

    def policy_metrics(self, policy: Params, adapted: Params, query: Batch) -> Metrics:
        """As for every method, and the mean of all rates."""
        rates = torch.cat([value.flatten() for name, value in policy.items() if name.startswith(RATE)])
        return super().policy_metrics(policy, adapted, query) | {"policy/inner_rate": float(rates.mean())}


class LSLR(MetaSGD):
    """MAML that learns a rate for every tensor of the policy in every inner step."""

    def inner_loop(self) -> GradientSteps:
        """Steps at the learned rates of each step."""
        config = self.config
        return LearnedStepRates(self.inner_loss, config.inner_lr, config.first_order, config.inner_steps)
