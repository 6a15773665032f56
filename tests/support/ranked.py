"""Ranks as torchrun starts them, but forked from a process that has imported torch already, each in its own folder."""

import os
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from support.processes import CONTEXT


def environment_of_rank(rank: int, world_size: int, port: int) -> dict[str, str]:
    """What torchrun tells a process on one machine."""
    return {
        "TORCHELASTIC_RUN_ID": "test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        **{name: str(rank) for name in ("RANK", "LOCAL_RANK")},
        **{name: str(world_size) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")},
    }


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Ranks:
    """A running `metarl` command of several processes; rank k works in `folder/rank-k`, next to its `log-k`."""

    def __init__(self, world_size: int, arguments: list[str], folder: Path) -> None:
        self.folder, port = folder, free_port()
        self.processes: list[BaseProcess] = []
        for rank in range(world_size):
            (folder / f"rank-{rank}").mkdir(parents=True, exist_ok=True)
            job = (environment_of_rank(rank, world_size, port), arguments, str(folder), rank)
            self.processes.append(CONTEXT.Process(target=_work, args=job, daemon=True))
            self.processes[-1].start()

    def log(self) -> str:
        """What all ranks said."""
        return "".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("log-*")))

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Until something is true, while all ranks run."""
        deadline = time.monotonic() + 60
        while not ready():
            assert all(process.is_alive() for process in self.processes), self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def end(self, timeout: float = 60) -> list[int | None]:
        """The exit codes; None of a rank that had to be ended after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        codes = []
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            codes.append(process.exitcode)
            if process.exitcode is None:
                process.kill()
        return codes


def _work(environment: dict[str, str], arguments: list[str], folder: str, rank: int) -> None:
    os.environ.update(environment)
    file = os.open(f"{folder}/log-{rank}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(f"{folder}/rank-{rank}")
    from metarl.cli import main

    sys.exit(main(arguments))
