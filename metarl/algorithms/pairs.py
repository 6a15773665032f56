"""Gradient methods as pairs: an inner loop × a meta-update, by name, and the options that a pair has.

`--algo.inner` and `--algo.outer` name any pair; the published ones have names of their own (`__init__.py`). Either may
also be `module:attribute` from anywhere, whose attribute `Options` is then a frozen dataclass of its options. Nothing
here imports torch.
"""

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, NamedTuple

from envs.contract.errors import InputError, nearest
from envs.registry import load_attribute
from metarl.algorithms import options
from metarl.runtime.options import check_ranges


class Part(NamedTuple):
    """An inner loop or a meta-update."""

    target: str
    """`module:attribute` of what makes it."""
    options: tuple[type, ...]
    """What it can be told."""
    refuses: tuple[str, ...] = ()
    """Of a meta-update: inner loops that it cannot learn the start of."""
    needs_policy: bool = False
    """Whether it is for experience alone."""
    defaults: Mapping[str, Any] = {}
    """Options that stand otherwise with it than in their pieces."""
    on_labels: Mapping[str, Any] = {}
    """Those that stand otherwise where labelled data are learned from."""
    without: tuple[type, ...] = ()
    """Pieces of an inner loop's options that say nothing with it."""


MAKERS, UPDATES = "metarl.algorithms.inner_loops", "metarl.algorithms"
# After the first of several steps the initial policy is not the one any more that sampled the rounds.
RATIO = {"inner_objective": "likelihood_ratio"}
STEPS, SMALLER = (options.StepOptions, options.DerivativeOptions), {"inner_lr": 0.01}
ONE_STEP, OF_MANY = {"learning_rate": 1e-2}, {"learning_rate": 1e-3}  # of few updates on experience, many on labels
INNER_LOOPS = {
    "all": Part(f"{MAKERS}:all_parameters", STEPS, on_labels=SMALLER),
    "head": Part(f"{MAKERS}:head", STEPS, on_labels=SMALLER),
    "context": Part(
        f"{MAKERS}:context",
        (*STEPS, options.ContextOptions),
        defaults={"inner_lr": 1.0},
        on_labels={"context_size": 5},
    ),
    "rates": Part(f"{MAKERS}:rates", STEPS, on_labels=SMALLER),
    "step-rates": Part(f"{MAKERS}:step_rates", STEPS, on_labels=SMALLER),
    "proximal": Part(
        f"{MAKERS}:proximal",
        (options.ProximalOptions,),
        on_labels={"proximal_strength": 0.5, "proximal_steps": 16},
    ),
    "fine-tuning": Part(f"{MAKERS}:fine_tuning", (options.StepOptions,), on_labels=SMALLER),
}
META_UPDATES = {
    "trust-region": Part(f"{UPDATES}.trust_region_update:TrustRegion", (options.TrustRegionOptions,), (), True),
    "credited-trust-region": Part(
        f"{UPDATES}.sampling_credit:CreditedTrustRegion",
        (options.TrustRegionOptions, options.CreditOptions),
        ("fine-tuning",),
        True,
    ),
    "adam": Part(f"{UPDATES}.adam_updates:Adam", (options.AdamOptions,), defaults=ONE_STEP, on_labels=OF_MANY),
    "clipped": Part(f"{UPDATES}.adam_updates:Clipped", (options.AdamOptions, options.ClippedOptions), (), True, RATIO),
    "promp": Part(
        f"{UPDATES}.promp:ProMP",
        (options.AdamOptions, options.ClippedOptions, options.PenaltyOptions),
        ("proximal", "fine-tuning"),
        True,
        RATIO,
    ),
    "reptile": Part(
        f"{UPDATES}.adam_updates:Reptile",
        (options.AdamOptions,),
        ("context", "rates", "step-rates", "proximal", "fine-tuning"),
        defaults=ONE_STEP,
        on_labels=OF_MANY,
        without=(options.DerivativeOptions,),
    ),
    "none": Part(f"{UPDATES}.adam_updates:Nothing", (), without=(options.DerivativeOptions,)),
}


