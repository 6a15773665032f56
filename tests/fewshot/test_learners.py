"""Every learner's meta-gradient against finite differences or an exact identity, in double."""

from typing import Any

import pytest
import torch
from support.problems import central_differences, flatten, generator, relative_difference
from torch.func import functional_call, grad

from metarl.algorithms import config_class, make_algorithm, names_for
from metarl.algorithms.labels import union
from metarl.core.inner_loops import GradientSteps
from metarl.core.types import FewShot, Labelled, Params
from metarl.fewshot.problem import Problem
from metarl.runtime.randomness import Address

N, S, Q = 3, 4, 5
SMALL = {"hidden": (5,), "activation": "tanh"}
CPU = torch.device("cpu")


def tasks_of(classification: bool) -> FewShot:
    """Random numbers: the identities hold for any."""
    random = generator(0)

    def side(examples: int) -> Labelled:
        inputs = torch.randn(N, examples, 2, generator=random, dtype=torch.float64)
        if classification:
            return Labelled(inputs, torch.randint(3, (N, examples), generator=random))
        return Labelled(inputs, torch.randn(N, examples, 3, generator=random, dtype=torch.float64))

    return FewShot(side(S), side(Q))


def problem(classification: bool) -> Problem:
    return Problem((2,), 3, classification)


def meta_of(learner: Any) -> Params:
    """Initial meta-parameters in double, moved off whatever is special about them (zero biases)."""
    random = generator(1)
    return {
        name: value.double() + 0.1 * torch.randn(value.shape, generator=random, dtype=torch.float64)
        for name, value in learner.initial_state(Address(0))["model"].items()
    }


def make(name: str, classification: bool = False, **options: Any) -> Any:
    config = config_class(name, labelled=True)(**SMALL, **options)
    return make_algorithm(name, config, problem(classification), CPU)


def meta_gradient(learner: Any, meta: Params, tasks: FewShot) -> tuple[Params, Any]:
    """What an update goes down, and the scores on the way."""
    support, query = learner.learned.batches(tasks, {}, learner.steps)
    if learner.config.outer == "reptile":
        return learner.outer.direction(meta, support, query), None
    gradient, (_, scores) = learner.inner.meta_gradient(learner.learned.judge, meta, support, query)
    return gradient, scores


def task(tasks: FewShot, n: int) -> FewShot:
    return FewShot(*(Labelled(*(field[n] for field in side)) for side in tasks))


def mean_loss(learner: Any, meta: Params, tasks: FewShot) -> torch.Tensor:
    """Mean query loss after the inner loop, tasks one after the other."""
    losses = []
    for n in range(N):
        support, query = learner.learned.batches(task(tasks, n), {}, learner.steps)
        losses.append(learner.learned.judge(learner.inner.trail(meta, support), query)[0])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("classification", [False, True])
@pytest.mark.parametrize("name", ["maml", "anil", "meta-sgd", "cavia", "multitask"])
def test_meta_gradients_equal_finite_differences(name: str, classification: bool) -> None:
    two_steps = {} if name == "multitask" else {"inner_steps": 2}
    learner = make(name, classification, inner_lr=0.3, **two_steps)
    meta, tasks = meta_of(learner), tasks_of(classification)
    gradient, _ = meta_gradient(learner, meta, tasks)
    expected = central_differences(lambda point: mean_loss(learner, point, tasks), meta)
    assert relative_difference(flatten(gradient), expected) < 1e-7


def test_first_order_takes_the_gradient_at_the_adapted_parameters() -> None:
    learner = make("fomaml", inner_lr=0.3, inner_steps=2)
    meta, tasks = meta_of(learner), tasks_of(False)
    gradient, _ = meta_gradient(learner, meta, tasks)
    at_adapted = []
    for n in range(N):
        params = meta
        for _ in range(2):  # plain descent, written out
            slope = grad(learner.learned.inner_loss)(params, task(tasks, n).support)
            params = {name: value - 0.3 * slope[name] for name, value in params.items()}
        at_adapted.append(flatten(grad(learner.learned.inner_loss)(params, task(tasks, n).query)))
    assert relative_difference(flatten(gradient), torch.stack(at_adapted).mean(dim=0)) < 1e-12


