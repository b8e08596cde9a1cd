"""Works on the jobs of every noun: DBOS in this process, the thread that feeds it, heartbeats, periodic work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog
from dbos import DBOS, DBOSClient
from sqlalchemy.exc import SQLAlchemyError

from tamsoat.inference_service.db.session import translated_errors
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.jobs import cleanup, context, dbos_log, identity, registry, system_database
from tamsoat.inference_service.jobs.durable import activity
from tamsoat.inference_service.jobs.liveness import Liveness
from tamsoat.inference_service.jobs.registry import JobQueue

if TYPE_CHECKING:
    from tamsoat.inference_service.runtime import Runtime

LOOK_S = 1.0
"""Every worker looks for waiting jobs this often, besides being woken."""
POLL_S = 0.2
"""DBOS looks into its queues this often."""
BATCH = 100
"""Waiting jobs handed to DBOS at a time: the most urgent ones of the table, so that an urgent one passes the rest."""
REMEMBER_S = 60.0
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")

log = structlog.get_logger("tamsoat.jobs")


class JobWorker:
    """Job processing of this process, from the moment it is made until :meth:`close`."""

    def __init__(self, runtime: Runtime, concurrency: int) -> None:
        """Join the workers of this database and begin with what waits.

        Args:
            concurrency: jobs of one queue at once, where the queue does not say otherwise.

        Raises:
            WorkerIdTakenError: another live worker has the configured name.
            DatabaseUnavailableError, StorageFullError: the database cannot be used.
        """
        settings = runtime.settings
        self.wanted = threading.Event()
        self._runtime = runtime
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._handed_over: dict[str, float] = {}
        loaded = registry.load()
        self._queues = loaded.queues
        self._identity = identity.claim(settings.data_folder, settings.worker_id)
        try:
            self._liveness = Liveness(runtime.database, self._identity, concurrency, settings.worker_timeout_s)
            self._liveness.join()
            context.install(runtime)
            self._launch(concurrency)
        except BaseException:
            context.install(None)
            self._identity.release()
            raise
        self._begin("jobs-dispatch", self._dispatch)
        # Three threads: whoever waits for a lock of a paused worker must keep nobody from beating, nor from ending it.
        beat_s = settings.worker_heartbeat_s
        self._begin("jobs-heartbeat", self._every(beat_s, self._liveness.beat))
        self._begin("jobs-bury", self._every(beat_s, self._liveness.bury_silent))
        self._begin("jobs-recover", self._every(beat_s, self._liveness.recover_when_due))
        self._begin("jobs-cleanup", self._every(cleanup.EVERY_S, cleanup.forget_finished))
        for task in loaded.periodic:
            self._begin(f"jobs-{task.name}", self._every(task.every_s, partial(task.run, runtime)))
        log.info("worker_started", executor=self.executor_id, concurrency=concurrency)

    @property
    def executor_id(self) -> str:
        """Name of this worker."""
        return self._identity.executor_id

    def close(self) -> None:
        """Begin nothing more, let what runs finish within ``shutdown_grace_s``, hand the rest back to its queues."""
        settings = self._runtime.settings
        self._stopping.set()
        self.wanted.set()
        activity.drain(settings.shutdown_grace_s)
        DBOS.destroy()
        for thread in self._threads:
            thread.join(settings.database_wait_s)
        try:
            self._hand_back()
            self._liveness.leave()
        except (SQLAlchemyError, TamsoatError) as error:
            # Without the database nothing can be handed back: the heartbeat ends, and the others take over.
            log.warning("hand_back_failed", error=type(error).__name__)
        self._system.dispose()
        context.install(None)
        self._identity.release()
        log.info("worker_stopped", executor=self.executor_id)

    def _launch(self, concurrency: int) -> None:
        settings = self._runtime.settings
        limits = {queue.name: queue.at_once or concurrency for queue in self._queues}
        dbos_log.to_structlog()
        activity.open(self.executor_id, limits)
        self._system = system_database.open_engine(
            settings.database_url,
            pool_size=8 + 2 * sum(limits.values()),
            wait_s=settings.database_wait_s,
            token=self._runtime.database.token,
        )
        DBOS(
            config={
                "name": system_database.APPLICATION,
                "system_database_engine": self._system,
                "dbos_system_schema": system_database.SCHEMA,
                "executor_id": self._identity.executor_id,
                "application_version": system_database.VERSION,
                "use_listen_notify": False,
                "notification_listener_polling_interval_sec": POLL_S,
                "enable_otlp": False,
                "log_level": "WARNING",
            }
        )
        try:
            with translated_errors():
                DBOS.launch()
                for name, limit in limits.items():
                    # Twice the limit: the next job is at hand when one ends, not at DBOS's next look.
                    DBOS.register_queue(
                        name, worker_concurrency=2 * limit, polling_interval_sec=POLL_S, on_conflict="always_update"
                    )
        except BaseException:
            DBOS.destroy()
            self._system.dispose()
            raise

    def _hand_back(self) -> None:
        client = DBOSClient(
            system_database_engine=self._system,
            dbos_system_schema=system_database.SCHEMA,
            application_name=system_database.APPLICATION,
            lazy=True,
            retry_connection_errors=False,
        )
        unfinished = client.list_workflows(
            status="PENDING", executor_id=self._identity.executor_id, load_input=False, load_output=False
        )
        for workflow in unfinished:
            client.resume_workflow(workflow.workflow_id, queue_name=workflow.queue_name)
        client.destroy()
        if unfinished:
            log.info("jobs_handed_back", count=len(unfinished))

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            self.wanted.wait(LOOK_S)
            self.wanted.clear()
            for queue in self._queues:
                if not self._stopping.is_set():
                    self._guarded(queue.name, partial(self._hand_over, queue))

    def _hand_over(self, queue: JobQueue) -> None:
        with self._runtime.database.read() as session:
            jobs = queue.waiting(session, BATCH)
        now_s = time.monotonic()
        self._handed_over = {key: at_s for key, at_s in self._handed_over.items() if now_s - at_s < REMEMBER_S}
        for job in jobs:
            if job.workflow_id not in self._handed_over:
                known = DBOS.get_workflow_status(job.workflow_id)
                if known is not None and known.status in ENDED:
                    # Our table says that it waits: a restored backup is older than DBOS's tables, or the workflow
                    # ended by a fault of the program.
                    DBOS.delete_workflow(job.workflow_id)
                DBOS.enqueue_workflow_with_options(
                    {
                        "queue_name": queue.name,
                        "workflow_name": queue.name,
                        "workflow_id": job.workflow_id,
                        "priority": job.priority,
                        "app_version": system_database.VERSION,
                    },
                    job.argument,
                )
                self._handed_over[job.workflow_id] = now_s

    def _begin(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _every(self, every_s: float, run: Callable[[], None]) -> Callable[[], None]:
        def loop() -> None:
            while not self._stopping.wait(every_s):
                self._guarded(threading.current_thread().name, run)

        return loop

    def _guarded(self, name: str, run: Callable[[], None]) -> None:
        """These threads outlive every error: what failed now is tried again soon."""
        try:
            run()
        except TamsoatError as error:
            log.warning("background_work_failed", work=name, problem=error.slug)
        except Exception as error:
            if not self._stopping.is_set():
                log.exception("background_work_failed", work=name, error=type(error).__name__)
