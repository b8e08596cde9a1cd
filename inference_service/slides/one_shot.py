"""One piece of work in a child process of its own, with limits on memory, time and the files that it writes."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from typing import Any, cast

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.slides import sandbox_child
from tamsoat.inference_service.slides.errors import DecodeCrashedError, DecodeTimeoutError
from tamsoat.inference_service.slides.opening import damage_named
from tamsoat.inference_service.slides.sandbox import START_S, children_context

MEMORY_MIB = 1024
_POLL_S = 1.0
_END_S = 5.0

Tell = Callable[[int], None]
"""Called in the child with the percentage done."""


def run(
    function: Callable[..., None],
    *arguments: object,
    largest_bytes: int,
    timeout_s: float,
    on_progress: Callable[[int], None] = lambda percent: None,
) -> None:
    """Call ``function(tell, *arguments)`` in a child and wait for its end.

    Args:
        function: of a module; takes a :data:`Tell` first.
        largest_bytes: no file may become larger.
        timeout_s: for the whole work, processor and wall clock.
        on_progress: called here about every second with what the child told last; what it raises ends the work.

    Raises:
        ImageError: what the function raises; anything else of a library as DamagedImageError.
        DecodeTimeoutError, DecodeCrashedError: the child took too long, died, or ran out of memory or space.
    """
    context = cast(ForkServerContext, children_context())
    here, there = context.Pipe()
    limits = (MEMORY_MIB * 2**20, largest_bytes, timeout_s)
    process = context.Process(target=_work, args=(there, limits, function, arguments), daemon=True)
    process.start()
    there.close()
    ends_s, percent = time.monotonic() + timeout_s + START_S, 0
    try:
        while True:
            if wait([here, process.sentinel], _POLL_S):
                message = _receive(here)
                if isinstance(message, Exception):
                    raise message
                if message is None:
                    return
                percent = cast(int, message)
            on_progress(percent)
            if time.monotonic() > ends_s:
                raise DecodeTimeoutError(f"slide: preparing it takes longer than {timeout_s:g} s")
    finally:
        here.close()
        process.terminate()
        process.join(_END_S)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _receive(connection: Any) -> object:
    try:
        return connection.recv()
    except (EOFError, OSError) as error:
        raise DecodeCrashedError(
            "slide: preparing it ended abnormally; the file is damaged, made to do harm, or the disk is full"
        ) from error


def _work(
    connection: Connection, limits: tuple[int, int, float], function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    memory_bytes, largest_bytes, cpu_s = limits
    sandbox_child.confine(memory_bytes, file_bytes=largest_bytes)
    if sys.platform != "win32":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an error of the write then
    sandbox_child.limit_processor(cpu_s)
    said = [-1]

    def tell(percent: int) -> None:
        if percent != said[0]:
            said[0] = percent
            with contextlib.suppress(OSError):
                connection.send(percent)

    try:
        with damage_named():
            function(tell, *arguments)
        connection.send(None)
    except TamsoatError as error:
        connection.send(error)
    except MemoryError:
        connection.send(DecodeCrashedError("slide: preparing it takes more memory than is allowed"))
