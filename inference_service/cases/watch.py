"""What changes in the worklists that are open: one look at the database for each facility, whoever listens."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from anyio import to_thread

from tamsoat.inference_service.cases import list_repository as lists
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError

POLL_S = 1.0

log = structlog.get_logger("tamsoat.cases")


@dataclass(frozen=True)
class Listener:
    """Whose worklist is open."""

    facility_id: str
    reader: str


@dataclass(frozen=True)
class Seen:
    """What a worklist shows of the whole: when it differs, something changed."""

    changed_at: datetime
    questions: int
    progress: tuple[tuple[str, int, int], ...]
    """Case, tiles done, tiles in all, of every case that is being screened."""

    def to_json(self) -> str:
        """As it goes over the wire."""
        return json.dumps(
            {"changed_at": self.changed_at.isoformat(), "questions": self.questions, "progress": self.progress}
        )


class CaseWatch:
    """Belongs to one event loop; asks the database only while somebody listens."""

    def __init__(self, database: Database, stopping: Callable[[], bool]) -> None:
        """``stopping``: whether the process is about to end, and every stream with it."""
        self._database = database
        self._stopping = stopping
        self._listeners: Counter[Listener] = Counter()
        self._latest: dict[Listener, Seen] = {}
        self._changed = asyncio.Condition()
        self._poller: asyncio.Task[None] | None = None

    async def follow(self, listener: Listener) -> AsyncGenerator[Seen, None]:
        """How things stand now, and after every change; ends when the process stops. While the database is away,
        nothing comes."""
        self._listeners[listener] += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        seen = None
        try:
            while True:
                async with self._changed:
                    while (latest := self._latest.get(listener)) in (None, seen):
                        if self._stopping():
                            return
                        await self._changed.wait()
                seen = latest
                assert seen is not None
                yield seen
        finally:
            self._listeners[listener] -= 1
            if not self._listeners[listener]:
                del self._listeners[listener]
                self._latest.pop(listener, None)

    async def _poll(self) -> None:
        while self._listeners:
            try:
                self._latest.update(await to_thread.run_sync(self._read, list(self._listeners)))
            except TamsoatError as error:
                log.warning("watch_waits", problem=error.slug)
            async with self._changed:
                self._changed.notify_all()
            await asyncio.sleep(POLL_S)

    def _read(self, listeners: list[Listener]) -> dict[Listener, Seen]:
        now = datetime.now(UTC)
        with self._database.read() as session:
            facilities = {listener.facility_id for listener in listeners}
            changed = {name: lists.changed(session, name) for name in facilities}
            running = {
                name: tuple((case_id, *tiles) for case_id, tiles in sorted(lists.running(session, name).items()))
                for name in facilities
            }
            return {
                listener: Seen(
                    changed[listener.facility_id],
                    lists.open_questions(session, listener.reader, now),
                    running[listener.facility_id],
                )
                for listener in listeners
            }
