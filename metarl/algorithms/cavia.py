"""Context adaptation: Zintgraf, Shiarlis, Kurin, Hofmann & Whiteson 2019 (CAVIA).

* Inner loop: gradient steps in a context vector that the policy takes beside its observation; it starts from 0.
* Meta-update: MAML's, of the policy, which all tasks share.
"""

from metarl.algorithms.configs import CAVIAConfig
from metarl.algorithms.maml import MAMLTRPO
from metarl.core.inner_loops import ContextSteps, GradientSteps


class CAVIA(MAMLTRPO):
    """MAML that adapts a context and no weights."""

    Config = CAVIAConfig
    config: CAVIAConfig

    @property
    def context_size(self) -> int:
        """Numbers in the context."""
        return self.config.context_size

    def inner_loop(self) -> GradientSteps:
        """Steps in the context."""
        config = self.config
        return ContextSteps(self.inner_loss, config.inner_lr, config.first_order, "body.context", config.context_size)
