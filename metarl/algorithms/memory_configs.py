"""The options of the methods that adapt through what they remember, without torch, as in `configs.py`."""

from dataclasses import dataclass
from typing import Literal

from metarl.algorithms.options import ModelOptions
from metarl.algorithms.ppo_configs import PPOOptions
from metarl.runtime.options import check_number, check_ranges, number


@dataclass(frozen=True)
class TrialOptions:
    """What a recurrent state lives through."""

    rounds: int = number(2, least=1)
    """Episodes that the memory lives through in meta-training."""
    memory_size: int = number(64, least=1, most=100_000)
    """Units of the memory: what it tells policy and value function at every step."""


@dataclass(frozen=True)
class ReadingOptions:
    """How a recurrent policy remembers, and how it reads what it remembers."""

    memory: str = "gru"
    """`gru`, a gated recurrent unit (published); `attention`, linear attention, which keeps apart what was met in
    different places; `splagger`, a gated unit beside a maximum over steps (Beck et al. 2024); `transformer`, which
    looks back at all steps of a trial; or a core from anywhere, as `module:attribute`."""
    embedding_size: int = number(0, least=0, most=100_000)
    """Units of a layer between a step and the memory (0: none), where steps must be told apart by several of their
    parts together."""
    head: Literal["memory", "state", "film", "hypernetwork"] = "memory"
    """How policy and value function read the memory: it alone (published); beside the observation (RNN+S); as scales
    and shifts of a network of the observation; or as such a network's weights (RNN+HN, Beck et al. 2023). That network
    has 2 x 32 units where `hidden` names none."""
    previous_observation: bool = False
    """Show the last observation too, beside what was done and paid there."""


@dataclass(frozen=True)
class RL2Config(ReadingOptions, TrialOptions, PPOOptions):
    """A recurrent policy trained over whole trials (Duan et al. 2016)."""


@dataclass(frozen=True)
class EpisodeOptions:
    """What stands otherwise where a memory lives through a single episode."""

    rounds: int = number(1, least=1)
    """Episodes that the memory lives through in meta-training."""
    embedding_size: int = number(64, least=0, most=100_000)
    """Units of a layer between a step and the memory (0: none), where steps must be told apart by several of their
    parts together."""
    head: Literal["memory", "state", "film", "hypernetwork"] = "state"
    """How policy and value function read the memory: it alone; beside the observation; as scales and shifts of a
    network of the observation; or as such a network's weights."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer of the policy, and likewise of the value function."""
    desired_kl: float = number(0.01, least=0)
    """Divergence of an update that the next one's step size is fitted to: after more than twice as much it is 1.5 times
    smaller, after less than half of it as much larger (Rudin et al. 2022, rsl_rl); 0: it is not fitted."""
    entropy_bonus: float = number(0.005, least=0)
    """Weight of the policy's mean entropy."""
    max_gradient_norm: float = number(1.0, above=0)
    """A longer gradient is shortened to this."""


@dataclass(frozen=True)
class EpisodicConfig(EpisodeOptions, ReadingOptions, TrialOptions, PPOOptions):
    """A recurrent policy trained over single episodes: it finds out within one what it needs to know."""


@dataclass(frozen=True)
class PEARLConfig:
    """PEARL (Rakelly et al. 2019); networks and batches are smaller than published, so that two cores can train."""

    hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer of actor and critics (published: three of 300)."""
    encoder_hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer of the context encoder (published: three of 200)."""
    latent_size: int = number(5, least=1, most=10_000)
    """Numbers Z of the latent that stands for a task."""
    context_with_next_observation: bool = False
    """Show the encoder where a step led to (published for tasks that differ in their dynamics)."""
    rounds: int = number(3, least=1)
    """Rounds of a meta-training trial: the first with a latent from the prior, the others from the posterior."""
    pool_meetings: bool = True
    """Learn from all meetings with a task together, and infer it from the last one (published); no: each meeting is a
    task of its own."""
    replay_size: int = number(200_000, least=1, most=1_000_000_000)
    """Room for the transitions of the last meetings with tasks; that of an iteration is kept free, where there is room
    for two (published: a million of each task)."""
    warmup_iterations: int = number(0, least=0)
    """First iterations that only gather data."""
    update_ratio: float = number(0.05, least=0)
    """Gradient steps for each environment step, at least one an iteration (published for half-cheetah-vel: 0.4)."""
    meta_batch: int = number(8, least=1, most=1_000_000)
    """Tasks that a gradient step draws from (published: 16)."""
    batch_size: int = number(64, least=1, most=1_000_000)
    """Transitions of each of them for actor and critics (published: 256)."""
    context_size: int = number(64, least=1, most=1_000_000)
    """Transitions of each of them for the encoder (published: 100)."""
    learning_rate: float = number(3e-4, above=0)
    """Step size of Adam, for all networks."""
    discount: float = number(0.99, least=0, most=1)
    """Discount factor γ."""
    target_rate: float = number(0.005, above=0, most=1)
    """How far the target critics follow the critics in a gradient step."""
    reward_scale: float = number(5.0, above=0)
    """Factor on rewards where critics learn from them."""
    temperature: float = number(1.0, above=0)
    """Weight α of the policy's entropy; where it is learned, at the start."""
    learned_temperature: bool = False
    """Learn the temperature, so that the policy's entropy is near −A, with A the numbers of an action."""
    kl_weight: float = number(1.0, least=0)
    """Weight of the posteriors' mean KL divergence from the prior (published: 0.1 times the tasks' sum, here their
    mean: the same number for a meta-batch of ten)."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class VariBADConfig(TrialOptions, PPOOptions):
    """VariBAD (Zintgraf et al. 2020): a policy on a belief that a recurrent autoencoder infers."""

    hidden: tuple[int, ...] = (64,)
    """Units of each hidden layer of the policy, and likewise of the value function."""
    episode_starts: bool = True
    """Tell the encoder where episodes end, and the policy where they start (published, for trials of several)."""
    head: Literal["state", "film", "hypernetwork"] = "state"
    """How the policy reads its belief: beside what it sees (published); as scales and shifts of a network of that; or
    as such a network's weights (Beck et al. 2022)."""
    latent_size: int = number(5, least=1, most=10_000)
    """Numbers Z of the latent that stands for a task."""
    memory: str = "gru"
    """What the encoder remembers with: `gru` (published), `attention`, `splagger`, `transformer`, or a core as
    `module:attribute`."""
    embedding_size: int = number(32, least=0, most=100_000)
    """Units of the layer between a step and the recurrent state (0: none)."""
    decoder_hidden: tuple[int, ...] = (64, 32)
    """Units of each hidden layer of a decoder."""
    reward_from_action: bool = False
    """Show the reward decoder what was seen and done before a step, not only where it led."""
    transition_weight: float = number(0.0, least=0)
    """Weight of the squared error of where a step led (0: transitions are not decoded)."""
    kl_weight: float = number(0.1, least=0)
    """Weight of a belief's KL divergence from the one a step before."""
    bound_terms: int = number(8, least=1, most=1_000_000)
    """Prefixes of a trial, drawn at random, at which a gradient step takes the lower bound (published: all)."""
    model_learning_rate: float = number(1e-3, above=0)
    """Step size of Adam for encoder and decoders."""
    model_updates: int = number(10, least=1)
    """Gradient steps of encoder and decoders in an iteration."""
    model_batch: int = number(64, least=1, most=1_000_000)
    """Trials of such a step."""
    replay_size: int = number(200_000, least=1, most=1_000_000_000)
    """Room for the transitions of the last trials; that of an iteration is kept free, where there is room for two
    (published: 10,000 trials)."""
    discount: float = number(0.97, least=0, most=1)
    """Discount factor γ, through all episodes of a trial."""
    gae_lambda: float = number(0.9, least=0, most=1)
    """λ of generalised advantage estimation."""


