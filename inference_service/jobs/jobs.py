"""What the rest of the service knows of jobs: wake the workers up, or be one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from tamsoat.inference_service.jobs.worker import JobWorker
    from tamsoat.inference_service.runtime import Runtime

log = structlog.get_logger("tamsoat.jobs")


class Jobs:
    """Job processing of this process; there is none until :meth:`start`."""

    def __init__(self) -> None:
        self._worker: JobWorker | None = None

    @property
    def executor_id(self) -> str | None:
        """Name of this worker; None where this process does not work on jobs."""
        return self._worker.executor_id if self._worker is not None else None

    def wake(self, queue: str, subject: str) -> None:
        """Have waiting jobs noticed at once instead of within a second; call it after the commit that made one.

        Never blocks, never fails; in a process that does not work on jobs it does nothing.
        """
        log.debug("job_wanted", queue=queue, subject=subject)
        if self._worker is not None:
            self._worker.wanted.set()

    def start(self, runtime: Runtime, concurrency: int) -> None:
        """Work on jobs in this process from now on, ``concurrency`` of a kind at once; see ``JobWorker``."""
        # Imported here: a process that only answers requests, and every other command, does without DBOS.
        from tamsoat.inference_service.jobs.worker import JobWorker

        self._worker = JobWorker(runtime, concurrency)

    def close(self) -> None:
        """Finish what runs, or hand it back."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.close()
