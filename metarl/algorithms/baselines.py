"""What meta-learning is compared with: the same policies, without it or with more knowledge.

* `RandomInit`: no meta-training at all; what adaptation alone is worth.
* `MultiTask`: one policy for all tasks, trained on their mean return and then fine-tuned (pretraining, transfer).
* `Oracle`: the same, but the policy sees the task's parameters beside its observation; it need not adapt.
"""

from metarl.algorithms.algorithm import Traits
from metarl.algorithms.configs import InnerLoopConfig, MAMLTRPOConfig
from metarl.algorithms.gradient_based import GradientBased
from metarl.algorithms.maml import MAMLTRPO
from metarl.core.types import Batch, Metrics, Params, State, Trial
from metarl.runtime.randomness import Address
from metarl.sampling.normalisation import normalised


class RandomInit(GradientBased):
    """A policy that adapts from where chance put it."""

    Config = InnerLoopConfig

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Nothing changes."""
        support, query = self.batches(normalised(trial, state))
        return state, self.policy_metrics(state["policy"], self.adapt_all(state["policy"], support), query)


class MultiTask(MAMLTRPO):
    """A trust-region policy gradient on the mean return over tasks; adaptation comes only when it is evaluated."""

    Config = MAMLTRPOConfig

    @property
    def rounds(self) -> int:
        """One: nothing is adapted in training."""
        return 1

    def batches(self, trial: Trial) -> tuple[tuple[Batch, ...], Batch]:
        """The only round, for both: what it is adapted on does not matter."""
        (only,) = (self.batch(rollout) for rollout in trial.rollouts)
        return (only,), only

    def adapt_task(self, meta: Params, support: tuple[Batch, ...]) -> Params:
        """No step is taken."""
        return self.inner.start(meta)


class Oracle(MultiTask):
    """One policy that sees which task it is in."""

    @classmethod
    def traits(cls, config: InnerLoopConfig) -> Traits:
        """It is shown the task."""
        return Traits(sees_task=True, divides_over_ranks=True)