def test_anil_moves_the_last_layer_alone() -> None:
    learner = make("anil")
    meta = meta_of(learner)
    adapted = learner.inner.trail(meta, [task(tasks_of(False), 0).support])[-1]
    moved = {name for name in meta if not torch.equal(adapted[name], meta[name])}
    assert moved == {"layers.1.weight", "layers.1.bias"}


def test_imamls_gradient_is_that_of_the_converged_solution() -> None:
    learner = make("imaml", inner_lr=0.2, proximal_strength=2.0, proximal_steps=80, implicit_iterations=40)
    meta, tasks = meta_of(learner), tasks_of(False)
    gradient, scores = meta_gradient(learner, meta, tasks)

    def solved(meta: Params) -> torch.Tensor:
        """By plain gradient descent on the whole problem, which shares nothing with the solver under test."""
        losses = []
        for n in range(N):
            params, support = meta, task(tasks, n).support
            for _ in range(60):  # each shortens the distance to 0.6 of it at least
                slope = grad(learner.learned.inner_loss)(params, support)
                params = {k: v - 0.2 * (slope[k] + 2.0 * (v - meta[k])) for k, v in params.items()}
            losses.append(learner.learned.inner_loss(params, task(tasks, n).query))
        return torch.stack(losses).mean()

    assert relative_difference(flatten(gradient), central_differences(solved, meta)) < 1e-6
    assert torch.allclose(scores["loss"][:, 1].mean(), solved(meta), atol=1e-9)


def test_one_step_of_reptile_is_joint_training() -> None:
    learner = make("reptile", inner_steps=1, inner_lr=0.3)
    meta, tasks = meta_of(learner), tasks_of(False)
    direction, _ = meta_gradient(learner, meta, tasks)
    joint, _ = meta_gradient(make("multitask"), meta, tasks)
    assert relative_difference(flatten(direction), 0.3 * flatten(joint)) < 1e-12


def test_the_curve_is_the_loss_after_every_step() -> None:
    learner = make("maml", True, inner_lr=0.3)
    meta, tasks = meta_of(learner), tasks_of(True)
    scores = learner.scores({"model": meta}, tasks, 3)
    for n in range(N):
        params, steps = meta, GradientSteps(learner.learned.inner_loss, 0.3)
        for k in range(4):
            logits = functional_call(learner.learned.model, params, (task(tasks, n).query.inputs,))
            right = [
                bool(row.argmax() == target) for row, target in zip(logits, task(tasks, n).query.targets, strict=True)
            ]
            log_likelihood = logits.log_softmax(dim=-1)[range(Q), task(tasks, n).query.targets].mean()
            assert torch.allclose(scores["loss"][n, k], -log_likelihood)
            assert float(scores["accuracy"][n, k]) == pytest.approx(sum(right) / Q)
            params = steps.step(meta, params, task(tasks, n).support, k)


def reader(classification: bool) -> Any:
    return make("rnn", classification, memory=4)


