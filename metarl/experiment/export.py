"""A policy for programs without metarl: weights, what they mean, and a program that torch alone runs.

    program = torch.export.load("policy/policy.pt2").module()
    action = program(observation)  # float32 [B, O] -> float32 [B, A] or int64 [B]

* `policy.pt2`: the likeliest action within the action space, observations normalised as in training.
* `weights.safetensors`: every tensor that the program uses, by name; those of one task have a leading axis of 1.
* `policy.json`: spaces, algorithm, what it was adapted by, versions, and a SHA-256 of the other two files.

Letters: B observations at once, O observation, A action.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from gymnasium.spaces import Box, Discrete
from torch import nn
from torch.utils import _pytree as pytree

from envs.gymnasium_lanes import LaneSpaces
from metarl.core.errors import InputError, StorageError
from metarl.experiment.config import versions
from metarl.experiment.deploy import AdaptedPolicy, load
from metarl.experiment.evaluate import check_evaluation

TOLERANCE = 1e-6  # between an action of the program and the policy's


def export_policy(adapted: AdaptedPolicy, folder: Path) -> None:
    """Write the three files into a new folder, all or none, after the program was run and found equal to the policy.

    Raises:
        InputError: the folder holds something, or cannot be; or a policy that changes its memory with each step.
        StorageError: the file system refused.
    """
    check_folder(folder)
    _require_constant_memory(adapted)
    program = Program(adapted)
    with _aside(folder) as partial:
        exported = _exported(program, adapted)
        torch.export.save(exported, partial / "policy.pt2")
        _require_equal(partial / "policy.pt2", adapted)
        (partial / "weights.safetensors").write_bytes(safetensors.torch.save(_used(exported, program)))
        facts = description(adapted)
        facts["sha256"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in partial.iterdir()}
        (partial / "policy.json").write_text(json.dumps(facts, indent=1) + "\n")


def export_run(run: str | Path, folder: Path, rounds: int = 0, task: int = 0, seed: int = 0) -> None:
    """Export a run's policy: as it was trained, or after `rounds` rounds in a test task of the run's environment.

    Raises:
        InputError: no such run, impossible numbers, or whatever `export_policy` refuses.
        StorageError: the file system refused, or all checkpoints are damaged.
    """
    check_evaluation(task + 1, rounds, seed)
    check_folder(folder)
    export_policy(load(run).practise(task, rounds, seed)[-1], folder)


def check_folder(folder: Path) -> None:
    """Raises: InputError where no new folder can be."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already — choose another --out")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder.parent} is no folder — make it first, or choose another --out")


class Program(nn.Module):
    """The deterministic policy as a module: its agent's `act`, its memory in buffers."""

    mean: torch.Tensor  # [O], of observations, where they are normalised
    std: torch.Tensor  # [O]
    low: torch.Tensor  # [A], of a box of actions
    high: torch.Tensor  # [A]

    def __init__(self, adapted: AdaptedPolicy) -> None:
        super().__init__()
        self.adapted, self.agent = adapted, adapted.policy.setup.algorithm
        leaves, self.structure = pytree.tree_flatten_with_path(adapted.start)
        self.constants = [None if isinstance(leaf, torch.Tensor) else leaf for _, leaf in leaves]
        self.names = {f"tensor_{index}": _name(path) for index, (path, _) in enumerate(leaves)}
        for index, (_, leaf) in enumerate(leaves):
            if isinstance(leaf, torch.Tensor):
                self.register_buffer(f"tensor_{index}", leaf.detach().clone().contiguous())
        if adapted.normalise.active:
            self.names |= {"mean": "normalisation/mean", "std": "normalisation/std"}
            self.register_buffer("mean", adapted.normalise.mean)
            self.register_buffer("std", adapted.normalise.std)
        self.space = adapted.spaces.action
        if isinstance(self.space, Box):
            self.register_buffer("low", torch.from_numpy(self.space.low).float())
            self.register_buffer("high", torch.from_numpy(self.space.high).float())
            self.names |= {"low": "action/low", "high": "action/high"}

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """`[B, O]` -> `[B, A]` or `[B]`."""
        leaves = [getattr(self, f"tensor_{i}", constant) for i, constant in enumerate(self.constants)]
        memory = pytree.tree_unflatten(leaves, self.structure)
        seen = observation.unsqueeze(0)
        if self.adapted.normalise.active:
            seen = (seen - self.mean) / self.std
        if isinstance(self.space, Discrete):
            action, _ = self.agent.act({}, memory, seen, seen.new_ones(seen.shape[:2]))
            return action.action.squeeze(0) + int(self.space.start)
        noise = seen.new_zeros((*seen.shape[:2], self.low.shape[0]))
        action, _ = self.agent.act({}, memory, seen, noise)
        return torch.clamp(action.action.squeeze(0), self.low, self.high)


def description(adapted: AdaptedPolicy) -> dict[str, Any]:
    """What `policy.json` says, but for the digests."""
    policy, space = adapted.policy, adapted.spaces.action
    config = policy.setup.config
    action: dict[str, Any] = {"type": "discrete", "first": 0, "count": 0}
    if isinstance(space, Discrete):
        action = {"type": "discrete", "first": int(space.start), "count": int(space.n)}
    elif isinstance(space, Box):
        bounds = {"low": space.low.tolist(), "high": space.high.tolist()}
        action = {"type": "box", "size": len(space.low), **bounds}
    return {
        "environment": config.environment,
        "algorithm": config.algorithm,
        "iteration": policy.iteration,
        "adapted_in_rounds": len(adapted.returns),
        "returns": adapted.returns.tolist(),
        "observation": {"size": adapted.spaces.observation_size, "normalised_by_the_program": adapted.normalise.active},
        "action": action,
        "program": "torch.export.load('policy.pt2').module()(observation)",
        "input": "float32 [B, O]" if adapted.takes_batches else "float32 [1, O]",
        "versions": versions(),
    }


def _exported(program: Program, adapted: AdaptedPolicy) -> torch.export.ExportedProgram:
    example = torch.zeros(2 if adapted.takes_batches else 1, adapted.spaces.observation_size)
    shapes = {"observation": {0: torch.export.Dim("B", min=1)} if adapted.takes_batches else None}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own insides
        return torch.export.export(program, (example,), dynamic_shapes=shapes)


def _seeing_vectors(adapted: AdaptedPolicy) -> AdaptedPolicy:
    """The same policy, to which observations come flat."""
    flat = Box(-np.inf, np.inf, (adapted.spaces.observation_size,), np.float64)
    return AdaptedPolicy(adapted.policy, adapted.start, adapted.returns, LaneSpaces(flat, adapted.spaces.action))


def _require_constant_memory(adapted: AdaptedPolicy) -> None:
    """Raises: InputError where acting or observing changes what the next action depends on."""
    probe, observation = _seeing_vectors(adapted), np.zeros(adapted.spaces.observation_size)
    probe(observation)
    probe.observe(0.0, observation)
    if probe.memory is not adapted.start:
        name = adapted.policy.setup.config.algorithm
        raise InputError(f"{name} changes its memory with every step, which no program holds — use metarl.load(RUN)")


def _require_equal(path: Path, adapted: AdaptedPolicy) -> None:
    """Run the program as it was written, beside the policy."""
    program, policy = torch.export.load(path).module(), _seeing_vectors(adapted)
    rng = np.random.default_rng(0)
    for count in (1, 2, 64):
        rows = rng.standard_normal((count, adapted.spaces.observation_size), np.float32)
        batches = [rows] if adapted.takes_batches else [row[None] for row in rows]
        theirs = np.concatenate([program(torch.from_numpy(batch)).numpy() for batch in batches])
        ours = policy(rows) if adapted.takes_batches else np.stack([policy(row) for row in rows])
        error = np.abs(theirs - ours).max()
        if not error <= TOLERANCE:
            raise RuntimeError(f"the exported program's actions differ from the policy's by {error}")


def _used(exported: torch.export.ExportedProgram, program: Program) -> dict[str, torch.Tensor]:
    """The tensors that the program's nodes read, by name."""
    buffers = exported.graph_signature.inputs_to_buffers
    read = [buffers[node.name] for node in exported.graph.nodes if node.name in buffers and node.users]
    return {program.names[name]: exported.state_dict[name].contiguous() for name in read}


def _name(path: tuple[Any, ...]) -> str:
    """`params/body.layers.0.weight`, for a leaf of a memory."""
    parts = [next(getattr(key, kind) for kind in ("name", "key", "idx") if hasattr(key, kind)) for key in path]
    return "/".join(map(str, parts))


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its place if all goes well, and is gone otherwise."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.absolute().parent) as aside:
            partial = Path(aside) / folder.name
            partial.mkdir()
            yield partial
            for path in partial.iterdir():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
            os.replace(partial, folder)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"{folder} cannot be written ({reason}) — free space or fix permissions") from error
