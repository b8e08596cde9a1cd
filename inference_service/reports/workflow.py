"""The files of reports are made after the signature by durable jobs: one attempt each, the pause lies in the row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from dbos import DBOS
from sqlalchemy.orm import Session

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.jobs import context
from tamsoat.inference_service.jobs.durable import durable
from tamsoat.inference_service.jobs.registry import Job, JobQueue
from tamsoat.inference_service.reports import rendering, report_repository
from tamsoat.inference_service.reports.service import QUEUE, ReportErasedError

AT_ONCE = 1
"""Reports typeset at once in one process: seconds of processor time each."""

log = structlog.get_logger("tamsoat.reports")


@durable(QUEUE)
def render(argument: str) -> None:
    """Make the files of one report; ``argument`` is ``<report>:<attempts before>``."""
    DBOS.run_step({"name": "render"}, _attempt, argument)


def _attempt(argument: str) -> None:
    runtime = context.current()
    report_id, _, attempt = argument.partition(":")
    try:
        rendering.ensure(runtime, report_id)
    except ReportErasedError:
        log.info("report_erased_before_it_was_made", report_id=report_id)
    except TamsoatError as error:
        log.warning("report_not_made", report_id=report_id, problem=error.slug, detail=error.detail)
        rendering.put_off(runtime, report_id, int(attempt))
    except Exception as error:  # noqa: BLE001 - whatever it was, the report is signed and its files are tried again
        # The kind of the error alone: what it says may quote the report.
        log.error("report_not_made", report_id=report_id, problem=type(error).__name__)
        rendering.put_off(runtime, report_id, int(attempt))


def waiting(session: Session, limit: int) -> Sequence[Job]:
    """The reports whose files are to be made now."""
    return [
        Job(f"report-{report_id}-{attempts}", f"{report_id}:{attempts}")
        for report_id, attempts in report_repository.due(session, datetime.now(UTC), limit)
    ]


QUEUES = (JobQueue(QUEUE, waiting, at_once=AT_ONCE),)
