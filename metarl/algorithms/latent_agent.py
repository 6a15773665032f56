"""Agents that infer their task: a belief about a latent from all transitions seen, and a policy that acts on samples.

PEARL (Rakelly et al. 2019, section 4.1, algorithm 2): the posterior is the product of one Gaussian for each transition
seen. A lane acts on a sample of it for a whole round, so that early rounds explore (posterior sampling). What is
remembered of the context is its product, to which a round adds its factors; the policy is a normal distribution
squashed into the box of actions. The parameters of both networks are `state["policy"]`.

Every lane believes what it has seen itself: a round is one episode however many lanes there are, and lanes of a task
explore apart.

Letters: beside the house's, Z latent.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import softplus

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.memory_configs import PEARLConfig
from metarl.core.action_box import action_box
from metarl.core.inner_step import repeat_for_tasks
from metarl.core.networks import MLP, apply, for_acting, size_of_observation
from metarl.core.product_of_gaussians import Belief, prior
from metarl.core.soft_actor_critic import tanh_gaussian
from metarl.core.trust_region import require_finite
from metarl.core.types import Action, Params, Rollout, State, Transition
from metarl.runtime.devices import sent
from metarl.runtime.randomness import Address

SMALLEST_VARIANCE = 1e-7  # of one transition's Gaussian
OUTPUT_GAIN = 0.01  # of every untrained last layer: latents, actions and values start near 0, alike for all tasks


class TaskBelief(NamedTuple):
    """The memory of the agent: what each lane believes of its task, and the sample that it acts on."""

    belief: Belief  # [N, E, Z]
    latent: torch.Tensor  # [N, E, Z]
    addresses: tuple[Address, ...]  # of each task's draws
    round_: int


class LatentAgent:
    """Acting and inferring; a method adds its meta-parameters and `update`.

    Args:
        config: sizes of the networks.
        spaces: of one lane; observations in a flat box, actions in one with finite borders.
        device: where adaptation and updates are computed.

    Raises:
        InputError: spaces of another kind.
    """

    @classmethod
    def traits(cls, config: PEARLConfig) -> Traits:
        """Every lane believes what it has seen itself; transitions are kept."""
        return Traits(adapts_after_each_episode=True, replay=config.replay_size)

    def __init__(self, config: PEARLConfig, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device = config, device
        self.box = action_box(spaces.action)  # on the CPU, where acting happens
        self.learning_box = self.box.on(device)
        self.observation_size, self.action_size = size_of_observation(spaces.observation), len(self.box.radius)
        seen, actions, latent = self.observation_size, self.action_size, config.latent_size
        self.actor = MLP(seen + latent, config.hidden, 2 * actions, "relu", OUTPUT_GAIN)
        step = seen + actions + 1 + (seen if config.context_with_next_observation else 0)
        self.encoder = MLP(step, config.encoder_hidden, 2 * latent, "relu", OUTPUT_GAIN)

    @property
    def rounds(self) -> int:
        """Rounds of a meta-training trial."""
        return self.config.rounds

    def acting(self, state: State) -> Params:
        """The policy."""
        return for_acting(state["policy"]["actor"])

    def begin(self, acting: Params, addresses: Sequence[Address], lanes_per_task: int) -> TaskBelief:
        """The prior, and a sample of it in every lane."""
        N, E, Z = len(addresses), lanes_per_task, self.config.latent_size
        return sampled(TaskBelief(prior(N, E, Z), torch.zeros(N, E, Z), tuple(addresses), round_=0))

    def act(
        self, acting: Params, memory: TaskBelief, observation: torch.Tensor, live: torch.Tensor, noise: torch.Tensor
    ) -> tuple[Action, TaskBelief]:
        """Sample from the policy at observation `[N, E, O]` and each lane's latent."""
        actor = repeat_for_tasks(acting, len(observation))
        outputs = apply(self.actor, actor, torch.cat([observation, memory.latent], dim=-1))
        unit, log_probability = tanh_gaussian(outputs).sample_with_log_probability(noise)
        return Action(self.box.action(unit), self.box.log_density(log_probability)), memory

    def observe(self, acting: Params, memory: TaskBelief, transition: Transition) -> TaskBelief:
        """Nothing is learned within a round."""
        return memory

    def adapt(self, state: State, memory: TaskBelief, rollout: Rollout) -> TaskBelief:
        """The posterior after a round's valid steps, and new samples of it."""
        fields = {name: sent(value, self.device) for name, value in rollout._asdict().items()}
        encoder = repeat_for_tasks(state["policy"]["encoder"], len(memory.addresses))
        with torch.no_grad():
            mean, variance = torch.stack(self.evidence(encoder, fields)).cpu()
        belief = memory.belief.after(mean, variance, rollout.mask)
        require_finite("posterior", {"mean": belief.mean, "variance": belief.variance})
        return sampled(memory._replace(belief=belief, round_=memory.round_ + 1))

    def evidence(self, encoder: Params, fields: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of every transition's Gaussian, `[..., Z]` both."""
        parts = [fields["observation"], self.learning_box.unit(fields["action"]), fields["reward"].unsqueeze(-1)]
        if self.config.context_with_next_observation:
            parts.append(fields["next_observation"])
        mean, spread = apply(self.encoder, encoder, torch.cat(parts, dim=-1)).chunk(2, dim=-1)
        return mean, softplus(spread).clamp(min=SMALLEST_VARIANCE)


def sampled(memory: TaskBelief) -> TaskBelief:
    """The memory with new samples of its belief, those of a task drawn from its own address."""
    _, E, Z = memory.latent.shape
    noise = [address.at(memory.round_).generator().standard_normal((E, Z)) for address in memory.addresses]
    drawn = torch.from_numpy(np.stack(noise)).float()  # [N, E, Z]
    return memory._replace(latent=memory.belief.sample(drawn))
