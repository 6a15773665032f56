"""The tasks of rand_param_envs, on which ProMP, PEARL and VariBAD reported: mass, inertia, damping and friction.

Every number of these fields has a factor base ** u, with u uniform up to a largest exponent in both directions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.contract.config import option
from envs.contract.tasks import LogUniform, TaskDistribution
from envs.engine.dynamics import Scale

RANDOM_PARAMETERS = {
    "mass": ("body_mass", 1.5),
    "inertia": ("body_inertia", 1.5),
    "damping": ("dof_damping", 1.3),
    "friction": ("geom_friction", 1.5),
}


@dataclass(frozen=True)
class LogUniformBeyond(LogUniform):
    """`base ** ±u` with u uniform in `[low, high]` and a fair sign: what lies around the range `[-low, low]`."""

    def __str__(self) -> str:
        return super().__str__().replace("^", "^±")

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        sign = rng.choice((-1.0, 1.0), self.shape)
        return np.asarray(self.base ** (sign * rng.uniform(self.low, self.high, self.shape)))


@dataclass(frozen=True)
class RandomParametersConfig:
    """The options of every family with random parameters."""

    largest_exponent: float | None = option(least=0)
    """Bound of the exponents u of the factors 1.5 ** u and 1.3 ** u."""
    set_const: bool | None = option()
    """Whether MuJoCo's derived constants follow the factors; the published environments left them."""


def random_parameters(options: Any) -> dict[str, Any]:
    """Random parameters as tasks, for a definition; outside of training, exponents are up to a third larger.

    Args:
        options: a resolved RandomParametersConfig.
    """
    bound, bases = options.largest_exponent, RANDOM_PARAMETERS.items()
    outside = {name: LogUniformBeyond(base, bound, bound * 4 / 3) for name, (_, base) in bases}
    return {
        "dynamics": {name: Scale(field, LogUniform(base, -bound, bound), each=True) for name, (field, base) in bases},
        "outside_distribution": TaskDistribution(outside),
        "recompute_constants": options.set_const,
    }
