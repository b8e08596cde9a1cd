"""Who may make tiles: a few at once, some more wait, nobody makes the same tile twice at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anyio import CapacityLimiter, to_thread

from tamsoat.inference_service.errors import TamsoatError


class TilesBusyError(TamsoatError):
    """Too many tiles wait to be made already."""

    status = 503
    title = "Too many tiles at once"
    slug = "tiles-busy"


class TileTurns:
    """Belongs to one event loop. Threads of its own number do the work: a flood of tiles takes none from others.

    Args:
        at_once: tiles made at the same time.
        waiting: further ones that may wait.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._most = at_once + waiting
        self._limiter = CapacityLimiter(at_once)
        self._tasks: dict[str, asyncio.Task[bytes]] = {}

    async def once(self, name: str, work: Callable[[], bytes]) -> bytes:
        """What ``work`` returns, run in a thread; shared by all who ask for ``name`` while it is being made.

        A caller who gives up stops nobody else.

        Raises:
            TilesBusyError: there is no place.
            Exception: whatever ``work`` raises, to each who waits for it.
        """
        task = self._tasks.get(name)
        if task is None:
            if len(self._tasks) >= self._most:
                raise TilesBusyError(f"{len(self._tasks)} tiles are waiting to be made; try again in a moment")
            task = asyncio.create_task(self._run(work))
            self._tasks[name] = task
            task.add_done_callback(lambda done: self._end(name, done))
        return await asyncio.shield(task)

    async def _run(self, work: Callable[[], bytes]) -> bytes:
        return await to_thread.run_sync(work, limiter=self._limiter)

    def _end(self, name: str, done: asyncio.Task[bytes]) -> None:
        del self._tasks[name]
        if not done.cancelled():
            done.exception()  # taken note of, also where everybody who waited has gone