@dataclass(frozen=True)
class RecurrentSACConfig:
    """Soft actor-critic with recurrent actor and critics (Ni et al. 2022), or transformers as in AMAGO (Grigsby et al.
    2024); networks and batches are smaller than published, so that two cores can train."""

    memory: str = "gru"
    """What actor and critics each remember a trial with: `gru` (published; an LSTM does as well there), `attention`,
    `splagger`, `transformer`, or a core as `module:attribute`."""
    memory_size: int = number(64, least=1, most=100_000)
    """Units of each memory (published: 128)."""
    embedding_size: int = number(32, least=0, most=100_000)
    """Units of the layer between a step and a memory (0: none)."""
    hidden: tuple[int, ...] = (128, 128)
    """Units of each hidden layer of actor and critics, which see the observation beside what is remembered."""
    rounds: int = number(2, least=1)
    """Episodes of a meta-training trial."""
    critic: Literal["mean", "two-hot"] = "mean"
    """What a critic says: a value, by squared error (published); or a distribution over fixed numbers, by cross-entropy
    (AMAGO)."""
    critics: int = number(2, least=1, most=100)
    """Critics on one memory, the least of which is believed."""
    discount: float = number(0.99, least=0, most=1)
    """Discount factor γ, through all episodes of a trial: what the actor climbs."""
    other_discounts: tuple[float, ...] = ()
    """Further discount factors whose values critics learn beside, on the same memory (AMAGO learns several at once)."""
    value_classes: int = number(64, least=2, most=10_000)
    """Numbers that a two-hot critic tells apart."""
    largest_value: float = number(10_000.0, above=0)
    """The last of them: no return should be larger."""
    replay_size: int = number(400_000, least=1, most=1_000_000_000)
    """Room for the transitions of the last trials; that of an iteration is kept free, where there is room for two
    (published: a million)."""
    warmup_iterations: int = number(0, least=0)
    """First iterations that only gather data."""
    update_ratio: float = number(0.01, least=0)
    """Gradient steps for each environment step, at least one an iteration."""
    batch_size: int = number(16, least=1, most=1_000_000)
    """Whole trials of a gradient step (published: 64 pieces of 64 steps)."""
    learning_rate: float = number(1e-3, above=0)
    """Step size of Adam, for all networks (published: 3e-4)."""
    target_rate: float = number(0.005, above=0, most=1)
    """How far the target critics follow the critics in a gradient step."""
    reward_scale: float = number(1.0, above=0)
    """Factor on rewards where critics learn from them."""
    temperature: float = number(0.1, above=0)
    """Weight α of the policy's entropy; where it is learned, at the start."""
    learned_temperature: bool = True
    """Learn the temperature, so that the policy's entropy is near −A, with A the numbers of an action (published)."""

    def __post_init__(self) -> None:
        check_ranges(self)
        for discount in self.other_discounts:
            check_number("algo.other_discounts", discount, least=0, most=1)


@dataclass(frozen=True)
class RecurrentConfig(ModelOptions):
    """A recurrent network over pairs of input and previous target (Santoro et al. 2016)."""

    memory: int = number(64, least=1, most=100_000)
    """Units of the recurrent layer."""
    learning_rate: float = number(1e-3, above=0)
    """Step size of the meta-update, by Adam."""
    learning_rate_decay: float = number(1.0, above=0, most=1)
    """Factor on the step size after every meta-update."""

    def __post_init__(self) -> None:
        check_ranges(self)
