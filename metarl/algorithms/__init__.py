"""The table of methods. Adding one is one file here and one line below, or `module:attribute` from anywhere.

Nothing here imports torch: names and options are read without it.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from envs.contract.errors import InputError, nearest
from envs.registry import load_attribute
from metarl.algorithms import configs, memory_configs

if TYPE_CHECKING:
    import torch

    from metarl.algorithms.algorithm import Algorithm, Spaces


class Entry(NamedTuple):
    """A registered method."""

    target: str
    """`module:attribute` of its class."""
    config: type
    """Its options."""
    description: str
    """One line."""


ALGORITHMS = {
    "maml-trpo": Entry(
        "metarl.algorithms.maml:MAMLTRPO",
        configs.MAMLTRPOConfig,
        "gradient steps from a learned start; trust-region meta-update (Finn et al. 2017)",
    ),
    "maml-ppo": Entry("metarl.algorithms.maml:MAMLPPO", configs.MAMLPPOConfig, "the same; clipped meta-update by Adam"),
    "maml-vpg": Entry(
        "metarl.algorithms.maml:MAMLVPG",
        configs.MAMLVPGConfig,
        "the same; policy-gradient meta-update by Adam",
    ),
    "fomaml": Entry(
        "metarl.algorithms.fomaml:FOMAML", configs.FOMAMLConfig, "maml-trpo, first order (Finn et al. 2017)"
    ),
    "anil": Entry("metarl.algorithms.anil:ANIL", configs.ANILConfig, "adapts the last layer alone (Raghu et al. 2020)"),
    "meta-sgd": Entry(
        "metarl.algorithms.meta_sgd:MetaSGD",
        configs.MetaSGDConfig,
        "learns a rate for every number of the policy (Li et al. 2017)",
    ),
    "lslr": Entry(
        "metarl.algorithms.meta_sgd:LSLR",
        configs.MetaSGDConfig,
        "learns a rate for every layer and step, as MAML++ does (Antoniou et al. 2019)",
    ),
    "cavia": Entry(
        "metarl.algorithms.cavia:CAVIA",
        configs.CAVIAConfig,
        "adapts a context beside the observation (Zintgraf et al. 2019)",
    ),
    "imaml": Entry(
        "metarl.algorithms.imaml:IMAML",
        configs.IMAMLConfig,
        "solves a proximal problem and differentiates its solution (Rajeswaran et al. 2019)",
    ),
    "e-maml": Entry(
        "metarl.algorithms.emaml:EMAML",
        configs.EMAMLConfig,
        "gives credit to the sampling before adaptation (Stadie et al. 2018)",
    ),
    "reptile": Entry(
        "metarl.algorithms.reptile:Reptile",
        configs.ReptileConfig,
        "moves towards the adapted parameters (Nichol et al. 2018)",
    ),
    "promp": Entry(
        "metarl.algorithms.promp:ProMP",
        configs.ProMPConfig,
        "proximal meta-policy search: credit to the inner step's sampling (Rothfuss et al. 2019)",
    ),
    "rl2": Entry(
        "metarl.algorithms.rl2:RL2",
        memory_configs.RL2Config,
        "a recurrent policy whose memory lives through a trial's episodes (Duan et al. 2016)",
    ),
    "pearl": Entry(
        "metarl.algorithms.pearl:PEARL",
        memory_configs.PEARLConfig,
        "infers a latent from context; soft actor-critic on replay (Rakelly et al. 2019)",
    ),
    "varibad": Entry(
        "metarl.algorithms.varibad:VariBAD",
        memory_configs.VariBADConfig,
        "acts on a belief that a recurrent autoencoder infers (Zintgraf et al. 2020)",
    ),
    "random-init": Entry(
        "metarl.algorithms.baselines:RandomInit", configs.InnerLoopConfig, "baseline: adapts without meta-training"
    ),
    "multitask": Entry(
        "metarl.algorithms.baselines:MultiTask",
        configs.MAMLTRPOConfig,
        "baseline: one policy for all tasks, then fine-tuned",
    ),
    "oracle": Entry(
        "metarl.algorithms.baselines:Oracle", configs.MAMLTRPOConfig, "baseline: one policy that sees the task"
    ),
}

RENAMED = {"maml++": "lslr"}
"""What runs of former days call a method: of MAML++ it never was more than the rates."""


def config_class(name: str) -> type:
    """The options of a registered method or of a `module:attribute` (its `Config`).

    Raises:
        InputError: an unknown name, or an attribute that is no method.
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name].config
    if name in RENAMED:
        raise InputError(f"'{name}' promised more than it does — give its new name, '{RENAMED[name]}'")
    if ":" not in name:
        raise InputError(f"unknown algorithm '{name}'" + nearest(name, ALGORITHMS))
    config: type = algorithm_class(name).Config
    return config


def make_algorithm(
    name: str,
    config: Any,
    spaces: "Spaces",
    device: "torch.device",
) -> "Algorithm":
    """A method for (single-lane) spaces; `config` is of its `config_class`."""
    algorithm: Algorithm = algorithm_class(name)(config, spaces, device)
    return algorithm


def algorithm_class(name: str) -> Any:
    """The class behind a registered name or `module:attribute`.

    Raises:
        InputError: no such attribute, or it is no method.
    """
    target = ALGORITHMS[name].target if name in ALGORITHMS else name
    found = load_attribute(target)
    for attribute in ("Config", "traits", "acting", "begin", "act", "observe", "adapt", "initial_state", "update"):
        if not hasattr(found, attribute):
            raise InputError(
                f"'{target}' is no algorithm (it has no {attribute}) — see metarl.algorithms.algorithm.Algorithm"
            )
    return found
