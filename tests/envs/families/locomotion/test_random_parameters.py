"""What random parameters are outside of training."""

import numpy as np

from envs.families.locomotion.random_parameters import LogUniformBeyond


def test_the_law_beyond_leaves_the_training_range_out_on_both_sides() -> None:
    law, rng = LogUniformBeyond(1.5, 3.0, 4.0, (4000,)), np.random.default_rng(0)
    exponents = np.log(law.draw(rng)) / np.log(1.5)
    assert np.abs(exponents).min() >= 3.0 - 1e-12 and np.abs(exponents).max() <= 4.0 + 1e-12
    assert abs(np.sign(exponents).sum()) < 4 * np.sqrt(4000)  # the sum of 4000 fair signs
