"""What a decoder may be made to do by a hostile file; each runs inside the decoding process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def eat_memory() -> int:
    """Allocate until something gives way."""
    blocks = []
    while True:
        blocks.append(bytearray(16 * 2**20))


def hang() -> None:
    """Sleep for longer than any test."""
    time.sleep(3600)


def spin() -> None:
    """Use the processor without end."""
    while True:
        pass


def kill_self(kind: int = signal.SIGKILL) -> None:
    """Die the way that the system's killer does it."""
    os.kill(os.getpid(), kind)


def segfault() -> None:
    """Die the way that a memory fault does it."""
    os.kill(os.getpid(), signal.SIGSEGV)


def write_file(path: str) -> None:
    """Leave something on disk."""
    Path(path).write_bytes(b"x" * 4096)


def environment() -> list[str]:
    """The names of the variables that it sees."""
    return sorted(os.environ)


def process_id() -> int:
    """Which process this is."""
    return os.getpid()
