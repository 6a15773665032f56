"""In-context reinforcement learning from stored histories: a sequence model learns what to do next, and nothing else.

* Algorithm Distillation (Laskin et al. 2022) predicts what a source algorithm did after all that it had met: in
  imitating it over the course of its learning, it learns to learn;
* the Decision-Pretrained Transformer (Lee et al. 2023) predicts what would have been best: to do so it must infer the
  task from what was met, and acts as posterior sampling does.

Both act as RL² does, and improve in a task while no parameter changes. They are told of a step what RL² is told, with
the observation before it; the memory is a transformer over the steps (`core/transformer.py`), or any other core. A
context is `rounds` episodes of a history, of which only every `skip`-th counts, so that it shows learning from its
beginning to its end (Laskin et al. 2022, section 3).

What differs from the publications: one token a step holds all there is to it. DPT is asked at every step of a history
what is best there, with all that came before as its context, and not in states drawn apart from it.

Letters beside the house's: B contexts of a gradient step · R episodes of a history · K of a context · L = K·T steps.
"""

from typing import Any

import torch

from metarl.algorithms.algorithm import Spaces, Traits
from metarl.algorithms.in_context_configs import ADConfig, InContextConfig
from metarl.algorithms.memory_configs import RL2Config
from metarl.algorithms.rl2 import RL2
from metarl.core.distributions import Categorical
from metarl.core.networks import apply
from metarl.core.optimiser import adam_state, falling_rate
from metarl.core.parts import fresh_parameters, part_of
from metarl.core.proximal import adam_descent
from metarl.core.transformer import Transformer
from metarl.core.types import Metrics, Params, Rollout, State
from metarl.runtime.devices import read_back, sent
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address
from metarl.sampling.histories import Histories


class InContext:
    """RL²'s agent, taught by histories.

    Args:
        config: its options.
        spaces: of one lane.
        device: where updates are computed.
    """

    Config = ADConfig

    @classmethod
    def traits(cls, config: InContextConfig) -> Traits:
        """Each lane is a trial of its own; nothing is learned from trials."""
        return Traits(adapts_after_each_episode=True, learns_from_histories=True)

    def __init__(self, config: InContextConfig, spaces: Spaces, device: torch.device) -> None:
        self.config, self.device, sizes = config, device, (config.embedding_size, config.memory_size)
        kept = ("memory", "memory_size", "embedding_size", "hidden", "initial_std")
        options: dict[str, Any] = {name: getattr(config, name) for name in kept}
        self.agent = agent = RL2(RL2Config(previous_observation=True, **options), spaces, device)
        if config.memory == "transformer":
            agent.core = Transformer(agent.step_size, *sizes, config.layers, config.window)
        self.acting, self.begin, self.act = agent.acting, agent.begin, agent.act
        self.observe, self.adapt = agent.observe, agent.adapt

    @property
    def rounds(self) -> int:
        """Episodes of a trial."""
        return self.config.rounds

    def initial_state(self, address: Address) -> State:
        """Fresh parameters and optimiser, on the device."""
        modules = {"core": self.agent.core, "actor": self.agent.actor}
        policy = fresh_parameters(modules, address.torch_generator(), self.device)
        return {"policy": policy, "optimiser": adam_state(policy)}

    def require(self, histories: Histories) -> None:
        """Raises: InputError where histories are too short, or do not say what had been best."""
        config = self.config
        least = (config.rounds - 1) * config.skip + 1
        if histories.episodes < least:
            asked = f"algo.rounds {config.rounds} and algo.skip {config.skip} ask for {least}"
            raise InputError(f"the histories are of {histories.episodes} episodes, {asked} — collect longer ones")
        if config.learns == "best" and histories.informed is None:
            raise InputError("the histories do not say what had been best: nobody has worked that out — train ad")

    def update(self, state: State, histories: Histories, address: Address) -> tuple[State, Metrics]:
        """Gradient steps, each on contexts that are drawn anew.

        Raises:
            NonFiniteError: a gradient or a parameter is not finite.
        """
        config, generator = self.config, address.torch_generator()
        rate = falling_rate(config.learning_rate, config.learning_rate_decay, state["optimiser"], config.updates)
        draws = (self.drawn(histories, generator) for _ in range(config.updates))
        limit = config.max_gradient_norm
        policy, optimiser, found = adam_descent(
            self.losses, state["policy"], state["optimiser"], draws, rate, limit, "policy"
        )
        means = [torch.stack(values).mean() for values in zip(*found, strict=True)]
        metrics = read_back(dict(zip(("loss/step_0", "accuracy/step_0"), means, strict=False)))
        return {**state, "policy": policy, "optimiser": optimiser}, {**metrics}

    def drawn(self, histories: Histories, generator: torch.Generator) -> tuple[Rollout, torch.Tensor]:
        """Contexts `[B, L, ...]` on the device, and what is to be done at each step of them."""
        steps, config = histories.steps, self.config
        wanted = histories.informed if config.learns == "best" and histories.informed is not None else steps.action
        history = torch.randint(len(steps.mask), (config.batch_size, 1), generator=generator)
        starts = histories.episodes - (config.rounds - 1) * config.skip
        first = torch.randint(starts, (config.batch_size, 1), generator=generator)
        episodes = first + config.skip * torch.arange(config.rounds)  # [B, K]
        contexts = [sent(field[history, episodes].flatten(1, 2), self.device) for field in (*steps, wanted)]
        return Rollout(*contexts[:-1]), contexts[-1]

    def losses(self, policy: Params, drawn: tuple[Rollout, torch.Tensor]) -> list[torch.Tensor]:
        """What an Adam step descends, the mean negative log-likelihood of what is to be done; and of discrete actions
        how often that was the likeliest."""
        (steps, wanted), agent = drawn, self.agent
        inputs = agent.inputs(steps)
        start = inputs.new_zeros(len(inputs), agent.core.state_size)
        said, _ = apply(agent.core, part_of(policy, "core"), inputs, start, steps.mask)
        distribution = apply(agent.actor, part_of(policy, "actor"), said)
        played = steps.mask.sum().clamp(min=1)
        loss = -(distribution.log_probability(wanted) * steps.mask).sum() / played
        if not isinstance(distribution, Categorical):
            return [loss]
        right = distribution.logits.argmax(dim=-1) == wanted
        return [loss, (right * steps.mask).sum() / played]
