"""A cell of a grid is one launcher's at a time, however many want it, and does not stay a dead one's."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from envs.contract.errors import InputError
from metarl.comparison.leases import Lease

TAKE_AND_WAIT = """
import sys, time
from pathlib import Path
from metarl.comparison.leases import Lease

lease = Lease(Path(sys.argv[1]))
print(lease.take(), flush=True)
time.sleep(100)
"""


def test_a_cell_is_one_launchers_until_it_is_released(tmp_path: Path) -> None:
    cell = tmp_path / "env" / "algo" / "seed-0"
    mine, other = Lease(cell), Lease(cell)
    assert mine.take() and not other.take() and not mine.is_lost
    assert Lease(cell.with_name("seed-1")).take()
    mine.release()
    assert other.take() and not mine.take()


def test_of_many_that_reach_for_a_cell_at_once_one_gets_it(tmp_path: Path) -> None:
    for attempt in range(10):
        won, barrier = [], threading.Barrier(8)

        def reach(cell: Path = tmp_path / f"seed-{attempt}", won: list[bool] = won, b: threading.Barrier = barrier):  # type: ignore[no-untyped-def]
            lease = Lease(cell)
            b.wait()
            won.append(lease.take())
            b.wait()  # until all have asked, nobody leaves

        threads = [threading.Thread(target=reach) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(won) == 1


def test_a_dead_launchers_cell_is_free_at_once_on_its_own_host(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE_AND_WAIT, str(tmp_path / "seed-0")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout and owner.stdout.readline() == "True\n"
        lease = Lease(tmp_path / "seed-0")
        assert not lease.take()
        owner.kill()
        owner.wait()
        assert lease.take()


def test_a_launcher_elsewhere_loses_its_cell_when_its_heart_stops_and_is_told(tmp_path: Path) -> None:
    cell, path = tmp_path / "seed-0", tmp_path / ".seed-0.lease"
    mine, other = Lease(cell, silence=0.3), Lease(cell, silence=0.3)
    assert mine.take()
    time.sleep(0.5)
    assert not other.take()  # a heart that beats is heard
    signed = path.read_text()
    mine.release()
    # On another host its process means nothing to us, its heart does.
    (host,) = [line for line in signed.splitlines() if line.startswith("host=")]
    path.write_text(signed.replace(host, f"{host}-elsewhere"))
    assert not other.take()
    time.sleep(0.4)
    assert other.take()
    path.unlink()  # as who takes over does
    deadline = time.monotonic() + 5
    while not other.is_lost and time.monotonic() < deadline:
        time.sleep(0.02)
    assert other.is_lost


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("")
    with pytest.raises(InputError, match="choose another --out"):
        Lease(tmp_path / "env" / "algo" / "seed-0").take()
