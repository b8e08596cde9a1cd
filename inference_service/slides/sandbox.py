"""Decodes images in child processes with limits on memory and time: a hostile file ends a child, not the service.

What it is not: a wall against code that runs in the child, which has the rights of the service's user.
"""

from __future__ import annotations

import multiprocessing
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar, cast

import structlog
from pebble import ProcessExpired, ProcessPool

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.slides import sandbox_child
from tamsoat.inference_service.slides.decode import DecodedImage, DecodeLimits
from tamsoat.inference_service.slides.errors import DecodeCrashedError, DecodeTimeoutError

START_S = 20.0
"""Most seconds that a child may take to start, on top of its work; then its pool is given up and replaced."""

log = structlog.get_logger("tamsoat.decoder")
_T = TypeVar("_T")


class DecoderClosedError(TamsoatError):
    """The service is stopping."""

    status = 503
    title = "Decoder is closed"
    slug = "decoder-closed"


class Decoder:
    """Decodes up to ``workers`` images at once, each in a process of its own that is kept warm.

    One pool per process: processes of one pool share a pipe, and one that dies while it holds the pipe's lock would
    stop the others. Nothing is started before the first image. Thread-safe; every method blocks.

    Args:
        memory_mib: what one image may take beyond what the process has when it starts.
        timeout_s: for one image, from its start.
    """

    def __init__(self, workers: int, memory_mib: int, timeout_s: float) -> None:
        self.workers, self.memory_mib, self.timeout_s = workers, memory_mib, timeout_s
        self._idle: queue.LifoQueue[ProcessPool | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._closed = threading.Event()

    def decode(self, source: bytes | Path, name: str, limits: DecodeLimits) -> DecodedImage:
        """The image in ``source``, as :func:`~tamsoat.inference_service.slides.decode.decode_bytes` returns it.

        Raises:
            ImageError: what decode_bytes and decode_file raise.
            DecodeTimeoutError: it took longer than ``timeout_s`` (422).
            DecodeCrashedError: the child died, or ran out of memory (422).
            DecoderClosedError: :meth:`close` was called (503).
        """
        arguments = (source, name, limits, self.timeout_s)
        return self._run(sandbox_child.decode, arguments, name)

    def call(self, function: Callable[..., _T], *arguments: object, name: str = "image") -> _T:
        """Any other function of a module, under the same limits, with the same errors."""
        return cast(_T, self._run(sandbox_child.call, (function, arguments, self.timeout_s), name))

    def warm(self) -> None:
        """Start every process in the background, so that the first images need not wait for it; returns at once."""
        threading.Thread(target=self._warm, daemon=True, name="tamsoat-decoder-warm").start()

    def _warm(self) -> None:
        pools: list[ProcessPool] = []
        try:
            for _ in range(self.workers):
                pools.append(self._take())
                pools[-1].schedule(sandbox_child.limit_processor, (self.timeout_s,))
        except DecoderClosedError:
            log.debug("decoder_closed_before_it_was_warm")
        finally:
            for pool in pools:
                self._idle.put(pool)

    def close(self) -> None:
        """End the processes; images that are being decoded are finished first (within their time limit)."""
        self._closed.set()
        for _ in range(self.workers):
            pool = self._idle.get()
            if pool is not None:
                _end(pool)
        for _ in range(self.workers):
            self._idle.put(None)

    def _run(self, function: Callable[..., _T], arguments: tuple[object, ...], name: str) -> _T:
        taken = self._take()
        pool: ProcessPool | None = taken
        try:
            future = taken.schedule(function, arguments, timeout=self.timeout_s)
            return future.result(timeout=self.timeout_s + START_S)
        except ProcessExpired as error:
            log.warning("decoder_crashed", exit_code=error.exitcode)
            raise DecodeCrashedError(
                f"{name}: decoding it ended abnormally; the file is damaged or made to do harm"
            ) from error
        except FutureTimeoutError as error:
            if not future.done():  # the pool itself hangs
                _give_up(taken)
                pool = None
            raise DecodeTimeoutError(
                f"{name}: decoding takes longer than {self.timeout_s:g} s; the file is damaged or made to do harm"
            ) from error
        except MemoryError as error:
            raise DecodeCrashedError(f"{name}: decoding takes more than {self.memory_mib} MiB of memory") from error
        except (BrokenProcessPool, RuntimeError, CancelledError) as error:
            _give_up(taken)
            pool = None
            raise DecodeCrashedError(f"{name}: the process that decodes images could not do its work") from error
        finally:
            self._idle.put(pool)

    def _take(self) -> ProcessPool:
        pool = self._idle.get()
        if self._closed.is_set():
            self._idle.put(pool)
            raise DecoderClosedError("the service is stopping; send the image again in a moment")
        if pool is not None and pool.active:
            return pool
        return ProcessPool(
            max_workers=1,
            initializer=sandbox_child.confine,
            initargs=(self.memory_mib * 2**20,),
            context=children_context(),
        )


def children_context() -> multiprocessing.context.BaseContext:
    """A context whose new processes hold nothing of this one; on POSIX a server with the imports done forks them."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([sandbox_child.__name__, "tamsoat.inference_service.slides.slide_child"])
    return context


def _give_up(pool: ProcessPool) -> None:
    """End a pool that does not answer, without waiting for it."""
    log.error("decoder_replaced")
    threading.Thread(target=_end, args=(pool,), daemon=True, name="tamsoat-decoder-end").start()


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()
