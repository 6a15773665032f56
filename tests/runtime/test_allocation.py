"""What the process keeps: a tensor's pages, when another of its size follows. In processes of their own."""

import subprocess
import sys

import pytest

PAGE_FAULTS_OF_TEN_TENSORS = """
import resource, sys
import torch
from metarl.runtime.allocation import keep_freed_memory

if sys.argv[1] == "keep" and not keep_freed_memory():
    print("cannot")
    sys.exit()
for _ in range(20):  # until the heap has found its size
    torch.ones(2**24)  # 64 MiB, freed at once
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> str:
    command = [sys.executable, "-c", PAGE_FAULTS_OF_TEN_TENSORS, how]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_tensors_find_freed_memory_again() -> None:
    kept = page_faults("keep")
    if kept == "cannot":
        pytest.skip("this C library has no such setting")
    # 64 MiB are 16,384 pages of 4 KiB, or 32 of 2 MiB; kept memory needs no new ones.
    assert int(kept) < 32
    assert int(page_faults("as it is")) >= 10 * 32
