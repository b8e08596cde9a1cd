"""Which executor this process is: a name that stays after a restart and that no other live process has.

A name is a slot of the data folder, held by a file lock for as long as the process lives; the kernel lets go of the
lock however the process ends. The folder's own token keeps equal host names (containers) apart.
"""

from __future__ import annotations

import os
import re
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError

SLOTS = 256
_FOLDER_FILE = "folder"


class WorkerIdTakenError(TamsoatError):
    """Another live process has the executor id that this one was told to use."""

    status = 500
    title = "Worker name is taken"
    slug = "worker-id-taken"
    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Identity:
    """``executor_id`` is held until :meth:`release`; ``folder`` is the token of the data folder."""

    executor_id: str
    folder: str
    lock_fd: int

    def release(self) -> None:
        """Let another process have the name."""
        os.close(self.lock_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def claim(data_folder: Path, worker_id: str) -> Identity:
    """Take ``worker_id``, or where it is empty the first free name of this host and folder.

    Raises:
        WorkerIdTakenError: a live process on this folder has the name, or every one is in use.
    """
    folder = data_folder / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    token = _folder_token(folder)
    if worker_id:
        fd = _lock(folder / f"{worker_id}.lock")
        if fd is None:
            raise WorkerIdTakenError(f"a running worker on {data_folder} is called {worker_id} already: choose another")
        return Identity(worker_id, token, fd)
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:60]
    for slot in range(1, SLOTS + 1):
        fd = _lock(folder / f"slot-{slot}.lock")
        if fd is not None:
            return Identity(f"{host}_{token[:8]}_{slot}", token, fd)
    raise WorkerIdTakenError(f"{SLOTS} workers run on {data_folder} already")


def _folder_token(folder: Path) -> str:
    path = folder / _FOLDER_FILE
    fresh = folder / f".{_FOLDER_FILE}-{uuid.uuid4()}"
    if not path.exists():
        fresh.write_text(str(uuid.uuid4()), encoding="ascii")
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was first: its token counts
        finally:
            fresh.unlink()
    return path.read_text(encoding="ascii").strip()


def _lock(path: Path) -> int | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd
