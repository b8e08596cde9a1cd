"""The durable workflow of one screening job.

A kill at any point loses nothing: DBOS begins the workflow again, on this worker or another, and repeats the step that
was not finished. Whatever the outcome is, the last step writes it in one transaction (:mod:`.outcome`), once.

Two kinds of trouble are told apart. What may pass by itself (no database, no file storage, a full disk) is waited for
without limit. What lies in the image or the program ends the job as ``failed`` with a problem document: at once where
trying again cannot help, after :data:`TRIES` otherwise, and after :data:`MOST_CRASHES` where the process died with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from dbos import DBOS
from sqlalchemy.orm import Session

from tamsoat.inference_service.db.session import is_full_disk
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.jobs import context
from tamsoat.inference_service.jobs.durable import HandedBackError, activity, durable
from tamsoat.inference_service.jobs.registry import Job, JobQueue
from tamsoat.inference_service.orders import service as orders
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening import job_repository, outcome, service, slide_job
from tamsoat.inference_service.screening.outcome import Outcome
from tamsoat.inference_service.screening.progress import CancelledError, Progress, SupersededError
from tamsoat.inference_service.screening.requests import QUEUE
from tamsoat.inference_service.screening.slide_result import SlideResult
from tamsoat.inference_service.screening.tables import COMPLETED, FIELD, QUEUED, RUNNING, SLIDE
from tamsoat.inference_service.slides.decode import DecodeLimits
from tamsoat.inference_service.slides.errors import DecodeCrashedError, DecodeTimeoutError
from tamsoat.inference_service.transport import tracing
from tamsoat.inference_service.uploads.tables import Slide

TRIES = 3
"""Of what may be chance: the decoder died or took too long, the engine failed."""
MOST_CRASHES = 10
"""A job whose process died this often while it ran is not begun again. Power cuts count too, hence not fewer."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
FILE_SHARE_OF_MEMORY = 4
TEMPORARY = (503, 507)
"""Statuses of errors that say: later."""

T = TypeVar("T")
log = structlog.get_logger("tamsoat.screening")


class ScreeningCrashedError(TamsoatError):
    """The process that screened this image died again and again."""

    status = 500
    title = "Screening ended abnormally"
    slug = "screening-crashed"


class SlideGoneError(TamsoatError):
    """The slide was deleted before it was screened."""

    status = 410
    title = "Slide was deleted"
    slug = "slide-gone"


@dataclass(frozen=True)
class Task:
    """What one execution of a job has to do."""

    analysis_id: str
    attempt: int
    facility_id: str
    sha256: str | None
    mpp: float
    crashes: int
    slide_id: str | None = None


def waiting(session: Session, limit: int) -> list[Job]:
    """Jobs that no worker may have heard of."""
    return [
        Job(f"{QUEUE}:{analysis_id}:{attempt}", f"{analysis_id}:{attempt}", priority)
        for analysis_id, attempt, priority in job_repository.waiting(session, limit)
    ]


@durable(QUEUE)
def screen(argument: str) -> None:
    """Screen one slide; ``argument`` is the identifier of the analysis and the number of the attempt."""
    analysis_id, _, attempt = argument.rpartition(":")
    runtime = context.current()
    try:
        # Outside the steps, so that it happens at every beginning: it counts those that had no end.
        task = patiently(partial(_begin, runtime, analysis_id, int(attempt)))
        if task is None:
            return
        found = Outcome(**DBOS.run_step({"name": "analyse"}, _analyse, task))
        DBOS.run_step({"name": "store"}, _store, task, found)
    except HandedBackError:
        _give_back(runtime, analysis_id, int(attempt))
        raise


QUEUES = (JobQueue(QUEUE, waiting),)


def patiently(work: Callable[[], T]) -> T:
    """Do ``work``; where the database, the file storage or the disk is in the way, wait and do it again.

    Raises:
        HandedBackError: the process stops meanwhile.
        Exception: whatever else ``work`` raises.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        activity.check()
        try:
            return work()
        except TamsoatError as error:
            if error.status not in TEMPORARY:
                raise
            log.warning("job_waits", problem=error.slug, pause_s=pause_s)
        except OSError as error:
            log.warning("job_waits", error=type(error).__name__, full_disk=is_full_disk(error), pause_s=pause_s)
        activity.pause(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _begin(runtime: Runtime, analysis_id: str, attempt: int) -> Task | None:
    """Mark the attempt as running here; None where nothing is left to do."""
    with runtime.database.write() as session:
        row = job_repository.lock_attempt(session, analysis_id, attempt)
        if row is None:
            return None
        if row.state == RUNNING:
            row.crashes += 1
        now = datetime.now(UTC)
        row.state, row.step, row.done, row.total, row.done_before = RUNNING, "fetch", 0, 0, 0
        row.executor = activity.executor_id
        row.started_at, row.updated_at = now, now
        row.version += 1
        slide = session.get(Slide, row.slide_id) if row.slide_id else None
        task = Task(
            analysis_id=row.id,
            attempt=attempt,
            facility_id=row.facility_id,
            sha256=slide.sha256 if slide is not None and slide.deleted_at is None else None,
            mpp=row.mpp,
            crashes=row.crashes,
            slide_id=row.slide_id,
        )
        if row.order_id is not None:
            _tell_order(session, row.order_id)
        return task


def _tell_order(session: Session, order_id: str) -> None:
    session.flush()
    try:
        orders.mark_in_progress(session, order_id)
    except orders.OrderNotFoundError:
        log.warning("order_gone", order_id=order_id)


def _analyse(task: Task) -> dict[str, Any]:
    """Fetch, decode and screen the image. A step: what it returns is kept, so it returns failures too."""
    runtime = context.current()
    progress = Progress(runtime.database, task.analysis_id, task.attempt)
    tries = 0
    while True:
        tries += 1
        try:
            with tracing.span("job analyse", attempt=task.attempt):
                return asdict(patiently(partial(_screen_once, runtime, task, progress)))
        except CancelledError:
            return asdict(Outcome.cancelled())
        except SupersededError:
            return asdict(Outcome.superseded())
        except TamsoatError as error:
            if tries >= TRIES or _is_certain(error):
                return asdict(Outcome.failed(error))
            log.warning("job_tried_again", problem=error.slug, tries=tries)
        except Exception as error:
            # A fault of the program: the person who waits is told so, the log says what it was.
            log.exception("job_failed", error=type(error).__name__)
            if tries >= TRIES:
                return asdict(Outcome.failed(TamsoatError("the program made a mistake; the log of the server has it")))
        activity.pause(FIRST_PAUSE_S * tries)


def _is_certain(error: TamsoatError) -> bool:
    """Whether trying again cannot help."""
    chance = isinstance(error, (DecodeCrashedError, DecodeTimeoutError))
    return not chance and (error.status < 500 or isinstance(error, ScreeningCrashedError))


def _screen_once(runtime: Runtime, task: Task, progress: Progress) -> Outcome:
    if task.crashes >= MOST_CRASHES:
        raise ScreeningCrashedError(
            f"the process that screened this image died {task.crashes} times; the image may be the cause"
        )
    if task.sha256 is None:
        raise SlideGoneError("the slide was deleted before it was screened")
    slide = _whole_slide(runtime, task)
    if slide is not None:
        return _screen_slide(runtime, task, slide, progress)
    seconds = runtime.metrics.job_step_seconds
    began_s = time.perf_counter()
    progress("fetch")
    with runtime.store.local_path(task.sha256) as path:
        seconds.labels("fetch").observe(time.perf_counter() - began_s)
        began_s = time.perf_counter()
        progress("decode")
        with tracing.span("decode"):
            image = runtime.decoder.decode(path, service.IMAGE_NAME, _limits(runtime))
        size_bytes = path.stat().st_size
    seconds.labels("decode").observe(time.perf_counter() - began_s)
    began_s = time.perf_counter()
    screened = service.analyse(
        runtime.engine, image, size_bytes, task.mpp, task.analysis_id, partial(progress, "analyse")
    )
    seconds.labels("analyse").observe(time.perf_counter() - began_s)
    return Outcome.completed(screened)


def _whole_slide(runtime: Runtime, task: Task) -> Slide | None:
    """The slide, where it is to be screened tile by tile: any but an image of one field."""
    with runtime.database.read() as session:
        slide = session.get(Slide, task.slide_id) if task.slide_id else None
    if slide is None:
        return None
    large = (slide.width_px or 0) * (slide.height_px or 0) > runtime.limits.max_pixels
    whole = slide.format not in (None, FIELD) or slide.pyramid_sha256 is not None or large
    return slide if whole else None


def _screen_slide(runtime: Runtime, task: Task, slide: Slide, progress: Progress) -> Outcome:
    began_s = time.perf_counter()
    result = slide_job.screen_slide(runtime, slide, task.mpp, task.analysis_id, task.attempt, progress)
    runtime.metrics.job_step_seconds.labels("analyse").observe(time.perf_counter() - began_s)
    return Outcome.completed_slide(result.summary, slide.sha256, slide.bytes, runtime.engine.provider)


def _limits(runtime: Runtime) -> DecodeLimits:
    """Stored slides may be larger files than a request's body, as far as decoding them fits into its memory."""
    return replace(runtime.limits, max_bytes=runtime.settings.decode_memory_mib * 2**20 // FILE_SHARE_OF_MEMORY)


def _store(task: Task, found: Outcome) -> None:
    """Write the outcome, once. A step."""
    runtime = context.current()
    began_s = time.perf_counter()
    with tracing.span("job store", attempt=task.attempt):
        found, slide = _of_slide(runtime, task, found)
        state = patiently(partial(outcome.record, runtime.database, task.analysis_id, task.attempt, found, slide))
    runtime.metrics.job_step_seconds.labels("store").observe(time.perf_counter() - began_s)
    if state is None:
        log.info("job_was_done", analysis_id=task.analysis_id)
        return
    runtime.metrics.jobs_finished.labels(state).inc()
    log.info("job_finished", analysis_id=task.analysis_id, state=state, problem=found.problem_slug)


def _of_slide(runtime: Runtime, task: Task, found: Outcome) -> tuple[Outcome, SlideResult | None]:
    """What was found in a slide, from the parts that hold it; nothing for anything else."""
    if found.state != COMPLETED or found.kind != SLIDE:
        return found, None
    summary = found.slide_summary()
    load = partial(slide_job.load, runtime, task.analysis_id, task.attempt, summary.image, summary.seconds)
    try:
        return found, patiently(load)
    except slide_job.ModelChangedError as error:
        return Outcome.failed(error), None


def _give_back(runtime: Runtime, analysis_id: str, attempt: int) -> None:
    """Say that the job waits again, so that the orderly end of a process does not count as its crash."""
    try:
        with runtime.database.write() as session:
            row = job_repository.lock_attempt(session, analysis_id, attempt)
            if row is not None and row.state == RUNNING and row.executor == activity.executor_id:
                row.state, row.step, row.updated_at = QUEUED, None, datetime.now(UTC)
                row.version += 1
    except TamsoatError as error:
        log.warning("job_not_given_back", problem=error.slug)
