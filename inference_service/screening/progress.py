"""How far a running job is: written now and then, where everyone can read it; the way by which it learns to stop."""

from __future__ import annotations

import time

import structlog

from tamsoat.inference_service.db.session import Database, DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.jobs.durable import activity
from tamsoat.inference_service.screening import job_repository

WRITE_S = 1.0
"""Seconds between two writes: a job of one field is done before the first."""

log = structlog.get_logger("tamsoat.screening")


class CancelledError(Exception):
    """Somebody asked for this job to be cancelled."""


class SupersededError(Exception):
    """The job was finished by another worker, or retried: nothing is left to do."""


class Progress:
    """Of one attempt. Call it at points where the work may be given up."""

    def __init__(self, database: Database, analysis_id: str, attempt: int) -> None:
        self._database = database
        self._analysis_id = analysis_id
        self._attempt = attempt
        self._written_s = time.monotonic()

    def __call__(self, step: str, done: int = 0, total: int = 0, *, now: bool = False) -> None:
        """Note the step and, at most once a second unless ``now``, write it.

        Raises:
            CancelledError, SupersededError: give the work up for good.
            HandedBackError: the process stops; another worker begins anew.
        """
        activity.check()
        if not now and time.monotonic() - self._written_s < WRITE_S:
            return
        try:
            with self._database.write() as session:
                open_, cancel = job_repository.note_progress(
                    session, self._analysis_id, self._attempt, step, done, total
                )
        except (DatabaseUnavailableError, StorageFullError) as error:
            log.warning("progress_not_written", problem=error.slug)  # the next one tells more
            return
        finally:
            self._written_s = time.monotonic()
        if cancel:
            raise CancelledError
        if not open_:
            raise SupersededError
