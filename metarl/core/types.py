"""Every shape and type of the house, in one place.

Letters: `N` tasks · `E` lanes (parallel environments) per task · `T` steps · `O` observation · `A` action · `K` rounds
of adaptation. Axes always stand in the order `[N, E, T, ...]`. Mathematics is written for one task (`[E, T, ...]`); `N`
is added in one place (`core.inner_step.for_tasks`). Records are `NamedTuple`s, which torch's vmap takes as they are.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float

Params = dict[str, torch.Tensor]
"""Named tensors; *task parameters* are the same names with a leading `N`."""

State = dict[str, Any]
"""All that an algorithm carries from one iteration to the next: nested dicts of tensors."""

Metrics = dict[str, int | float]
"""Named scalars of one iteration, e.g. `{"update/kl": 0.009}`."""


class Action(NamedTuple):
    """What an agent does at one step, in every lane at once."""

    action: torch.Tensor  # [N, E, A] floats, or [N, E] integers
    log_probability: Float[torch.Tensor, "N E"]


class Rollout(NamedTuple):
    """One round of experience in every lane: facts only, no estimates; observations as the environment gave them.

    A lane plays one episode a round. `mask` is one where a step was played; a lane that diverged is masked out
    altogether. `terminated` ends the episode for good, `truncated` only stops the clock, and `next_observation` is the
    true successor either way. Returns count what was recorded and nothing beyond (`core/advantages.py`); critics that
    know no clock go on through truncation (`core/soft_actor_critic.py`).
    """

    observation: Float[torch.Tensor, "N E T O"]
    action: torch.Tensor  # [N, E, T, A] floats, or [N, E, T] integers
    log_probability: Float[torch.Tensor, "N E T"]
    reward: Float[torch.Tensor, "N E T"]
    terminated: Bool[torch.Tensor, "N E T"]
    truncated: Bool[torch.Tensor, "N E T"]
    first: Bool[torch.Tensor, "N E T"]  # an episode starts at this step
    mask: Float[torch.Tensor, "N E T"]
    next_observation: Float[torch.Tensor, "N E T O"]

    @property
    def returns(self) -> Float[torch.Tensor, " N"]:
        """Mean undiscounted episode return of each task, over the lanes that count."""
        counted = self.mask.amax(dim=-1)  # [N, E]
        episode_returns = (self.reward * self.mask).sum(dim=-1)  # [N, E]
        return (episode_returns * counted).sum(dim=-1) / counted.sum(dim=-1).clamp(min=1)


Transition = Rollout
"""One step of a rollout: the same fields without the axis `T`."""


class Batch(NamedTuple):
    """What a loss sees of one task, `[E, T, ...]`; made from a `Rollout` by `advantages.make_batch`."""

    observation: torch.Tensor  # [E, T, O]
    action: torch.Tensor  # [E, T, A], or [E, T]
    log_probability: torch.Tensor  # [E, T], under the policy that acted
    advantage: torch.Tensor  # [E, T]
    return_: torch.Tensor  # [E, T], discounted reward to go
    mask: torch.Tensor  # [E, T]


class Labelled(NamedTuple):
    """Inputs and what belongs to them; `[N, B, ...]`, or without `N` where mathematics is for one task."""

    inputs: torch.Tensor  # [N, B, ...]
    targets: torch.Tensor  # [N, B, Y] floats, or [N, B] whole numbers: classes


class FewShot(NamedTuple):
    """The supervised twin of a trial: what a task is learned from, and what is asked afterwards."""

    support: Labelled
    query: Labelled


class Trial(NamedTuple):
    """A task met for `K + 1` rounds, adapting in between: `rollouts[k]` follows `k` adaptations."""

    rollouts: list[Rollout]
    diverged: int = 0  # lanes whose physics broke, left out of every batch
    tasks: torch.Tensor | None = None  # [N, P] doubles, each task's parameters in a row; for learning, never acting
    diagnostics: Mapping[str, torch.Tensor] = {}  # [N, K + 1] each: what the environment says beside the reward

    @property
    def returns(self) -> Float[torch.Tensor, "N K"]:
        """Mean undiscounted episode return of each task in each round, `[N, K + 1]`."""
        return torch.stack([rollout.returns for rollout in self.rollouts], dim=-1)
