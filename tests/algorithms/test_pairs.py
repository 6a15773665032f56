"""Any inner loop × any meta-update: what goes together learns, with each part's own options; the rest is refused."""

import dataclasses
import math

import pytest
import torch
from support.command import Command, assert_refused, train_arguments
from support.trials import E, N, make, navigate

from metarl.algorithms import config_class, make_algorithm
from metarl.algorithms.pairs import INNER_LOOPS, META_UPDATES
from metarl.core.types import FewShot, Labelled
from metarl.fewshot.problem import Problem
from metarl.runtime.errors import InputError
from metarl.runtime.randomness import Address

# Reptile moves what steps move (Nichol et al. 2018); ProMP holds together the policies that rounds were sampled from
# (Rothfuss et al. 2019), of which there must be some, as there must be for E-MAML's credit; both clipped objectives are
# differentiated through steps.
REFUSED = {
    "credited-trust-region": {"fine-tuning"},
    "clipped": {"proximal"},
    "promp": {"proximal", "fine-tuning"},
    "reptile": {"context", "rates", "step-rates", "proximal", "fine-tuning"},
}
PAIRS = [(inner, outer) for outer in META_UPDATES for inner in INNER_LOOPS if inner not in REFUSED.get(outer, ())]
ON_LABELS = [(inner, outer) for inner, outer in PAIRS if outer in ("adam", "reptile", "none")]
SHORT = {"proximal_steps": 3, "implicit_iterations": 2, "cg_iterations": 2, "epochs": 2}


def options_of(name: str, inner: str, outer: str, labelled: bool = False) -> set[str]:
    """Names of the options of a pair."""
    return {field.name for field in dataclasses.fields(config_class(name, pair(inner, outer), labelled=labelled))}


def pair(inner: str, outer: str) -> dict[str, str]:
    return {"inner": inner, "outer": outer}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize(("inner", "outer"), PAIRS)
def test_every_pair_that_fits_learns_from_experience(inner: str, outer: str) -> None:
    short = {name: value for name, value in SHORT.items() if name in options_of("maml-trpo", inner, outer)}
    algorithm = make("maml-trpo", None, **pair(inner, outer), **short)
    state = algorithm.initial_state(Address(0))
    trial = navigate(algorithm, state)
    assert len(trial.rollouts) == algorithm.rounds == (1 if inner == "fine-tuning" else 2)
    assert trial.rollouts[0].mask.shape[:2] == (N, E)
    updated, metrics = algorithm.update(state, trial, Address(2))
    assert all(math.isfinite(value) for value in metrics.values())
    shared = moved(state["policy"], updated["policy"])
    if outer == "none":
        assert not shared
    elif (inner, outer) == ("head", "reptile"):  # whose steps move nothing else
        assert shared == {"body.layers.1.weight", "body.layers.1.bias"}
    else:
        assert shared == state["policy"].keys()


@pytest.mark.parametrize(("inner", "outer"), ON_LABELS)
def test_every_pair_that_needs_no_policy_learns_from_labels(inner: str, outer: str) -> None:
    config = config_class("maml", pair(inner, outer), labelled=True)(hidden=(5,))
    algorithm = make_algorithm("maml", config, Problem((2,), 3, True), torch.device("cpu"))
    random = torch.Generator().manual_seed(0)
    sides = (Labelled(torch.randn(3, 4, 2, generator=random), torch.arange(4).remainder(3).expand(3, 4)) for _ in "12")
    state = algorithm.initial_state(Address(0))
    updated, metrics = algorithm.update(state, FewShot(*sides), Address(2))
    steps = 0 if inner == "fine-tuning" else 1
    assert {name for name in metrics if name.startswith("loss")} == {f"loss/step_{k}" for k in range(steps + 1)}
    assert all(math.isfinite(value) for value in metrics.values())
    assert bool(moved(state["model"], updated["model"])) == (outer != "none")


@pytest.mark.parametrize(
    ("outer", "inner"), [(outer, inner) for outer, inners in REFUSED.items() for inner in sorted(inners)]
)
def test_what_does_not_go_together_is_refused_by_name(outer: str, inner: str) -> None:
    with pytest.raises(InputError, match=f"^algo.outer {outer} .* algo.inner {inner} .* — "):
        config_class("maml-trpo", pair(inner, outer))


@pytest.mark.parametrize("outer", [name for name in META_UPDATES if name not in ("adam", "reptile", "none")])
def test_labels_train_no_policy(outer: str) -> None:
    with pytest.raises(InputError, match=f"^algo.outer {outer} needs a policy, .* — give one of: adam, reptile, none"):
        config_class("maml", {"outer": outer}, labelled=True)


def test_a_part_takes_its_own_options_and_defaults_into_every_pair() -> None:
    def defaults(name: str, labelled: bool = False, **parts: str) -> dict[str, object]:
        return dataclasses.asdict(config_class(name, parts, labelled=labelled)())

    promp = defaults("anil", outer="promp")
    assert promp["inner"] == "head" and promp["inner_objective"] == "likelihood_ratio"  # Rothfuss et al. 2019, eq. 13
    assert "clip" in promp and "max_kl" not in promp
    assert defaults("anil")["inner_objective"] == "log_likelihood"
    # the step size of a context is not that of weights, and one of an update's only step not one of five
    rates = {name: value["inner_lr"] for name in ("cavia", "maml-trpo") if (value := defaults(name))}
    assert defaults("cavia", inner="all")["inner_lr"] == rates["maml-trpo"] != rates["cavia"]
    assert defaults("maml-trpo", inner="context")["inner_lr"] == rates["cavia"]
    assert defaults("maml-vpg", outer="promp")["learning_rate"] == defaults("promp")["learning_rate"]
    assert defaults("maml", True, inner="context") == defaults("cavia", True)
    # a method's own word stands in other pairs too, where they have it
    assert defaults("fomaml", inner="head")["first_order"] is True
    assert "first_order" not in defaults("fomaml", inner="proximal")
    assert defaults("oracle", outer="adam")["sees_task"] is True


def test_options_are_of_the_pair_that_they_name() -> None:
    with pytest.raises(InputError, match="^algo.outer is promp, whose options these are not — "):
        config_class("anil")(outer="promp")


def test_the_command_pairs_them_and_knows_the_pairs_options_alone(metarl: Command) -> None:
    arguments = [*train_arguments("run", 1, algorithm="anil"), "--algo.outer", "promp"]
    refused = metarl(*arguments, "--algo.max-kl", "0.1")
    assert refused.code == 2 and "--algo.max-kl" in refused.err
    assert_refused(metarl(*arguments, "--algo.inner", "proximal"), "algo.outer promp", "algo.inner proximal")
    assert_refused(metarl(*arguments[:-1], "prmp"), "algo.outer is 'prmp'", "did you mean 'promp'?")
    trained = metarl(*arguments, "--algo.epochs", "2")
    assert trained.code == 0, trained
    assert metarl("evaluate", "run", "--tasks", "2", "--adaptations", "1").code == 0
