"""Heartbeats of this worker, and taking over the jobs of those that fell silent.

Whoever buries a worker first ends its sessions of the database, so that a process that is only paused keeps no lock
from the others. It may come back after they took its jobs over: then two processes work on the same job for a while.
Nothing visible happens twice, because the last transaction of a job changes nothing where it was done before.

The jobs of a worker that fell silent are back in their queues ``timeout_s`` and about two beats after its last beat,
if another worker was steady for so long; where the database was in the way, as soon as it is not.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import structlog
from dbos import DBOS
from sqlalchemy.exc import ProgrammingError

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.jobs import repository
from tamsoat.inference_service.jobs.durable import activity
from tamsoat.inference_service.jobs.identity import Identity, WorkerIdTakenError
from tamsoat.inference_service.jobs.tables import Worker

SYSTEM = "system"
RECOVER_S = 30.0
CLAIM_GRACE_S = 30.0
"""A job claimed longer ago than this, by a worker that does not know of it, was lost between the two."""

log = structlog.get_logger("tamsoat.jobs")


class Liveness:
    """The row of this worker. ``timeout_s`` of silence is death."""

    def __init__(self, database: Database, identity: Identity, concurrency: int, timeout_s: float) -> None:
        self._database = database
        self._identity = identity
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._incarnation = database.token
        self._last_beat_s = 0.0
        self._steady_since_s = 0.0
        self._recovered_s = time.monotonic()
        self._recover_wanted = threading.Event()

    def join(self) -> None:
        """Write the row of this start.

        Raises:
            WorkerIdTakenError: a worker on another data folder has the id and was seen a moment ago.
            DatabaseUnavailableError, StorageFullError: see ``Database.write``.
        """
        mine = self._identity
        with self._database.write() as session:
            now = repository.now(session)
            row = repository.get(session, mine.executor_id)
            if row is None:
                row = Worker(executor_id=mine.executor_id)
                session.add(row)
            elif row.folder != mine.folder and row.seen_at > now - timedelta(seconds=self._timeout_s):
                raise WorkerIdTakenError(
                    f"a worker called {mine.executor_id} runs on {row.host}: give each its own TAMSOAT_WORKER_ID"
                )
            row.incarnation, row.folder = self._incarnation, mine.folder
            row.host, row.process_id = socket.gethostname()[:255], os.getpid()
            row.concurrency, row.started_at, row.seen_at = self._concurrency, now, now
        self._last_beat_s = self._steady_since_s = time.monotonic()

    def beat(self) -> None:
        """Say that this worker lives. Called every few seconds, in a thread that does nothing else."""
        with self._database.write() as session:
            alive = repository.beat(session, self._identity.executor_id, self._incarnation)
        now_s = time.monotonic()
        if now_s - self._last_beat_s > self._timeout_s:
            # We, or the database, were away: the others may not have had time to beat again.
            self._steady_since_s = now_s
        self._last_beat_s = now_s
        if not alive:
            log.warning("worker_was_taken_for_dead", executor=self._identity.executor_id)
            self.join()

    def bury_silent(self) -> None:
        """Take those for dead that were silent for too long, if this worker was steady meanwhile."""
        now_s = time.monotonic()
        if now_s - self._last_beat_s > self._timeout_s or now_s - self._steady_since_s < self._timeout_s:
            return
        with self._database.read() as session:
            silent = repository.silent(session, self._timeout_s)
        for worker in silent:
            self._fence(worker)
        for worker in silent:
            event = Event(
                SYSTEM,
                Action.WORKER_TAKEOVER,
                f"worker:{worker.executor_id}",
                details={"by": self._identity.executor_id},
            )
            with self._database.write() as session:
                repository.wait_briefly(session)
                buried = repository.bury(session, worker)
                if buried:
                    audit.append(session, event)
            if buried:
                log.warning("worker_dead", executor=worker.executor_id, host=worker.host)
                self._recover_wanted.set()

    def recover_when_due(self) -> None:
        """:meth:`recover` where a worker was buried, where that did not work, and every :data:`RECOVER_S`."""
        if self._recover_wanted.is_set() or time.monotonic() - self._recovered_s >= RECOVER_S:
            self._recover_wanted.clear()
            try:
                self.recover()
            except BaseException:
                self._recover_wanted.set()
                raise
            self._recovered_s = time.monotonic()

    def leave(self) -> None:
        """Remove the row: this worker stops in order and has handed its jobs back."""
        with self._database.write() as session:
            repository.leave(session, self._identity.executor_id, self._incarnation)

    def recover(self) -> None:
        """Put the jobs of executors that are gone, and those lost on their way to this one, back into their queues."""
        mine = self._identity.executor_id
        with self._database.read() as session:
            alive = {worker.executor_id for worker in repository.known(session)}
        before = (datetime.now(UTC) - timedelta(seconds=CLAIM_GRACE_S)).isoformat()
        for workflow in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False):
            orphan = workflow.executor_id not in alive
            if not orphan and workflow.executor_id == mine and workflow.workflow_id not in activity.claimed:
                late = DBOS.list_workflows(
                    workflow_ids=[workflow.workflow_id], status="PENDING", dequeued_before=before, load_input=False
                )
                orphan = bool(late) and workflow.workflow_id not in activity.claimed
            if orphan:
                log.warning("job_taken_over", workflow=workflow.workflow_id, executor=workflow.executor_id)
                DBOS.resume_workflow(workflow.workflow_id, queue_name=workflow.queue_name)

    def _fence(self, worker: Worker) -> None:
        """Take from a silent worker what it holds in PostgreSQL: a paused one would keep its locks."""
        try:
            with self._database.read() as session:
                ended = repository.fence(session, worker)
            log.warning("worker_fenced", executor=worker.executor_id, sessions=ended)
        except ProgrammingError as error:
            # The user of the database may not: its locks end by themselves, see SILENT_HOLDER_OPTION.
            log.warning("worker_not_fenced", executor=worker.executor_id, error=type(error.orig).__name__)
