"""The tile cache: bounded, the least recently used first, shared by processes, never in the way."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tamsoat.inference_service.viewing.cache import BLOCK_BYTES, STALE_S, TileCache

DIGEST, OTHER = "a" * 64, "b" * 64
LIMIT_BYTES = 64 * BLOCK_BYTES


def name(number: int, digest: str = DIGEST) -> str:
    return f"{digest}-80-0-12-{number}_0"


def cache_in(folder: Path, **options: float) -> TileCache:
    return TileCache(folder, LIMIT_BYTES, shards=1, touch_s=options.get("touch_s", 0.0))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_was_put_is_found_also_by_another_process(tmp_path: Path) -> None:
    cache_in(tmp_path).put(name(1), b"tile")
    assert cache_in(tmp_path).get(name(1)) == b"tile"
    assert cache_in(tmp_path).get(name(2)) is None


def test_it_never_takes_more_than_its_space(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    most = 0
    for number in range(400):
        cache.put(name(number), os.urandom(BLOCK_BYTES - 100))
        most = max(most, len(files(tmp_path)) * BLOCK_BYTES)
    assert most <= LIMIT_BYTES
    assert most >= LIMIT_BYTES * 3 // 4, "and uses it"
    assert cache.get(name(399)) is not None


def test_tiles_that_are_asked_for_stay(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cache.put(name(0), b"wanted")
    for number in range(1, 300):
        cache.put(name(number), b"x")
        path = next(path for path in files(tmp_path) if path.name == name(number))
        os.utime(path, (time.time() - 300 + number / 10,) * 2)  # older than what is asked for now
        assert cache.get(name(0)) == b"wanted"
    assert cache.get(name(1)) is None


def test_a_use_is_written_once_in_a_while(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, touch_s=60)
    cache.put(name(1), b"x")
    (path,) = files(tmp_path)
    for age_s, touched in ((30, False), (90, True)):
        os.utime(path, (time.time() - age_s,) * 2)
        before = path.stat().st_mtime
        cache.get(name(1))
        assert (path.stat().st_mtime > before) is touched


def test_tiles_of_deleted_content_are_removed_and_only_these(tmp_path: Path) -> None:
    cache = TileCache(tmp_path, 64 * LIMIT_BYTES)
    for number in range(20):
        cache.put(name(number), b"x")
        cache.put(name(number, OTHER), b"y")
    assert cache.forget(DIGEST) == 20
    assert {path.name[:64] for path in files(tmp_path)} == {OTHER}
    assert cache.forget(DIGEST) == 0


def test_unfinished_files_of_dead_processes_are_swept(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    (tmp_path / "00").mkdir()
    dead, living = tmp_path / "00" / ".dead", tmp_path / "00" / ".living"
    for path in (dead, living):
        path.write_bytes(b"half")
    os.utime(dead, (time.time() - 2 * STALE_S,) * 2)
    cache.put(name(1), b"x")
    assert (dead.exists(), living.exists()) == (False, True)


def test_several_writers_and_readers_at_once_see_whole_tiles_only(tmp_path: Path) -> None:
    content = {number: bytes([number]) * 50_000 for number in range(8)}
    faults: list[str] = []

    def work(seed: int) -> None:
        own = cache_in(tmp_path)
        for step in range(60):
            number = (seed + step) % 8
            found = own.get(name(number))
            if found is not None and found != content[number]:
                faults.append(f"{number}: {len(found)} bytes")
            own.put(name(number), content[number])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert not [path for path in files(tmp_path) if path.name.startswith(".")]


def test_a_full_or_closed_disk_only_costs_the_cache(tmp_path: Path) -> None:
    (tmp_path / "tiles").write_bytes(b"a file is in the way")
    cache = TileCache(tmp_path / "tiles", LIMIT_BYTES)
    cache.put(name(1), b"x")
    assert cache.get(name(1)) is None
    assert (tmp_path / "tiles").read_bytes() == b"a file is in the way"


@pytest.mark.parametrize("wrong", ["../../etc/passwd", "a" * 64, f"{DIGEST}-/x", f"{DIGEST}-..", "", f"{DIGEST}-x\0"])
def test_no_other_name_becomes_a_path(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match="name of a tile"):
        TileCache(tmp_path, LIMIT_BYTES).get(wrong)
