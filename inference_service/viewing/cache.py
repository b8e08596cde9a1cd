"""Tiles on disk: bounded, the least recently used go first, shared by the processes of one machine.

Nothing here is lost that could not be made again. A name begins with the digest of the content that the tile is of, so
that all tiles of content that was deleted can be found and removed.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
import zlib
from pathlib import Path

import structlog

from tamsoat.inference_service.settings import Settings

FOLDER = "tiles"
SHARDS = 64
BLOCK_BYTES = 4096
"""What a file takes on disk is rounded up to this."""
TOUCH_S = 60.0
"""A tile's time of use is written at most this often."""
STALE_S = 3600.0
"""Age of an unfinished file whose process must be gone."""
SLACK = 8
"""A folder is looked through after an eighth of its space was written, and left with seven eighths at most."""
_NAME = re.compile(r"[0-9a-f]{64}-[a-z0-9_-]{1,120}")

log = structlog.get_logger("tamsoat.tiles")


class TileCache:
    """Files in ``folder`` that together take at most ``limit_bytes`` (with n processes writing: (7 + n) / 8 of it).

    Thread-safe; several processes may use the same folder.
    """

    def __init__(self, folder: Path, limit_bytes: int, *, shards: int = SHARDS, touch_s: float = TOUCH_S) -> None:
        self.folder, self._shards, self._touch_s = folder, shards, touch_s
        self._shard_bytes = limit_bytes // shards
        self._written = [self._shard_bytes] * shards  # so that each folder is looked through at its first tile
        self._locks = [threading.Lock() for _ in range(shards)]

    def get(self, name: str) -> bytes | None:
        """The tile, and note that it was used; None where it has to be made."""
        path = self._path(name)
        try:
            with path.open("rb", buffering=0) as stream:
                status = os.fstat(stream.fileno())
                data = stream.read(status.st_size)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("tile_not_read", reason=error.strerror)
            return None
        if time.time() - status.st_mtime > self._touch_s:
            try:
                os.utime(path)
            except FileNotFoundError:  # another process has just removed it
                return data
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep a tile. A full or faulty disk is logged: the service goes on without."""
        path = self._path(name)
        temporary = path.with_name(f".{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            try:
                temporary.write_bytes(data)
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            self._make_room(self._shard_of(name), len(data))
        except OSError as error:
            log.warning("tile_not_kept", reason=error.strerror)

    def forget(self, sha256: str) -> int:
        """Remove every tile of this content; how many there were."""
        removed = 0
        for shard in range(self._shards):
            for entry in self._entries(shard):
                if entry.name.startswith(sha256):
                    Path(entry.path).unlink(missing_ok=True)
                    removed += 1
        return removed

    def _make_room(self, shard: int, more_bytes: int) -> None:
        self._written[shard] += _on_disk(more_bytes)
        lock = self._locks[shard]
        if self._written[shard] * SLACK < self._shard_bytes or not lock.acquire(blocking=False):
            return
        try:
            self._written[shard] = 0
            self._trim(shard)
        finally:
            lock.release()

    def _trim(self, shard: int) -> None:
        """Remove the files of one folder that were used least recently, until an eighth of its space is free."""
        found: list[tuple[float, int, str]] = []
        stale = time.time() - STALE_S
        for entry in self._entries(shard):
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            if entry.name.startswith(".") and status.st_mtime < stale:
                Path(entry.path).unlink(missing_ok=True)
            elif not entry.name.startswith("."):
                found.append((status.st_mtime, _on_disk(status.st_size), entry.path))
        surplus = sum(size for _, size, _ in found) - self._shard_bytes * (SLACK - 1) // SLACK
        for _, size, path in sorted(found):
            if surplus <= 0:
                break
            Path(path).unlink(missing_ok=True)
            surplus -= size

    def _entries(self, shard: int) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.folder / f"{shard:02x}") as entries:
                return list(entries)
        except FileNotFoundError:
            return []

    def _shard_of(self, name: str) -> int:
        return zlib.crc32(name.encode()) % self._shards

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not the name of a tile: {name!r}")
        return self.folder / f"{self._shard_of(name):02x}" / name


def open_cache(settings: Settings) -> TileCache:
    """The cache of this machine: the folder ``tiles`` in the data folder."""
    return TileCache(settings.data_folder / FOLDER, settings.tile_cache_mib * 2**20)


def _on_disk(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES
