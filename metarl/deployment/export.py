"""A policy for programs without metarl: weights, what they mean, and a program that torch alone runs.

    program = torch.export.load("policy/policy.pt2").module()
    action = program(observation)  # float32 [B, O] -> float32 [B, A] or int64 [B]

A policy that remembers single steps is given its memory, and gives it back; `policy.json` says how an episode starts:

    action, memory = program(observation, reward, memory)  # [1, O], [1] (of the last action), [M] -> [1, A] or [1], [M]

* `policy.pt2`: the likeliest action within the action space, observations normalised as in training.
* `weights.safetensors`: every tensor that the program uses, by name; those of one task have a leading axis of 1.
* `policy.json`: spaces, algorithm, what it was adapted by, versions, and a SHA-256 of the other two files.

Letters: B observations at once, O observation, A action, M numbers of a memory.
"""

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from gymnasium.spaces import Box, Discrete
from torch import nn
from torch.utils import _pytree as pytree

from envs.adapters.gymnasium_lanes import LaneSpaces
from metarl.deployment.adapt import AdaptedPolicy, load
from metarl.deployment.program import Program, RememberingProgram
from metarl.runs.config import versions
from metarl.runtime.errors import InputError
from metarl.runtime.files import as_json, folder_written_aside
from metarl.runtime.options import check_evaluation

TOLERANCE = 1e-6  # between an action of the program and the policy's


def export_policy(adapted: AdaptedPolicy, folder: str | Path) -> None:
    """Write the three files into a new folder, all or none, after the program was run and found equal to the policy.

    Raises:
        InputError: the folder holds something, or cannot be; or a method whose steps torch cannot trace.
        StorageError: the file system refused.
    """
    folder = Path(folder)
    check_folder(folder)
    changing = _changing(adapted)
    program = RememberingProgram(adapted, changing) if changing else Program(adapted)
    with folder_written_aside(folder) as partial:
        exported = _exported(program, adapted)
        content = io.BytesIO()  # torch's own file writer ends the process where a disk is full
        torch.export.save(exported, content)
        (partial / "policy.pt2").write_bytes(content.getbuffer())
        read = torch.export.load(partial / "policy.pt2").module()
        if isinstance(program, RememberingProgram):
            _require_equal_steps(read, program)
        else:
            _require_equal(read, adapted)
        (partial / "weights.safetensors").write_bytes(safetensors.torch.save(_used(exported, program)))
        facts = description(adapted, program)
        facts["sha256"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in partial.iterdir()}
        (partial / "policy.json").write_text(as_json(facts, indent=1) + "\n")


def export_run(
    run: str | Path, folder: Path, rounds: int = 0, task: int = 0, seed: int = 0, *, trust: bool = False
) -> None:
    """Export a run's policy: as it was trained, or after `rounds` rounds in a test task of the run's environment.

    Raises:
        InputError: no such run, one that names code without `trust`, impossible numbers, or whatever `export_policy`
            refuses.
        StorageError: the file system refused, or all checkpoints are damaged or gone.
    """
    check_evaluation(task + 1, rounds, seed)
    check_folder(folder)
    export_policy(load(run, trust=trust).practise(task, rounds, seed)[-1], folder)


