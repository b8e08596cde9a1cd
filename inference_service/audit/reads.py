"""Group commit of read events: many readers, one transaction.

Whoever shows a patient's data first calls :meth:`ReadLog.record`, which returns once the event is durable. The
events of callers that arrive together are written by one thread in one transaction, so that the cost of the
commit (an fsync, the lock on the end of the log) is shared.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database, DatabaseUnavailableError
from tamsoat.inference_service.errors import TamsoatError

MOST_TOGETHER = 256
"""Events written in one transaction; more wait for the next."""
MOST_WAITING = 4096
"""Events that may wait; further callers wait for a place."""

_Waiting = tuple[Event, Future[None]]


class ReadLog:
    """Records reads of patient data durably; thread-safe.

    ``database`` is its own: callers may hold every connection of a shared pool while they wait for the writer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="tamsoat-read-log", daemon=True)
        self._thread.start()

    def record(
        self,
        principal: Principal,
        action: Action,
        subject: str,
        details: Mapping[str, str | int | bool] | None = None,
    ) -> None:
        """Return once the event is stored durably; blocks, so not to be called on the event loop.

        ``subject`` and ``details`` as in :class:`Event`: identifiers, codes and counts only.

        Raises:
            DatabaseUnavailableError, StorageFullError: nothing was recorded; nothing may be shown.
        """
        self.record_all(
            [Event(principal.actor, action, subject, facility=principal.facility_id, details=details or {})]
        )

    def record_all(self, events: Sequence[Event]) -> None:
        """As :meth:`record`, for several events, as of every patient on a page; the commit is shared.

        Raises:
            DatabaseUnavailableError, StorageFullError: not all were recorded; nothing may be shown.
        """
        waiting: list[_Waiting] = [(event, Future()) for event in events]
        with self._lock:
            if self._closed:
                raise DatabaseUnavailableError("the service is stopping; try again in a moment")
            for item in waiting:
                self._queue.put(item)
        for _, done in waiting:
            done.result()

    def close(self) -> None:
        """Write what waits, then stop and close the database; calls after this are refused."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()
        self._database.close()

    def _work(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._gather()
            if batch:
                self._write(batch)

    def _gather(self) -> tuple[list[_Waiting], bool]:
        """Wait for one event and take what else is there; True when nothing can follow."""
        first = self._queue.get()
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < MOST_TOGETHER:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            with self._database.write() as session:
                service.append_all(session, [event for event, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller, who raises it
            for _, done in batch:
                done.set_exception(_own(error))
            return
        for _, done in batch:
            done.set_result(None)


def _own(error: Exception) -> Exception:
    """An error for one caller alone: a raised exception collects the frames of the thread that raises it."""
    if not isinstance(error, TamsoatError):
        return error
    own = type(error)(error.detail)
    own.__cause__ = error
    return own
