"""Meta-World's models, from the user's own installation of the package, which is found but never imported.

Its meshes and textures are not ours to ship, and what it asks for of other packages' versions keeps it from living
beside ours; without its dependencies it is a folder of files, and these are all that is needed of it.
"""

import importlib.util
from functools import cache
from pathlib import Path

import mujoco

from envs.contract.errors import InputError
from envs.engine.elements import SPECS
from envs.engine.models import load_model

PACKAGE, RELEASE = "metaworld", "3.1.1"
INSTALL = f"pip install --no-deps {PACKAGE}=={RELEASE}"
# The weld that drags the hand along: no offset, a relative orientation that MuJoCo is to compute, a torque scale of 5.
WELD = (0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5)


def assets() -> Path:
    """The folder of the package's models.

    Raises: InputError where the package is not installed.
    """
    try:
        found = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):  # a module of this name that was made by hand
        found = None
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / "assets" / "sawyer_xyz").is_dir():
            return Path(folder) / "assets"
    raise InputError(f"Meta-World's models are not installed — run: {INSTALL}")


@cache
def model_of(file: str, touch: bool = False) -> mujoco.MjModel:
    """A model of the package without its textures.

    Args:
        file: its name in the folder `sawyer_xyz`.
        touch: with sensors of the force (N) between each finger and the object, `left_touch` and `right_touch`.

    Raises: InputError where the package is not installed.
    """

    def edit(spec: mujoco.MjSpec) -> None:
        for material in spec.materials:
            material.textures = [""] * len(material.textures)
        for texture in list(spec.textures):
            spec.delete(texture)
        for side in ("left", "right") if touch else ():
            geoms = mujoco.mjtObj.mjOBJ_GEOM
            pair = {"objtype": geoms, "objname": f"{side}pad_geom", "reftype": geoms, "refname": "objGeom"}
            spec.add_sensor(name=f"{side}_touch", type=mujoco.mjtSensor.mjSENS_CONTACT, intprm=FORCE, **pair)

    model = load_model(assets() / "sawyer_xyz" / file, edit=edit)
    SPECS.pop(model, None)  # its meshes take twice the model's memory, and nobody names these models' default classes
    welds = model.eq_type == mujoco.mjtEq.mjEQ_WELD
    model.eq_data[welds] = 0.0  # newer MuJoCo's rows are longer than what is written here
    model.eq_data[welds, : len(WELD)] = WELD
    return model


FORCE = [1 << mujoco.mjtConDataField.mjCONDATA_FORCE.value, 2, 1]  # of a contact, the strongest one
