"""Screens a whole slide inside a job: a part is written every few seconds, and the next worker goes on after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import structlog

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.jobs.durable import HandedBackError, activity
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening import job_repository, part_repository, parts, slide_work
from tamsoat.inference_service.screening.progress import CancelledError, Progress, SupersededError
from tamsoat.inference_service.screening.slide_reading import SlideSource, closing_stream
from tamsoat.inference_service.screening.slide_result import SlideResult, compose
from tamsoat.inference_service.screening.slide_run import TileFindings, screen_tiles
from tamsoat.inference_service.screening.slide_work import SlideWork
from tamsoat.inference_service.screening.tables import ScreeningPart
from tamsoat.inference_service.transport import tracing
from tamsoat.inference_service.uploads.slide_files import readable
from tamsoat.inference_service.uploads.tables import Slide

PART_S = 5.0
"""Longest time between two parts."""
PART_SHARE = 0.02
"""Largest part of a slide's tiles between two parts (at least one square of 16 tiles): what a kill may cost."""

log = structlog.get_logger("tamsoat.screening")


class ModelChangedError(TamsoatError):
    """Between the screening of a slide and the storing of its result another model was installed."""

    status = 409
    title = "Model was changed meanwhile"
    slug = "model-changed"


@dataclass
class PartLog:
    """Writes the parts of one attempt. ``part``: number of the next one; ``done``: tiles in those before it."""

    runtime: Runtime
    analysis_id: str
    attempt: int
    total: int
    part: int
    done: int
    _held: list[TileFindings] = field(default_factory=list)
    _written_s: float = field(default_factory=time.monotonic)

    @property
    def held_tiles(self) -> int:
        """Tiles that were added and not written yet."""
        return sum(len(item.tiles) for item in self._held)

    def add(self, found: TileFindings) -> None:
        """Take some tiles, and write a part when it is time.

        Raises:
            CancelledError, SupersededError: give the work up for good.
            HandedBackError: another worker has it.
        """
        self._held.append(found)
        enough = self.held_tiles >= PART_SHARE * self.total
        if enough or time.monotonic() - self._written_s >= PART_S:
            self.write()

    def write(self) -> None:
        """Write what is held as a part; raises what :meth:`add` does."""
        if not self._held:
            return
        tiles = self.held_tiles
        packed = parts.pack(parts.join(self._held))
        _write_part(self.runtime, self.analysis_id, self.attempt, self.part, (self.done, tiles), packed)
        self.part += 1
        self.done += tiles
        self._held.clear()
        self._written_s = time.monotonic()


def screen_slide(
    runtime: Runtime, slide: Slide, mpp: float, analysis_id: str, attempt: int, progress: Progress
) -> SlideResult:
    """Screen ``slide`` from where it was left; everything found is in its parts afterwards, and in the result.

    Raises:
        ImageError: the file cannot be read.
        CancelledError, SupersededError, HandedBackError: see :class:`PartLog` and :class:`Progress`; what was done
            is kept.
    """
    began_s = time.perf_counter()
    progress("fetch")
    with readable(runtime, slide) as file:
        progress("decode")
        info = runtime.slides.describe(file.path, file.media_type)
        source = SlideSource(file.path, file.media_type, info, mpp)
        work, log_ = _begin(runtime, source, analysis_id, attempt)
        with tracing.span("slide tiles", tiles=log_.total, done=log_.done):
            _run(runtime, source, work, log_, progress)
    found = _read(runtime, analysis_id, attempt)
    assert found is not None
    return compose(runtime.engine, work, found[1], f"sha256:{slide.sha256}", time.perf_counter() - began_s)


def load(runtime: Runtime, analysis_id: str, attempt: int, image: str, seconds: float) -> SlideResult | None:
    """The result again, from its parts; None where they are gone, because it was stored.

    Raises:
        ModelChangedError: the parts were made by another model.
    """
    found = _read(runtime, analysis_id, attempt)
    if found is None:
        return None
    work = slide_work.go_on(runtime.engine, found[0])
    if work is None:
        raise ModelChangedError("the model was changed before this result was stored; retry the screening")
    return compose(runtime.engine, work, found[1], image, seconds)


def _run(runtime: Runtime, source: SlideSource, work: SlideWork, log_: PartLog, progress: Progress) -> None:
    tell = partial(progress, "analyse")
    tell(log_.done, log_.total, now=True)
    found: Iterator[TileFindings] = screen_tiles(runtime.engine, source, work.plan, work.glass, log_.done)
    with closing_stream(found) as stream:
        try:
            for item in stream:
                log_.add(item)
                tell(log_.done + log_.held_tiles, log_.total)
        except HandedBackError:
            if activity.interrupted:  # an orderly stop: nothing that was computed is lost
                log_.write()
            raise
    log_.write()
    tell(log_.done, log_.total, now=True)


def _begin(runtime: Runtime, source: SlideSource, analysis_id: str, attempt: int) -> tuple[SlideWork, PartLog]:
    with runtime.database.read() as session:
        first = part_repository.first(session, analysis_id, attempt)
        count, done = part_repository.count(session, analysis_id, attempt)
    work = slide_work.go_on(runtime.engine, first.quality) if first is not None else None
    if work is None:
        if first is not None:
            log.warning("slide_begun_anew", analysis_id=analysis_id, reason="another model")
        work, count, done = slide_work.begin(runtime.engine, source), 1, 0
        with runtime.database.write() as session:
            part_repository.discard(session, analysis_id)
        _write_part(runtime, analysis_id, attempt, 0, (0, 0), (b"", work.describe(runtime.engine)))
    total = len(work.plan.order)
    with runtime.database.write() as session:
        job_repository.note_beginning(session, analysis_id, attempt, done)
    log.info("slide_begins", analysis_id=analysis_id, tiles=total, done=done, of=work.plan.tiles.n_tiles)
    return work, PartLog(runtime, analysis_id, attempt, total, count, done)


def _write_part(
    runtime: Runtime, analysis_id: str, attempt: int, part: int, tiles: tuple[int, int], packed: tuple[bytes, bytes]
) -> None:
    with runtime.database.write() as session:
        row = job_repository.lock_attempt(session, analysis_id, attempt)
        if row is None:
            raise SupersededError
        if row.executor != activity.executor_id:
            raise HandedBackError  # taken over; the step's outcome is the other worker's to record
        if row.cancel_requested:
            raise CancelledError
        part_repository.add(session, analysis_id, attempt, part, tiles, packed)


def _read(runtime: Runtime, analysis_id: str, attempt: int) -> tuple[bytes, TileFindings] | None:
    """The description of the work and everything found so far; None where there is nothing."""
    with runtime.database.read() as session:
        rows = part_repository.of_attempt(session, analysis_id, attempt)
        if not rows:
            return None
        return rows[0].quality, parts.join([parts.unpack(b"", b""), *(unpacked(row) for row in rows[1:])])


def unpacked(row: ScreeningPart) -> TileFindings:
    """What a part holds."""
    return parts.unpack(row.findings, row.quality)