def check_folder(folder: Path) -> None:
    """Raises: InputError where no new folder can be."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already — choose another --out")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder.parent} is no folder — make it first, or choose another --out")


def description(adapted: AdaptedPolicy, program: Program) -> dict[str, Any]:
    """What `policy.json` says, but for the digests."""
    policy, space = adapted.policy, adapted.spaces.action
    config = policy.setup.config
    action: dict[str, Any] = {"type": "discrete", "first": 0, "count": 0}
    if isinstance(space, Discrete):
        action = {"type": "discrete", "first": int(space.start), "count": int(space.n)}
    elif isinstance(space, Box):
        bounds = {"low": space.low.tolist(), "high": space.high.tolist()}
        action = {"type": "box", "size": len(space.low), **bounds}
    how: dict[str, Any] = {
        "program": "torch.export.load('policy.pt2').module()(observation)",
        "input": "float32 [B, O]" if adapted.takes_batches else "float32 [1, O]",
    }
    if isinstance(program, RememberingProgram):
        start = program.start().tolist()
        how = {
            "program": "action, memory = torch.export.load('policy.pt2').module()(observation, reward, memory)",
            "input": "float32 [1, O]; float32 [1], what the last action was paid, at first 0; float32 [M]",
            "memory": {"size": len(start), "at_the_start_of_an_episode": start},
        }
    return {
        "environment": config.environment,
        "algorithm": config.algorithm,
        "iteration": policy.iteration,
        "adapted_in_rounds": len(adapted.returns),
        "returns": adapted.returns.tolist(),
        "observation": {"size": adapted.spaces.observation_size, "normalised_by_the_program": adapted.normalise.active},
        "action": action,
        **how,
        "versions": versions(),
    }


def _exported(program: Program, adapted: AdaptedPolicy) -> torch.export.ExportedProgram:
    example: tuple[torch.Tensor, ...]
    example = (torch.zeros(2 if adapted.takes_batches else 1, adapted.spaces.observation_size),)
    shapes: Any = {"observation": {0: torch.export.Dim("B", min=1)} if adapted.takes_batches else None}
    if isinstance(program, RememberingProgram):
        example, shapes = (example[0][:1], torch.zeros(1), program.start()), None
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own insides
        return torch.export.export(program, example, dynamic_shapes=shapes)


def _seeing_vectors(adapted: AdaptedPolicy) -> AdaptedPolicy:
    """The same policy, to which observations come flat."""
    flat = Box(-np.inf, np.inf, (adapted.spaces.observation_size,), np.float64)
    return AdaptedPolicy(adapted.policy, adapted.start, adapted.returns, LaneSpaces(flat, adapted.spaces.action))


def _changing(adapted: AdaptedPolicy) -> list[int]:
    """Which leaves of what is acted with and of the memory are others after a step.

    Raises:
        InputError: one that is no tensor, or that has another shape then.
    """
    probe, observation = _seeing_vectors(adapted), np.zeros(adapted.spaces.observation_size)
    probe(observation)
    probe.observe(0.0, observation)
    acting = adapted.policy.acting
    before, after = (pytree.tree_leaves((acting, memory)) for memory in (adapted.start, probe.memory))
    changing = [index for index, (a, b) in enumerate(zip(before, after, strict=False)) if a is not b]
    shapes = [[getattr(leaves[index], "shape", None) for index in changing] for leaves in (before, after)]
    if len(before) != len(after) or shapes[0] != shapes[1] or None in shapes[0]:
        name = adapted.policy.setup.config.algorithm
        raise InputError(f"what {name} remembers grows with each step, which no program holds — use metarl.load(RUN)")
    return changing


def _require_equal_steps(program: nn.Module, remembering: RememberingProgram) -> None:
    """Run the program as it was written, beside the policy, for an episode of random numbers."""
    policy, rng = _seeing_vectors(remembering.adapted), np.random.default_rng(0)
    memory, reward = remembering.start(), 0.0
    for step in range(30):
        observation = rng.standard_normal(remembering.adapted.spaces.observation_size, np.float32)
        if step:
            policy.observe(reward, observation)
        theirs, memory = program(torch.from_numpy(observation)[None], torch.tensor([reward]), memory)
        _require_close(theirs.numpy(), np.array([policy(observation)]))
        reward = float(np.float32(rng.standard_normal()))


def _require_equal(program: nn.Module, adapted: AdaptedPolicy) -> None:
    """Run the program as it was written, beside the policy."""
    policy = _seeing_vectors(adapted)
    rng = np.random.default_rng(0)
    for count in (1, 2, 64):
        rows = rng.standard_normal((count, adapted.spaces.observation_size), np.float32)
        batches = [rows] if adapted.takes_batches else [row[None] for row in rows]
        theirs = np.concatenate([program(torch.from_numpy(batch)).numpy() for batch in batches])
        ours = policy(rows) if adapted.takes_batches else np.stack([policy(row) for row in rows])
        _require_close(theirs, ours)


def _require_close(theirs: np.ndarray, ours: np.ndarray) -> None:
    error = np.abs(theirs - ours).max()
    if not error <= TOLERANCE:
        raise RuntimeError(f"the exported program's actions differ from the policy's by {error}")


def _used(exported: torch.export.ExportedProgram, program: Program) -> dict[str, torch.Tensor]:
    """The tensors that the program's nodes read, by name."""
    buffers = exported.graph_signature.inputs_to_buffers
    read = [buffers[node.name] for node in exported.graph.nodes if node.name in buffers and node.users]
    return {program.names[name]: exported.state_dict[name].contiguous() for name in read}
