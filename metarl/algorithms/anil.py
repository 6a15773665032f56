"""Almost no inner loop: Raghu, Raghu, Bengio & Vinyals 2020.

* Inner loop: gradient steps in the last layer alone; the layers below are features that all tasks share.
* Meta-update: MAML's, of all parameters.
"""

from metarl.algorithms.configs import ANILConfig
from metarl.algorithms.maml import MAMLTRPO
from metarl.core.inner_loops import GradientSteps, HeadSteps


class ANIL(MAMLTRPO):
    """MAML that adapts the policy's last layer; the standard deviation is shared as well."""

    Config = ANILConfig

    def inner_loop(self) -> GradientSteps:
        """Steps in weights and biases of the last layer."""
        last = f"body.layers.{len(self.config.hidden)}."
        head = tuple(name for name, _ in self.policy.named_parameters() if name.startswith(last))
        return HeadSteps(self.inner_loss, self.config.inner_lr, self.config.first_order, head)
