"""What a vector environment does not let pass: impossible masks and actions, and numbers that are not finite."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete, Space

from envs.contract.errors import InputError, NonFiniteError, require_known


def reset_mask(options: Mapping[str, Any], num_envs: int) -> np.ndarray:
    """`options["reset_mask"]`, bool `[num_envs]`; by default all lanes."""
    require_known("unknown reset option", options, ["reset_mask"])
    mask = np.asarray(options.get("reset_mask", np.ones(num_envs, bool)))
    if mask.dtype != bool or mask.shape != (num_envs,):
        raise InputError(f"reset_mask is {mask.dtype} {mask.shape} — give an array of bool ({num_envs},)")
    return mask


def checked_actions(given: Any, space: Space[Any], shape: tuple[int, ...] | None, live: np.ndarray) -> np.ndarray:
    """Actions of a lane's `space`, of this shape: whole numbers, or float64; 0 where a lane not live has none."""
    actions = np.asarray(given)
    if actions.shape != shape:
        raise InputError(f"actions have shape {actions.shape} — give {shape}, one row per lane")
    if isinstance(space, Discrete):
        last = space.start + space.n - 1
        if actions.dtype.kind not in "iu" or ((actions < space.start) | (actions > last)).any():
            raise InputError(f"an action is none of {space} — give whole numbers from {space.start} to {last}")
        return actions
    if actions.dtype.kind not in "iuf":
        raise InputError(f"actions are {actions.dtype} — give floating-point numbers")
    actions = actions.astype(np.float64, copy=False)
    return actions if np.isfinite(actions).all() else np.where(live[:, None], actions, 0.0)


def require_finite(quantity: str, values: np.ndarray, steps: np.ndarray, lanes_per_task: int) -> None:
    """Refuse `values` `[num_envs, ...]` that are not finite, by the task, the lane and its step (`steps`)."""
    if np.isfinite(values).all():
        return
    lane, *entry = (int(index) for index in np.argwhere(~np.isfinite(values))[0])
    task, copy = divmod(lane, lanes_per_task)
    place = f"task {task}, lane {copy}, step {steps[lane]}"
    raise NonFiniteError(f"{quantity}{entry or ''} is {values[(lane, *entry)]} at {place} — find its origin")
