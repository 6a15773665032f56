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
from torch.utils import _pytree as pytree

from envs.adapters.gymnasium_lanes import LaneSpaces
from metarl.deployment.adapt import AdaptedPolicy, load
from metarl.deployment.meeting import check_meeting
from metarl.deployment.program import Program
from metarl.runs.config import versions
from metarl.runtime.errors import InputError
from metarl.runtime.files import as_json, folder_written_aside

TOLERANCE = 1e-6  # between an action of the program and the policy's


def export_policy(adapted: AdaptedPolicy, folder: str | Path) -> None:
    """Write the three files into a new folder, all or none, after the program was run and found equal to the policy.

    Raises:
        InputError: the folder holds something, or cannot be; or a method whose steps torch cannot trace.
        StorageError: the file system refused.
    """
    folder = Path(folder)
    check_folder(folder)
    program = Program(adapted, moving_leaves(adapted))
    start = program.start() if program.moving else None
    with folder_written_aside(folder) as partial:
        exported = _exported(program, adapted, start)
        content = io.BytesIO()  # torch's own file writer ends the process where a disk is full
        torch.export.save(exported, content)
        (partial / "policy.pt2").write_bytes(content.getbuffer())
        _require_equal(torch.export.load(partial / "policy.pt2").module(), adapted, start)
        (partial / "weights.safetensors").write_bytes(safetensors.torch.save(_used(exported, program)))
        facts = description(adapted, start)
        facts["sha256"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in partial.iterdir()}
        (partial / "policy.json").write_text(as_json(facts, indent=1) + "\n")


def export_run(
    run: str | Path,
    out: Path,
    adaptations: int = 0,
    task: int = 0,
    seed: int = 0,
    *,
    checkpoint: str | int = "last",
    trust: bool = False,
) -> None:
    """Export a run's policy: as it was trained, or after adaptations to a test task of the run's environment.

    Raises:
        InputError: no such run, one that names code without `trust`, impossible numbers, or whatever `export_policy`
            refuses.
        StorageError: the file system refused, or all checkpoints are damaged or gone.
    """
    check_meeting(task + 1, adaptations, seed)
    check_folder(out)
    export_policy(load(run, checkpoint=checkpoint, trust=trust).practise(task, adaptations, seed)[-1], out)


def check_folder(folder: Path) -> None:
    """Raises: InputError where no new folder can be."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already — choose another --out")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder.parent} is no folder — make it first, or choose another --out")


def description(adapted: AdaptedPolicy, start: torch.Tensor | None) -> dict[str, Any]:
    """What `policy.json` says, but for the digests; `start` is the memory that a program is given at first."""
    policy, space = adapted.policy, adapted.spaces.action
    action: dict[str, Any] = {}
    if isinstance(space, Discrete):
        action = {"type": "discrete", "first": int(space.start), "count": int(space.n)}
    elif isinstance(space, Box):
        action = {"type": "box", "size": len(space.low), "low": space.low.tolist(), "high": space.high.tolist()}
    how: dict[str, Any] = {
        "program": "torch.export.load('policy.pt2').module()(observation)",
        "input": "float32 [B, O]" if adapted.takes_batches else "float32 [1, O]",
    }
    if start is not None:
        how = {
            "program": "action, memory = torch.export.load('policy.pt2').module()(observation, reward, memory)",
            "input": "float32 [1, O]; float32 [1], what the last action was paid, at first 0; float32 [M]",
            "memory": {"size": len(start), "at_the_start_of_an_episode": start.tolist()},
        }
    return {
        "environment": policy.setup.config.environment,
        "algorithm": policy.setup.config.algorithm,
        "iteration": policy.iteration,
        "adapted_in_rounds": len(adapted.returns),
        "returns": adapted.returns.tolist(),
        "observation": {"size": adapted.spaces.observation_size, "normalised_by_the_program": adapted.normalise.active},
        "action": action,
        **how,
        "versions": versions(),
    }


def _exported(program: Program, adapted: AdaptedPolicy, start: torch.Tensor | None) -> torch.export.ExportedProgram:
    batch = adapted.takes_batches and start is None
    rows = torch.zeros(1 + batch, adapted.spaces.observation_size)
    example = (rows,) if start is None else (rows, torch.zeros(1), start)
    shapes: Any = {"observation": {0: torch.export.Dim("B", min=1)}} if batch else None
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its own insides
        return torch.export.export(program, example, dynamic_shapes=shapes)


def _seeing_vectors(adapted: AdaptedPolicy) -> AdaptedPolicy:
    """The same policy, to which observations come flat."""
    flat = Box(-np.inf, np.inf, (adapted.spaces.observation_size,), np.float64)
    return AdaptedPolicy(adapted.policy, adapted.start, adapted.returns, LaneSpaces(flat, adapted.spaces.action))


def moving_leaves(adapted: AdaptedPolicy) -> list[int]:
    """Which leaves of the memory are others after a step.

    Raises:
        InputError: one has another shape then, or is no tensor.
    """
    probe, observation = _seeing_vectors(adapted), np.zeros(adapted.spaces.observation_size)
    probe(observation)
    probe.observe(0.0, observation)
    before, after = (pytree.tree_leaves(memory) for memory in (adapted.start, probe.memory))
    if [getattr(leaf, "shape", leaf) for leaf in before] != [getattr(leaf, "shape", leaf) for leaf in after]:
        name = adapted.policy.setup.config.algorithm
        raise InputError(f"what {name} remembers grows with each step, which no program holds — use metarl.load(RUN)")
    return [index for index, (a, b) in enumerate(zip(before, after, strict=True)) if a is not b]


def _require_equal(program: Any, adapted: AdaptedPolicy, memory: torch.Tensor | None) -> None:
    """Run the program as it was written beside the policy: on batches, or with a memory for an episode."""
    policy, rng = _seeing_vectors(adapted), np.random.default_rng(0)
    counts, reward = (1, 2, 64) if adapted.takes_batches and memory is None else (1,) * 30, None
    for count in counts:
        rows = rng.standard_normal((count, adapted.spaces.observation_size), np.float32)
        if memory is None:
            theirs = program(torch.from_numpy(rows))
        else:
            if reward is not None:
                policy.observe(reward, rows[0])
            theirs, memory = program(torch.from_numpy(rows), torch.tensor([reward or 0.0]), memory)
            reward = float(np.float32(rng.standard_normal()))
        ours = policy(rows) if adapted.takes_batches else policy(rows[0])[None]
        error = np.abs(theirs.numpy() - ours).max()
        if not error <= TOLERANCE:
            raise RuntimeError(f"the exported program's actions differ from the policy's by {error}")


def _used(exported: torch.export.ExportedProgram, program: Program) -> dict[str, torch.Tensor]:
    """The tensors that the program's nodes read, by name."""
    buffers = exported.graph_signature.inputs_to_buffers
    read = [buffers[node.name] for node in exported.graph.nodes if node.name in buffers and node.users]
    return {program.names[name]: exported.state_dict[name].contiguous() for name in read}
