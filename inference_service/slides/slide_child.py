"""What runs inside a process that reads slides. It keeps the slides that it was asked for last open.

Imported before the process is forked; nothing here reads settings.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.slides import opening, sandbox_child
from tamsoat.inference_service.slides.errors import DecodeCrashedError
from tamsoat.inference_service.slides.image_pyramid import ImagePyramid
from tamsoat.inference_service.slides.pyramid import Pyramid, PyramidInfo

OPEN_SLIDES = 4
"""Kept open at once; of plain images, which lie decoded in memory, one."""
IDLE_S = 60.0
"""After so long without use a slide is closed, so that a deleted file gives up its space."""


class Region(NamedTuple):
    """A part of one level and focal plane, in pixels of that level (see ``Pyramid.read_region``)."""

    level: int
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    plane: int = 0


@dataclass
class _Open:
    pyramid: Pyramid
    used_s: float


_open: OrderedDict[tuple[object, ...], _Open] = OrderedDict()
_lock = threading.Lock()
_sweeper: threading.Thread | None = None


def describe(path: Path, media_type: str) -> PyramidInfo:
    """Open the slide and say what it is."""
    with opened(path, media_type) as pyramid:
        return pyramid.info


def read_pixels(path: Path, media_type: str, region: Region) -> NDArray[np.uint8]:
    """Uint8 RGB ``[height, width, 3]`` of one region."""
    with opened(path, media_type) as pyramid:
        return pyramid.read_region(*region)


def read_jpeg(path: Path, media_type: str, region: Region, out_px: tuple[int, int], quality: int) -> bytes:
    """One region as JPEG of ``out_px`` = (width, height), reduced or enlarged where it has another size."""
    with opened(path, media_type) as pyramid:
        image = Image.fromarray(pyramid.read_region(*region))
    if image.size != out_px:
        image = image.resize(out_px, Image.Resampling.BICUBIC)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()


def stream(
    connection: Connection,
    shared: Any,
    slot_bytes: int,
    slide: tuple[Path, str],
    regions: Sequence[Region],
    memory_bytes: int,
    cpu_s: float,
) -> None:
    """Read ``regions`` in order into the slots of ``shared``, one behind the other, as the reader gives them back.

    Sends the shape of each, or the error that ended it; a byte from the other side gives one slot back.
    """
    sandbox_child.confine(memory_bytes)
    slots = np.frombuffer(shared, np.uint8).reshape(-1, slot_bytes)
    try:
        sandbox_child.limit_processor(cpu_s)
        with opening.open_any(*slide) as pyramid:
            for number, region in enumerate(regions):
                sandbox_child.limit_processor(cpu_s)
                with opening.damage_named():
                    pixels = pyramid.read_region(*region)
                if number >= len(slots):
                    connection.recv_bytes()
                slots[number % len(slots), : pixels.size] = pixels.reshape(-1)
                connection.send(pixels.shape)
    except TamsoatError as error:
        connection.send(error)
    except MemoryError:
        connection.send(DecodeCrashedError("reading the slide takes more memory than is allowed"))
    except EOFError:
        return  # nobody wants the rest


@contextlib.contextmanager
def opened(path: Path, media_type: str) -> Iterator[Pyramid]:
    """The open slide; only this thread uses it meanwhile."""
    _start_sweeper()
    with _lock:
        try:
            with opening.damage_named():
                yield _take(path, media_type)
        except MemoryError:
            _close_all()  # what other slides hold is not this one's fault: the caller may try again
            raise


def _take(path: Path, media_type: str) -> Pyramid:
    status = os.stat(path)
    key = (str(path), media_type, status.st_ino, status.st_size, status.st_mtime_ns)
    known = _open.get(key)
    if known is None:
        known = _Open(opening.open_any(path, media_type), 0.0)
        _make_room(known.pyramid)
        _open[key] = known
    _open.move_to_end(key)
    known.used_s = time.monotonic()
    return known.pyramid


def _make_room(new: Pyramid) -> None:
    heavy = isinstance(new, ImagePyramid)
    for key in [key for key, item in _open.items() if heavy and isinstance(item.pyramid, ImagePyramid)]:
        _open.pop(key).pyramid.close()
    while len(_open) >= OPEN_SLIDES:
        _open.popitem(last=False)[1].pyramid.close()


def _close_all() -> None:
    while _open:
        _open.popitem()[1].pyramid.close()


def _start_sweeper() -> None:
    global _sweeper
    if _sweeper is None or not _sweeper.is_alive():
        _sweeper = threading.Thread(target=_sweep, daemon=True, name="tamsoat-slides-idle")
        _sweeper.start()


def _sweep() -> None:
    while True:
        time.sleep(IDLE_S / 2)
        with _lock:
            limit_s = time.monotonic() - IDLE_S
            for key in [key for key, item in _open.items() if item.used_s < limit_s]:
                _open.pop(key).pyramid.close()
