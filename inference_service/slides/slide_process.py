"""Reads slides in child processes with limits on memory and time: a hostile slide ends a child, not the service.

Two ways in, both blocking and thread-safe:

- :class:`SlideReader`: one region per call, from a few warm children that keep slides open (viewer, crops, looks);
- :func:`stream_regions`: many regions in order from a child of its own, read ahead while the caller works (screening).

``path`` and ``media_type`` of both come from ``uploads.slide_files.readable``. What the children are kept from is said
in :mod:`.sandbox`.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import structlog
from numpy.typing import NDArray

from tamsoat.inference_service.slides import looking, slide_child
from tamsoat.inference_service.slides.errors import DecodeCrashedError, DecodeTimeoutError
from tamsoat.inference_service.slides.pyramid import LARGEST_REGION_PX, PyramidInfo, RegionError
from tamsoat.inference_service.slides.sandbox import START_S, Decoder, children_context
from tamsoat.inference_service.slides.slide_child import Region

NAME = "slide"
"""What messages call a slide: its real name may hold a patient's."""
STREAM_MEMORY_MIB = 1024
STREAM_TIMEOUT_S = 60.0
LOOK_AHEAD = 4
_END_S = 5.0

log = structlog.get_logger("tamsoat.slides")
_T = TypeVar("_T")

__all__ = ["Region", "SlideReader", "stream_regions"]


class SlideReader:
    """Single regions of slides, from up to ``workers`` children. Nothing is started before the first call.

    Args:
        memory_mib: what a child may take beyond what it has when it starts, its open slides included.
        timeout_s: for one call, from its start.

    Every method raises:
        ImageError: the file cannot be used, or is damaged at this place; its subclass says how.
        RegionError: no such level, plane, or size.
        DecodeTimeoutError, DecodeCrashedError: the child took too long, died, or ran out of memory.
        DecoderClosedError: :meth:`close` was called (503).
    """

    def __init__(self, workers: int, memory_mib: int, timeout_s: float) -> None:
        self._children = Decoder(workers, memory_mib, timeout_s)

    def describe(self, path: Path, media_type: str) -> PyramidInfo:
        """Size, scale, levels and planes of the slide."""
        return self._children.call(slide_child.describe, path, media_type, name=NAME)

    def look(self, path: Path, media_type: str) -> PyramidInfo:
        """:meth:`describe` without keeping the slide open, and without decoding a plain image."""
        return self._children.call(looking.look, path, media_type, name=NAME)

    def region_jpeg(
        self,
        path: Path,
        media_type: str,
        level: int,
        x_px: int,
        y_px: int,
        width_px: int,
        height_px: int,
        out_width_px: int,
        out_height_px: int,
        plane: int = 0,
        quality: int = 80,
    ) -> bytes:
        """A region of ``level``, in pixels of that level, as JPEG of ``out_width_px`` x ``out_height_px``.

        White beyond the edge. Encoded in the child, so that little crosses.
        """
        region = Region(level, x_px, y_px, width_px, height_px, plane)
        out_px = (out_width_px, out_height_px)
        if not all(0 < side_px <= LARGEST_REGION_PX for side_px in out_px):
            raise RegionError(f"an image of {out_px[0]} x {out_px[1]} px cannot be made")
        return self._children.call(slide_child.read_jpeg, path, media_type, region, out_px, quality, name=NAME)

    def region_pixels(self, path: Path, media_type: str, region: Region) -> NDArray[np.uint8]:
        """A region as uint8 RGB ``[height, width, 3]``."""
        return self._children.call(slide_child.read_pixels, path, media_type, region, name=NAME)

    def call(self, function: Callable[..., _T], path: Path, media_type: str, *arguments: object) -> _T:
        """Any other function of a module that reads a slide by :func:`.slide_child.opened`, in a child."""
        return self._children.call(function, path, media_type, *arguments, name=NAME)

    def close(self) -> None:
        """End the children; calls under way are finished first (within their time limit)."""
        self._children.close()


def stream_regions(
    path: Path,
    media_type: str,
    regions: Sequence[Region],
    *,
    look_ahead: int = LOOK_AHEAD,
    memory_mib: int = STREAM_MEMORY_MIB,
    timeout_s: float = STREAM_TIMEOUT_S,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of ``regions`` in their order: uint8 RGB ``[height, width, 3]``, owned by the caller.

    A child opens the slide once and reads at most ``look_ahead`` regions ahead through shared memory, so that memory
    does not grow with the slide or with a slow caller. Closing the generator ends the child at once.

    Args:
        regions: any mix of levels, sizes and focal planes.
        memory_mib: what the child may take, its read-ahead not counted.
        timeout_s: for one region (processor and wall clock), and for opening.

    Raises:
        ImageError, RegionError: see :class:`SlideReader`; what was yielded before stands.
        DecodeCrashedError: the child died or ran out of memory.
        DecodeTimeoutError: one region took longer than ``timeout_s``.
    """
    if not regions:
        return
    slot_bytes = max(region.width_px * region.height_px for region in regions) * 3
    slots = max(1, min(look_ahead, len(regions)))
    context = cast(ForkServerContext, children_context())
    shared = context.RawArray(ctypes.c_uint8, slot_bytes * slots)
    views = np.frombuffer(cast(bytearray, shared), np.uint8).reshape(slots, slot_bytes)
    here, there = context.Pipe()
    arguments = (there, shared, slot_bytes, (path, media_type), regions, memory_mib * 2**20, timeout_s)
    process = context.Process(target=slide_child.stream, args=arguments, daemon=True, name="tamsoat-slide-stream")
    process.start()
    there.close()
    limit_s = timeout_s + START_S
    try:
        for number in range(len(regions)):
            shape = _next_shape(here, process.sentinel, limit_s)
            pixels = views[number % slots, : int(np.prod(shape))].reshape(shape).copy()
            with contextlib.suppress(OSError):  # the child may have sent its last region and gone
                here.send_bytes(b"1")
            limit_s = timeout_s
            yield pixels
    finally:
        here.close()
        process.terminate()
        process.join(_END_S)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _next_shape(connection: Connection, sentinel: int, limit_s: float) -> tuple[int, int, int]:
    ready = wait([connection, sentinel], limit_s)
    if not ready:
        raise DecodeTimeoutError(f"{NAME}: reading one region takes longer than {limit_s:g} s; the file is damaged")
    try:
        # What the child sent before it died is still there to be read.
        message = connection.recv()
    except (EOFError, OSError) as error:
        log.warning("slide_reader_crashed")
        raise DecodeCrashedError(f"{NAME}: reading it ended abnormally; the file is damaged or made to do harm") from (
            error
        )
    if isinstance(message, Exception):
        raise message
    return cast(tuple[int, int, int], message)
