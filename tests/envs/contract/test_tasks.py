"""The laws of task parameters: what they draw and what they refuse."""

import numpy as np
import pytest

from envs.contract.errors import InputError
from envs.contract.seeding import SAMPLE_TASKS, generators
from envs.contract.tasks import Choice, Dirichlet, LogUniform, Normal, Uniform


def test_uniform_fills_its_box() -> None:
    # Mean 1 ± 4 standard errors of 4 / sqrt(12 * 4000) = 0.018; 4,000 draws come close to the bounds.
    law = Uniform(-1.0, 3.0, (2,))
    draws = np.stack([law.draw(rng) for rng in generators(0, 4000, SAMPLE_TASKS)])
    assert draws.shape == (4000, 2)
    np.testing.assert_allclose(draws.mean(axis=0), 1.0, atol=0.075)
    np.testing.assert_allclose([draws.min(), draws.max()], [-1.0, 3.0], atol=0.01)


def test_choice_draws_every_value_equally_often() -> None:
    # Binomial(4000, 1/2): standard deviation 31.6, so 2000 ± 4 of them.
    law = Choice(((-0.5, 0.0), (0.5, 0.0)))
    draws = np.stack([law.draw(rng) for rng in generators(0, 4000, SAMPLE_TASKS)])
    assert set(map(tuple, draws)) == {(-0.5, 0.0), (0.5, 0.0)}
    assert abs((draws[:, 0] > 0).sum() - 2000) < 127


def test_a_law_refuses_what_no_task_can_have() -> None:
    np.testing.assert_array_equal(Uniform(0.0, 1.0).check("mass", [5.0]), [5.0])  # outside is allowed
    assert Choice((0, 1, 2)).check("leg", [2.0, 3.0]).dtype == np.int64
    with pytest.raises(InputError, match="'leg' of task 1 is 0.5 — give a whole number"):
        Choice((0, 1, 2)).check("leg", [0, 0.5])
    with pytest.raises(InputError, match="'mass' of task 0 is inf — give a finite number"):
        Uniform(0.0, 1.0).check("mass", [np.inf])
    with pytest.raises(InputError, match=r"Uniform\(2.0, 1.0\)"):
        Uniform(2.0, 1.0)


def test_log_uniform_draws_uniform_exponents() -> None:
    law = LogUniform(1.5, -3.0, 3.0, (4,))
    factors = np.stack([law.draw(np.random.default_rng(seed)) for seed in range(2000)])
    exponents = np.log(factors) / np.log(1.5)
    # 8,000 draws of U(-3, 3): mean 0 and standard deviation √3, each within 5 standard errors.
    assert abs(exponents.mean()) < 5 * np.sqrt(3 / 8000) and abs(exponents.std() - np.sqrt(3)) < 0.05
    assert 1.5**-3 <= factors.min() < 0.31 and 3.2 < factors.max() <= 1.5**3
    for base, low, high in ((0.0, 0.0, 1.0), (2.0, 1.0, 0.0), (2.0, 0.0, np.inf)):
        with pytest.raises(InputError, match="LogUniform"):
            LogUniform(base, low, high)


def test_impossible_laws_are_refused() -> None:
    for law in (
        lambda: Normal(np.nan, 1.0),
        lambda: Normal(0.0, -1.0),
        lambda: Dirichlet(0.0, (3,)),
        lambda: Dirichlet(1.0, ()),
        lambda: Dirichlet(1.0, (2, 0)),
    ):
        with pytest.raises(InputError, match="is no law"):
            law()
    with pytest.raises(InputError, match="'p' has no probabilities in task 1"):
        Dirichlet(1.0, (2,)).check("p", [[0.5, 0.5], [0.6, 0.6]])
