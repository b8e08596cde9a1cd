"""Folders made of slides on this machine (unpacked, or fetched from afar), bounded in size; the oldest go first.

Several processes may share it. An entry appears by one rename, when it is whole; while it is read it is marked, and
marked entries are not removed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

_MARK_AGE_S = 24 * 3600.0
_MARKS = ".used"
_making = threading.Lock()

log = structlog.get_logger("tamsoat.slides")


class LocalCache:
    """Entries by digest in ``folder``, together at most about ``most_bytes`` (one entry may be larger by itself)."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes

    @contextmanager
    def entry(self, name: str, make: Callable[[Path], None]) -> Iterator[Path]:
        """The folder of ``name``, made by ``make(empty folder)`` where it is missing; read it inside the block.

        Raises:
            Exception: what ``make`` raises; nothing is kept then.
        """
        marks = self.folder / _MARKS
        marks.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark = marks / f"{name}.{os.getpid()}-{secrets.token_hex(4)}"
        mark.touch()
        try:
            path = self.folder / name
            if not path.is_dir():
                self._make(path, make)
            with contextlib.suppress(OSError):
                os.utime(path)
            yield path
        finally:
            mark.unlink(missing_ok=True)

    def forget(self, name: str) -> None:
        """Remove an entry, used or not: its slide was deleted."""
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def _make(self, path: Path, make: Callable[[Path], None]) -> None:
        with _making:
            if path.is_dir():
                return
            partial = self.folder / f".{path.name[:16]}-{secrets.token_hex(8)}"
            partial.mkdir(mode=0o700)
            try:
                make(partial)
                with contextlib.suppress(FileExistsError, OSError):  # another process was faster
                    partial.rename(path)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            self._shrink()

    def _shrink(self) -> None:
        used = self._marked()
        entries = [item for item in self.folder.iterdir() if item.is_dir() and item.name != _MARKS]
        sizes = {item: _size(item) for item in entries}
        total = sum(sizes.values())
        for item in sorted(entries, key=_age):
            half_made = item.name.startswith(".")
            if half_made and time.time() - _age(item) < _MARK_AGE_S:
                continue
            if half_made or (total > self.most_bytes and item.name not in used):
                shutil.rmtree(item, ignore_errors=True)
                total -= sizes[item]
                log.info("slide_cache_entry_removed", bytes=sizes[item])

    def _marked(self) -> set[str]:
        found = set()
        for mark in (self.folder / _MARKS).iterdir():
            if time.time() - _age(mark) > _MARK_AGE_S:
                mark.unlink(missing_ok=True)
            else:
                found.add(mark.name.partition(".")[0])
        return found


def _age(path: Path) -> float:
    """Moment of the last use, seconds since 1970."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if not path.is_symlink():
                total += path.stat().st_size
    return total
