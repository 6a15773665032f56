"""Recurrent cores by name; from anywhere as `module:attribute` or `path/to/file.py:attribute`."""

from typing import Any

from envs.contract.errors import nearest
from envs.registry import load_attribute
from metarl.core.recurrent import CORES
from metarl.runtime.errors import InputError


def make_core(name: str, inputs: int, embedding_size: int, memory_size: int, option: str = "memory") -> Any:
    """A core of X inputs and H outputs (`memory_size`), whose steps pass a layer if that has any units: `CORES`.

    `option` is what names it.

    Raises:
        InputError: an unknown name, nothing that can be loaded, or something that is no core.
    """
    if ":" not in name and name not in CORES:
        raise InputError(f"algo.{option} is '{name}', which no {option} is called" + nearest(name, CORES))
    made: Any = CORES[name] if name in CORES else load_attribute(name)
    try:
        core = made(inputs, embedding_size, memory_size)
        state_size = core.state_size
    except (TypeError, AttributeError) as error:
        raise InputError(f"'{name}' is no memory ({error}) — see metarl.core.recurrent.Core") from error
    if not isinstance(state_size, int):
        raise InputError(f"'{name}' is no memory (its state_size is {state_size!r}) — give a whole number")
    return core
