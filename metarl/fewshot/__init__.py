"""Few-shot learning on labelled data: the inner loops of `metarl/core` on a support set instead of experience.

The tables of task sources and learners. A learner is one class and one line below; both may also be named
`module:attribute` from anywhere. Nothing here imports torch: names and options are read without it.
"""

from typing import NamedTuple

from metarl.fewshot import configs, sources
from metarl.fewshot.omniglot import OmniglotConfig


class Entry(NamedTuple):
    """A registered source or learner."""

    target: str
    """`module:attribute` of its class."""
    config: type
    """Its options."""
    description: str
    """One line."""


SOURCES = {
    "sinusoid": Entry(
        "metarl.fewshot.sources:Sinusoid",
        sources.SinusoidConfig,
        "regression: sine waves of other amplitude and phase (Finn et al. 2017)",
    ),
    "polynomial": Entry(
        "metarl.fewshot.sources:Polynomial",
        sources.PolynomialConfig,
        "regression: a multiple of x, x², x³ or x⁴",
    ),
    "omniglot": Entry(
        "metarl.fewshot.omniglot:Omniglot",
        OmniglotConfig,
        "classification: which of N handwritten characters, K drawings of each (Lake et al. 2015)",
    ),
}

DEFAULT_LEARNER = "maml"

LEARNERS = {
    "maml": Entry(
        "metarl.fewshot.learners:MAML",
        configs.MAMLConfig,
        "gradient steps from a learned start, differentiated through (Finn et al. 2017)",
    ),
    "fomaml": Entry("metarl.fewshot.learners:MAML", configs.FOMAMLConfig, "maml, first order (Finn et al. 2017)"),
    "anil": Entry(
        "metarl.fewshot.learners:ANIL", configs.MAMLConfig, "adapts the last layer alone (Raghu et al. 2020)"
    ),
    "meta-sgd": Entry(
        "metarl.fewshot.learners:MetaSGD",
        configs.MetaSGDConfig,
        "learns a rate for every number of the model (Li et al. 2017)",
    ),
    "cavia": Entry(
        "metarl.fewshot.learners:CAVIA", configs.CAVIAConfig, "adapts a context alone (Zintgraf et al. 2019)"
    ),
    "imaml": Entry(
        "metarl.fewshot.learners:IMAML",
        configs.IMAMLConfig,
        "solves a proximal problem and differentiates its solution (Rajeswaran et al. 2019)",
    ),
    "reptile": Entry(
        "metarl.fewshot.learners:Reptile",
        configs.ReptileConfig,
        "moves towards the adapted parameters (Nichol et al. 2018)",
    ),
    "rnn": Entry(
        "metarl.fewshot.memory:Recurrent",
        configs.RecurrentConfig,
        "reads the support set as a sequence (Santoro et al. 2016; Hochreiter et al. 2001)",
    ),
    "multitask": Entry(
        "metarl.fewshot.learners:MultiTask",
        configs.MultiTaskConfig,
        "baseline: one model for all tasks, then fine-tuned",
    ),
}