@pytest.mark.parametrize("classification", [False, True])
def test_a_recurrent_learner_reads_each_target_one_step_late(classification: bool) -> None:
    learner, tasks = reader(classification), tasks_of(classification)
    meta = meta_of(learner)
    loss = learner.answered(meta, tasks.support, tasks.query)["loss"]
    weights = {name.removeprefix("memory."): value for name, value in meta.items() if name.startswith("memory.")}
    cell = torch.nn.GRUCell(2 + 3, 4).double()
    with torch.no_grad():
        for mine, theirs in (
            ("weight_input", "weight_ih"),
            ("weight_hidden", "weight_hh"),
            ("bias_input", "bias_ih"),
            ("bias_hidden", "bias_hh"),
        ):
            getattr(cell, theirs).copy_(weights[mine])
        for n in range(N):
            targets = tasks.support.targets[n]
            shown = torch.eye(3, dtype=torch.float64)[targets] if classification else targets
            state, previous = torch.zeros(1, 4, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
            for t in range(S):
                state = cell(torch.cat([tasks.support.inputs[n, t], previous])[None], state)
                previous = shown[t]
            answers = []
            for q in range(Q):
                asked = cell(torch.cat([tasks.query.inputs[n, q], previous])[None], state)
                hidden = torch.tanh(asked @ meta["head.layers.0.weight"].T + meta["head.layers.0.bias"])
                answers.append(hidden @ meta["head.layers.1.weight"].T + meta["head.layers.1.bias"])
            expected = learner.problem.loss(torch.cat(answers), tasks.query.targets[n])
            assert torch.allclose(loss[n], expected)


def test_a_recurrent_learner_knows_nothing_before_it_has_read() -> None:
    learner, tasks = reader(False), tasks_of(False)
    state = {"model": meta_of(learner)}
    other = tasks._replace(support=Labelled(*(-field for field in tasks.support)))
    mine, theirs = (learner.scores(state, met, 2)["loss"] for met in (tasks, other))
    assert torch.equal(mine[:, 0], theirs[:, 0]) and not torch.allclose(mine[:, 1], theirs[:, 1])
    assert torch.equal(mine[:, 1], mine[:, 2])  # reading again changes nothing


@pytest.mark.parametrize("name", names_for("labels"))
def test_an_update_lowers_the_loss_of_its_tasks_and_writes_to_nothing(name: str) -> None:
    learner = make(name, learning_rate=0.01)
    tasks = FewShot(*(Labelled(*(field.float() for field in side)) for side in tasks_of(False)))
    state = learner.initial_state(Address(0))
    kept = {key: value.clone() for key, value in state["model"].items()}
    later, losses = state, []
    for _ in range(20):
        later, metrics = learner.update(later, tasks, Address(2))
        losses.append(metrics[f"loss/step_{learner.steps}"])
        assert sum(name.startswith("loss/") for name in metrics) == learner.steps + 1
    assert losses[-1] < 0.97 * losses[0]
    assert all(torch.equal(kept[key], value) for key, value in state["model"].items())


def test_joint_training_descends_the_loss_of_all_data_and_reports_that_of_the_query() -> None:
    # of a mean squared error: that of S + Q examples is the weighted mean of both sides' own
    learner, tasks = make("multitask"), tasks_of(False)
    meta = meta_of(learner)
    _, query = learner.learned.batches(tasks, {}, 0)
    for n in range(N):
        alone = task(tasks, n)
        loss, seen = learner.learned.judge([meta], task(query, n))
        sides = [learner.learned.inner_loss(meta, side) for side in alone]
        torch.testing.assert_close(loss, (S * sides[0] + Q * sides[1]) / (S + Q))
        torch.testing.assert_close(seen["loss"], sides[1][None])
        assert abs(loss - sides[1]) > 1e-3


def test_support_and_query_together_are_all_of_a_tasks_data() -> None:
    tasks = tasks_of(True)
    both = union(*tasks)
    assert both.inputs.shape == (N, S + Q, 2) and torch.equal(both.targets[:, S:], tasks.query.targets)


@pytest.mark.parametrize("name", ["maml", "rnn"])
def test_every_update_multiplies_the_learning_rate_by_its_decay(name: str) -> None:
    tasks = FewShot(*(Labelled(*(field.float() for field in side)) for side in tasks_of(False)))
    decaying = make(name, learning_rate=0.01, learning_rate_decay=0.5)
    state = expected = decaying.initial_state(Address(0))
    for rate in (0.01, 0.005, 0.0025):
        state, _ = decaying.update(state, tasks, Address(2))
        expected, _ = make(name, learning_rate=rate).update(expected, tasks, Address(2))
        assert all(torch.equal(value, expected["model"][key]) for key, value in state["model"].items())
