"""First-order MAML: Finn, Abbeel & Levine 2017, section 5.2.

* Inner loop: MAML's.
* Meta-update: MAML's, as if the inner gradient did not depend on the meta-parameters; no second derivative is computed.
"""

from metarl.algorithms.configs import FOMAMLConfig
from metarl.algorithms.maml import MAMLTRPO


class FOMAML(MAMLTRPO):
    """MAML with `first_order` on."""

    Config = FOMAMLConfig
