"""Labelled data for few-shot learning: the table of task sources.

A source is one class and one line below, or `module:attribute` from anywhere. Nothing here imports torch: names and
options are read without it.
"""

from typing import NamedTuple

from metarl.fewshot import sources
from metarl.fewshot.omniglot import OmniglotConfig


class Entry(NamedTuple):
    """A registered source."""

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