class Pair(NamedTuple):
    """A method: its inner loop, its meta-update, and how its options differ from theirs."""

    inner: str
    outer: str
    options: Mapping[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class PairOptions:
    """Which inner loop and which meta-update."""

    inner: str = "all"
    """What a task starts from and how it moves: all, head, context, rates, step-rates, proximal or fine-tuning; or your
    own, as `module:attribute`."""
    outer: str = "trust-region"
    """How the start is learned: trust-region, credited-trust-region, adam, clipped, promp, reptile or none; or your
    own, as `module:attribute`."""
    context_size: ClassVar[int] = 0
    first_order: ClassVar[bool] = True


@cache
def part(what: str, name: str) -> Part:
    """An inner loop (`what` is "inner") or a meta-update ("outer") by its name, or the user's own.

    Raises:
        InputError: there is none.
    """
    table = {"inner": INNER_LOOPS, "outer": META_UPDATES}[what]
    if name in table:
        return table[name]
    if ":" not in name:
        raise InputError(f"algo.{what} is '{name}'" + nearest(name, table))
    own = load_attribute(name)
    return Part(name, (own.Options,) if hasattr(own, "Options") else ())


def pair_config(pair: Pair, learned: type) -> type:
    """The options of a pair: a frozen dataclass, always the same one for the same pair.

    Args:
        pair: names of both parts, and own defaults, of which those that the parts do not have count for nothing.
        learned: the options of what is learned: `PolicyOptions` or `ModelOptions`.

    Raises:
        InputError: no such part, or two that do not go together.
    """
    inner, outer, labelled = part("inner", pair.inner), part("outer", pair.outer), learned is options.ModelOptions
    if pair.inner in outer.refuses:
        raise InputError(f"algo.outer {pair.outer} cannot learn what algo.inner {pair.inner} starts from — pair others")
    if outer.needs_policy and labelled:
        fits = ", ".join(name for name, part in META_UPDATES.items() if not part.needs_policy)
        raise InputError(f"algo.outer {pair.outer} needs a policy, which labels do not train — give one of: {fits}")
    own = {**inner.defaults, **outer.defaults}
    own |= {**inner.on_labels, **outer.on_labels} if labelled else {}
    own |= {**pair.options, "inner": pair.inner, "outer": pair.outer}
    steps = (piece for piece in inner.options if piece not in outer.without)
    return _composed((*outer.options, *steps, learned, PairOptions), tuple(own.items()))


@cache
def _composed(pieces: tuple[type, ...], own: tuple[tuple[str, Any], ...]) -> type:
    known = {field.name: field for piece in pieces for field in dataclasses.fields(piece)}
    defaults = [
        (name, known[name].type, dataclasses.field(default=value, metadata=known[name].metadata))
        for name, value in own
        if name in known
    ]

    def check(self: Any) -> None:
        for what, table in (("inner", INNER_LOOPS), ("outer", META_UPDATES)):
            if (name := getattr(self, what)) != dict(own)[what] and name in table:
                raise InputError(f"algo.{what} is {name}, whose options these are not — say it once, for all of them")
        check_ranges(self)
        for piece in pieces:
            if hasattr(piece, "require"):
                piece.require(self)

    name = "".join(piece.__name__.removesuffix("Options") for piece in pieces[:-1]) + "Options"

    def reduced(self: Any) -> tuple[Any, ...]:  # ranks send each other options, and a class made here has no address
        return _restored, (pieces, own, {each.name: getattr(self, each.name) for each in dataclasses.fields(self)})

    namespace = {"__post_init__": check, "__reduce__": reduced, "__doc__": "Options of a gradient method."}
    return dataclasses.make_dataclass(name, defaults, bases=pieces, namespace=namespace, frozen=True)


def _restored(pieces: tuple[type, ...], own: tuple[tuple[str, Any], ...], values: dict[str, Any]) -> Any:
    return _composed(pieces, own)(**values)
