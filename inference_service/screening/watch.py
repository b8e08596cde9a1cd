"""Follow jobs as they go on: one question to the database for everyone who listens in this process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import structlog
from anyio import to_thread
from sqlalchemy import select

from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.screening import views
from tamsoat.inference_service.screening.answers import JobState
from tamsoat.inference_service.screening.tables import FINAL_STATES, Screening

POLL_S = 0.5

log = structlog.get_logger("tamsoat.screening")


class Watch:
    """Belongs to one event loop. It asks only while somebody listens, and once for all of them, by primary index."""

    def __init__(self, database: Database, stopping: Callable[[], bool]) -> None:
        """``stopping``: whether the process is about to end, and every stream with it."""
        self._database = database
        self._stopping = stopping
        self._listeners: Counter[str] = Counter()
        self._latest: dict[str, tuple[int, JobState]] = {}
        self._changed = asyncio.Condition()
        self._poller: asyncio.Task[None] | None = None

    async def follow(self, analysis_id: str, seen: int) -> AsyncIterator[tuple[int, JobState]]:
        """Every version of the job's state after ``seen`` (versions between two looks are passed over); ends after a
        final state, or when the process stops. A database that is away delays the next one."""
        self._listeners[analysis_id] += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            while True:
                async with self._changed:
                    while self._version(analysis_id) <= seen:
                        if self._stopping():
                            return
                        await self._changed.wait()
                    seen, state = self._latest[analysis_id]
                yield seen, state
                if state.state in FINAL_STATES:
                    return
        finally:
            self._listeners[analysis_id] -= 1
            if not self._listeners[analysis_id]:
                del self._listeners[analysis_id]
                self._latest.pop(analysis_id, None)

    def _version(self, analysis_id: str) -> int:
        return self._latest[analysis_id][0] if analysis_id in self._latest else -1

    async def _poll(self) -> None:
        while self._listeners:
            try:
                self._latest.update(await to_thread.run_sync(self._read, list(self._listeners)))
            except TamsoatError as error:
                log.warning("watch_waits", problem=error.slug)
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(POLL_S)

    def _read(self, ids: list[str]) -> dict[str, tuple[int, JobState]]:
        with self._database.read() as session:
            rows = session.scalars(select(Screening).where(Screening.id.in_(ids)))
            return {row.id: (row.version, views.state(row)) for row in rows}
