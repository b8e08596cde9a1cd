"""Builds the pyramids of slides that have none, as a durable job: a kill costs the work of one slide, begun again."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.db.session import StorageFullError
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.jobs.durable import activity
from tamsoat.inference_service.jobs.registry import LOWEST_PRIORITY, Job
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.requests import QUEUE
from tamsoat.inference_service.screening.tables import PRIORITIES
from tamsoat.inference_service.slides import one_shot
from tamsoat.inference_service.slides.errors import ImageError
from tamsoat.inference_service.slides.pyramid_building import build_pyramid
from tamsoat.inference_service.storage.store import file_digest, incoming_folder
from tamsoat.inference_service.uploads import acceptance, incoming, repository, slide_files
from tamsoat.inference_service.uploads.acceptance import PYRAMIDS, RESERVE_BYTES
from tamsoat.inference_service.uploads.resumable import principal_of
from tamsoat.inference_service.uploads.tables import BUILDING, NEEDS_SCALE, READY, UNREADABLE, Slide

MOST_TRIES = 10
"""How often a pyramid is begun; afterwards the slide counts as unreadable. Only the end of a process makes it begin
again."""
PAUSE_S = 5.0
TEMPORARY = (503, 507)

T = TypeVar("T")
log = structlog.get_logger("tamsoat.uploads")


def waiting(session: Session, limit: int) -> Sequence[Job]:
    """Slides whose pyramid is to be built, the most urgent first."""
    return [
        Job(f"{PYRAMIDS}:{slide_id}", slide_id, PRIORITIES.get(priority, LOWEST_PRIORITY))
        for slide_id, priority in repository.to_be_built(session, limit)
    ]


def build(runtime: Runtime, slide_id: str) -> None:
    """Build the pyramid of one slide, store it, and request the screening that waited for it. Repeatable.

    Raises:
        HandedBackError: the process stops meanwhile; the job is begun again elsewhere.
    """
    slide = _patiently(lambda: _begin(runtime, slide_id))
    if slide is None:
        return
    folder = incoming_folder(runtime.settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4()}.pyramid"
    try:
        _patiently(lambda: _write(runtime, slide, path))
        digest = file_digest(path)
        _patiently(lambda: runtime.store.put(path, digest))
        size_bytes = path.stat().st_size
        _patiently(lambda: _finish(runtime, slide, digest, size_bytes))
    except Exception as error:
        # Whatever it was (a damaged slide, a fault here): a slide must not wait for ever for its pyramid.
        slug = error.slug if isinstance(error, TamsoatError) else type(error).__name__
        log.warning("pyramid_not_built", slide_id=slide_id, problem=slug, exc_info=not isinstance(error, ImageError))
        _patiently(lambda: _fail(runtime, slide_id))
    finally:
        incoming.remove(path)


def _begin(runtime: Runtime, slide_id: str) -> Slide | None:
    with runtime.database.write() as session:
        slide = repository.lock_slide(session, slide_id)
        if slide is None or slide.condition != BUILDING or slide.deleted_at is not None:
            return None
        if slide.pyramid_tries >= MOST_TRIES:
            _give_up(session, slide)
            return None
        slide.pyramid_tries += 1
        slide.pyramid_percent = 0
        return slide


def _write(runtime: Runtime, slide: Slide, path: Path) -> None:
    incoming.remove(path)
    free_bytes = shutil.disk_usage(path.parent).free - RESERVE_BYTES
    if free_bytes < slide.bytes // 4:
        raise StorageFullError(StorageFullError.DETAIL)
    shown = [0]

    def progress(percent: int) -> None:
        activity.check()
        if percent >= shown[0] + 5:
            shown[0] = percent
            with runtime.database.write() as session:
                repository.set_pyramid_percent(session, slide.id, percent)

    with slide_files.original(runtime, slide) as file:
        one_shot.run(
            build_pyramid,
            *file,
            path,
            largest_bytes=free_bytes,
            timeout_s=runtime.settings.pyramid_timeout_s,
            on_progress=progress,
        )


def _finish(runtime: Runtime, slide: Slide, digest: str, size_bytes: int) -> None:
    with runtime.database.write() as session:
        repository.lock(session, f"content:{digest}")
        row = repository.lock_slide(session, slide.id)
        if row is None or row.condition != BUILDING or row.deleted_at is not None:
            if repository.uses_of(session, digest) == 0:
                runtime.store.delete(digest)
            return
        row.pyramid_sha256, row.pyramid_bytes, row.pyramid_percent, row.planes = digest, size_bytes, 100, 1
        row.condition = READY if row.mpp is not None else NEEDS_SCALE
        cases.slide_changed(session, row)
        acceptance.screen_when_ready(session, principal_of(row.created_by, row.facility_id), row)
    if row.analysis_id is not None:
        runtime.jobs.wake(QUEUE, row.analysis_id)
    log.info("pyramid_built", slide_id=slide.id, bytes=size_bytes)


def _fail(runtime: Runtime, slide_id: str) -> None:
    """The slide cannot be read: said at once, because building it again would end the same way."""
    with runtime.database.write() as session:
        row = repository.lock_slide(session, slide_id)
        if row is not None and row.condition == BUILDING and row.deleted_at is None:
            _give_up(session, row)


def _give_up(session: Session, slide: Slide) -> None:
    slide.condition = UNREADABLE
    cases.slide_changed(session, slide)
    acceptance.screen_when_ready(session, principal_of(slide.created_by, slide.facility_id), slide)


def _patiently(work: Callable[[], T]) -> T:
    """Do ``work``; where the database, the file storage or the disk is in the way, wait and do it again.

    Raises:
        HandedBackError: the process stops meanwhile.
    """
    while True:
        activity.check()
        try:
            return work()
        except TamsoatError as error:
            if error.status not in TEMPORARY:
                raise
            log.warning("pyramid_waits", problem=error.slug)
        activity.pause(PAUSE_S)
