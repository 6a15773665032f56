"""Domain randomisation: one policy for all tasks, by proximal policy optimisation as roboticists run it.

The policy sees the observation at hand and remembers nothing; whatever task it meets, it must do (Tobin et al. 2017;
Peng et al. 2018). All steps of all lanes are one batch (Schulman et al. 2017; Rudin et al. 2022), and the step size
follows the divergence of the updates. Every lane plays an episode from its start in each iteration. What comes after a
truncated episode counts: its last reward has the discounted value of where it led added (Pardo et al. 2018, eq. 6).
Values are not clipped, which does not help (Andrychowicz et al. 2021, section 3.1).

Shown the task as well, it is the oracle of methods that learn so.

Letters beside the house's: B = N·E lanes · S steps played, of all lanes.
"""

from collections.abc import Sequence

import torch

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.ppo_configs import RandomisedConfig
from metarl.algorithms.proximal_update import actor_and_critic, proximal_state, stream_of, update_by_step
from metarl.core.networks import apply, for_acting
from metarl.core.parts import fresh_parameters, part_of
from metarl.core.proximal import Loss, proximal_loss
from metarl.core.types import Action, Batch, Metrics, Params, Rollout, State, Transition, Trial
from metarl.runtime.randomness import Address


class Randomised:
    """No memory, no adaptation.

    Args:
        config: its options.
        spaces: of one lane.
        device: where updates are computed.
    """

    Config = RandomisedConfig
    rounds = 1

    @classmethod
    def traits(cls, config: RandomisedConfig) -> Traits:
        """It may be told the task."""
        return Traits(config.sees_task, learns_from_whole_batch=True, adapts_after_each_episode=True)

    def __init__(self, config: RandomisedConfig, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device = config, device
        self.actor, self.critic = actor_and_critic(config, spaces.observation, spaces.action)

    def initial_state(self, address: Address) -> State:
        """Fresh parameters and optimiser, on the device."""
        modules = {"actor": self.actor, "critic": self.critic}
        return proximal_state(self.config, fresh_parameters(modules, address.torch_generator(), self.device))

    def acting(self, state: State) -> Params:
        """The parameters of the policy."""
        return for_acting(part_of(state["policy"], "actor"))

    def begin(self, acting: Params, addresses: Sequence[Address], lanes_per_task: int) -> None:
        """Nothing is remembered."""

    def act(
        self, acting: Params, memory: None, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, None]:
        """Sample from the policy at observation `[N, E, O]`."""
        distribution = apply(self.actor, acting, observation)
        action = distribution.sample(noise)
        return Action(action, distribution.log_probability(action)), None

    def observe(self, acting: Params, memory: None, transition: Transition) -> None:
        """Nothing is remembered."""

    def adapt(self, state: State, memory: None, rollout: Rollout) -> None:
        """Nothing is learned from a task."""

    def update(self, state: State, trial: Trial, address: Address) -> tuple[State, Metrics]:
        """Epochs of minibatches of steps.

        Raises:
            NonFiniteError: the rewards, a gradient or a parameter are not finite.
        """
        episodes = stream_of(trial, state, self.device)
        return update_by_step(self.config, state, episodes, self.value, self.loss, address.torch_generator())

    def value(self, policy: Params, seen: torch.Tensor) -> torch.Tensor:
        """Of what is seen, `[..., O]` -> `[...]`, in units of the returns' scale."""
        value: torch.Tensor = apply(self.critic, part_of(policy, "critic"), seen).squeeze(-1)
        return value

    def loss(self, policy: Params, batch: Batch) -> Loss:
        """What an Adam step descends, of some of the steps."""
        config, distribution = self.config, apply(self.actor, part_of(policy, "actor"), batch.observation)
        value = self.value(policy, batch.observation)
        return proximal_loss(distribution, value, batch, config.clip, config.value_coefficient, config.entropy_bonus)
