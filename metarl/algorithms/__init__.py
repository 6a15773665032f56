"""The table of methods. Adding one is a line below, with a file here where it is no pair; or `module:attribute` from
anywhere.

Nothing here imports torch: names and options are read without it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from envs.contract.errors import InputError, nearest
from envs.registry import load_attribute
from metarl.algorithms import in_context_configs, memory_configs, ppo_configs
from metarl.algorithms.options import ModelOptions, PolicyOptions
from metarl.algorithms.pairs import Pair, pair_config

if TYPE_CHECKING:
    import torch

    from metarl.algorithms.algorithm import Algorithm, Spaces
    from metarl.fewshot.problem import Problem


class Entry(NamedTuple):
    """A registered method: a pair, or a class of its own."""

    description: str
    """One line."""
    pair: Pair | None = None
    """What it is with experience."""
    on_labels: Pair | None = None
    """What it is with labelled data."""
    target: str = "metarl.algorithms.gradient_method:GradientMethod"
    """`module:attribute` of its class."""
    config: type | None = None
    """The options of a class of its own."""
    of_its_own: str = "experience"
    """What a class of its own learns from: "experience", "labels" or "histories"."""

    def learns_from(self, data: str) -> bool:
        """Whether it takes "experience", "labels", or stored "histories"."""
        if self.config is not None:
            return self.of_its_own == data
        return {"experience": self.pair, "labels": self.on_labels}.get(data) is not None


ALGORITHMS = {
    "maml": Entry(
        "gradient steps from a learned start, differentiated through (Finn et al. 2017)",
        on_labels=Pair("all", "adam"),
    ),
    "maml-trpo": Entry(
        "gradient steps from a learned start; trust-region meta-update (Finn et al. 2017)", Pair("all", "trust-region")
    ),
    "maml-ppo": Entry("the same; clipped meta-update by Adam", Pair("all", "clipped")),
    "maml-vpg": Entry("the same; policy-gradient meta-update by Adam", Pair("all", "adam")),
    "fomaml": Entry(
        "maml-trpo, or maml of labels, first order (Finn et al. 2017)",
        Pair("all", "trust-region", {"first_order": True}),
        Pair("all", "adam", {"first_order": True}),
    ),
    "anil": Entry(
        "adapts the last layer alone (Raghu et al. 2020)", Pair("head", "trust-region"), Pair("head", "adam")
    ),
    "meta-sgd": Entry(
        "learns a rate for every number of the model (Li et al. 2017)",
        Pair("rates", "trust-region"),
        Pair("rates", "adam"),
    ),
    "lslr": Entry(
        "learns a rate for every layer and step, as MAML++ does (Antoniou et al. 2019)",
        Pair("step-rates", "trust-region"),
        Pair("step-rates", "adam"),
    ),
    "cavia": Entry(
        "adapts a context beside the input (Zintgraf et al. 2019)",
        Pair("context", "trust-region"),
        Pair("context", "adam"),
    ),
    "imaml": Entry(
        "solves a proximal problem and differentiates its solution (Rajeswaran et al. 2019)",
        Pair("proximal", "trust-region"),
        Pair("proximal", "adam"),
    ),
    "e-maml": Entry(
        "gives credit to the sampling before adaptation (Stadie et al. 2018)", Pair("all", "credited-trust-region")
    ),
    "reptile": Entry(
        "moves towards the adapted parameters (Nichol et al. 2018)",
        Pair("all", "reptile"),
        Pair("all", "reptile", {"inner_steps": 5}),
    ),
    "promp": Entry(
        "proximal meta-policy search: credit to the inner step's sampling (Rothfuss et al. 2019)",
        Pair("all", "promp"),
    ),
    "rl2": Entry(
        "a recurrent policy whose memory lives through a trial's rounds (Duan et al. 2016)",
        target="metarl.algorithms.rl2:RL2",
        config=memory_configs.RL2Config,
    ),
    "randomised": Entry(
        "domain randomisation: one policy for all tasks, by PPO (Tobin et al. 2017; Schulman et al. 2017)",
        target="metarl.algorithms.randomised:Randomised",
        config=ppo_configs.RandomisedConfig,
    ),
    "recurrent": Entry(
        "a recurrent policy over single episodes, by PPO (Peng et al. 2018; Ni et al. 2022)",
        target="metarl.algorithms.rl2:RL2",
        config=memory_configs.EpisodicConfig,
    ),
    "rma": Entry(
        "rapid motor adaptation: a teacher that is told the task, and a student that finds it (Kumar et al. 2021)",
        target="metarl.algorithms.rma:RMA",
        config=ppo_configs.RMAConfig,
    ),
    "system-id": Entry(
        "the same, with the task's parameters themselves in place of an encoding (Yu et al. 2017)",
        target="metarl.algorithms.rma:SystemID",
        config=ppo_configs.SystemIDConfig,
    ),
    "pearl": Entry(
        "infers a latent from context; soft actor-critic on replay (Rakelly et al. 2019)",
        target="metarl.algorithms.pearl:PEARL",
        config=memory_configs.PEARLConfig,
    ),
    "varibad": Entry(
        "acts on a belief that a recurrent autoencoder infers (Zintgraf et al. 2020)",
        target="metarl.algorithms.varibad:VariBAD",
        config=memory_configs.VariBADConfig,
    ),
    "ad": Entry(
        "Algorithm Distillation: imitates a source algorithm as that learns (Laskin et al. 2022)",
        target="metarl.algorithms.in_context:InContext",
        config=in_context_configs.ADConfig,
        of_its_own="histories",
    ),
    "dpt": Entry(
        "Decision-Pretrained Transformer: predicts what is best from what was met (Lee et al. 2023)",
        target="metarl.algorithms.in_context:InContext",
        config=in_context_configs.DPTConfig,
        of_its_own="histories",
    ),
    "rnn": Entry(
        "reads the support set as a sequence (Santoro et al. 2016; Hochreiter et al. 2001)",
        target="metarl.algorithms.rnn:RNN",
        config=memory_configs.RecurrentConfig,
        of_its_own="labels",
    ),
    "random-init": Entry("baseline: adapts without meta-training", Pair("all", "none")),
    "multitask": Entry(
        "baseline: one policy or model for all tasks, then fine-tuned",
        Pair("fine-tuning", "trust-region"),
        Pair("fine-tuning", "adam"),
    ),
    "oracle": Entry(
        "baseline: one policy that sees the task", Pair("fine-tuning", "trust-region", {"sees_task": True})
    ),
}


def names_for(data: str) -> list[str]:
    """The registered methods that learn from "experience", from "labels", or from stored "histories"."""
    return [name for name, entry in ALGORITHMS.items() if entry.learns_from(data)]


RENAMED = {"maml++": "lslr"}
"""What runs of former days call a method: of MAML++ it never was more than the rates."""


def config_class(name: str, given: Mapping[str, Any] = {}, *, labelled: bool = False) -> type:  # noqa: B006 - only read
    """The options of a registered method or of a `module:attribute` (its `Config`).

    Args:
        name: of the method.
        given: options that are asked for; `inner` and `outer` among them make another pair of it.
        labelled: whether it learns from labelled data.

    Raises:
        InputError: an unknown name, an attribute that is no method, or a pair that does not go together.
    """
    if name in RENAMED:
        raise InputError(f"'{name}' promised more than it does — give its new name, '{RENAMED[name]}'")
    data = "labels" if labelled else "experience"
    fitting = names_for(data) + ([] if labelled else names_for("histories"))
    if name not in ALGORITHMS:
        if ":" not in name:
            raise InputError(f"unknown algorithm '{name}'" + nearest(name, fitting))
        config: type = algorithm_class(name, labelled=labelled).Config
        return config
    entry = ALGORITHMS[name]
    if name not in fitting:
        raise InputError(f"'{name}' does not learn from {data} — name one of: {', '.join(fitting)}")
    if entry.config is not None:
        return entry.config
    pair = entry.on_labels if labelled else entry.pair
    assert pair is not None  # it fits
    pair = pair._replace(**{part: given[part] for part in ("inner", "outer") if given.get(part)})
    return pair_config(pair, ModelOptions if labelled else PolicyOptions)


def make_algorithm(name: str, config: Any, spaces: "Spaces | Problem", device: "torch.device") -> "Algorithm":
    """A method for (single-lane) spaces, or for the problem that labelled data pose; `config` is of its
    `config_class`."""
    algorithm: Algorithm = algorithm_class(name)(config, spaces, device)
    return algorithm


ON_EXPERIENCE = ("Config", "traits", "acting", "begin", "act", "observe", "adapt", "initial_state", "update")
ON_LABELS = ("Config", "steps", "initial_state", "update", "scores")


def algorithm_class(name: str, *, labelled: bool = False) -> Any:
    """The class behind a registered name or `module:attribute`.

    Raises:
        InputError: no such attribute, or it is no method (of labelled data).
    """
    if name in ALGORITHMS:
        return load_attribute(ALGORITHMS[name].target)
    found = load_attribute(name)
    missing = [
        [attribute for attribute in wanted if not hasattr(found, attribute)]
        for wanted in ((ON_LABELS,) if labelled else (ON_EXPERIENCE, ON_LABELS))
    ]
    if all(missing):
        raise InputError(
            f"'{name}' is no algorithm (it has no {missing[0][0]}) — see metarl.algorithms.algorithm.Algorithm"
        )
    return found
