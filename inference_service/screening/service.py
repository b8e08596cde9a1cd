"""Screen one uploaded image, store the analysis with its audit entry, and read it back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event, canonical_json, sha256_hex
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.engine.engine import Engine, Progress
from tamsoat.inference_service.engine.rescale import SCALE_TOLERANCE
from tamsoat.inference_service.engine.tiling import plan_tiles
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.screening import repository, slide_store
from tamsoat.inference_service.screening.answers import AnalysisAnswer, SlideAnswer
from tamsoat.inference_service.screening.result import screen_image
from tamsoat.inference_service.screening.schemas import Cell, FieldAssessment, ModelIdentity, Quality
from tamsoat.inference_service.screening.tables import COMPLETED, PRIORITIES, SLIDE, Analysis, Finding, Screening
from tamsoat.inference_service.slides.decode import DecodedImage, DecodeLimits, decode_bytes
from tamsoat.inference_service.slides.sandbox import Decoder
from tamsoat.inference_service.transport import idempotency, tracing
from tamsoat.models.bundle import Bundle

IMAGE_NAME = "image"
"""What messages call the upload; its real name may hold a patient's."""


class AnalysisNotFoundError(TamsoatError):
    """No analysis has this identifier."""

    status = 404
    title = "Analysis not found"
    slug = "analysis-not-found"


@dataclass(frozen=True)
class Screened:
    """A computed result that is not stored yet."""

    answer: AnalysisAnswer
    image_sha256: str
    image_bytes: int
    provider: str
    tiles: int


def screen(engine: Engine, data: bytes, mpp: float, limits: DecodeLimits, decoder: Decoder | None = None) -> Screened:
    """Decode ``data`` and find its nuclei; blocks, to be called from a thread. Stores nothing.

    Args:
        decoder: decodes in a child process with limits; None: in this one, for bytes that are known.

    Raises:
        ImageError: the bytes are not an image that can be screened (400, 413, 415, 422).
        EngineError, EngineInputError: inference failed or the image does not suit it.
    """
    with tracing.span("decode"):
        image = decode_bytes(data, IMAGE_NAME, limits) if decoder is None else decoder.decode(data, IMAGE_NAME, limits)
    return analyse(engine, image, len(data), mpp, str(uuid.uuid4()))


def analyse(
    engine: Engine,
    image: DecodedImage,
    image_bytes: int,
    mpp: float,
    analysis_id: str,
    progress: Progress | None = None,
) -> Screened:
    """Find the nuclei of a decoded image of ``image_bytes`` bytes; see :func:`screen` and ``Engine.detect``."""
    result = screen_image(engine, image, mpp, name=f"sha256:{image.sha256}", progress=progress)
    values = {name: getattr(result, name) for name in type(result).model_fields}
    answer = AnalysisAnswer(**values, analysis_id=analysis_id)
    tiles = count_tiles(image, mpp, engine.bundle)
    return Screened(answer, image.sha256, image_bytes, engine.provider, tiles)


def count_tiles(image: DecodedImage, mpp: float, bundle: Bundle) -> int:
    """How many tiles the engine cuts ``image`` into."""
    factor = mpp / bundle.mpp
    if abs(factor - 1.0) <= SCALE_TOLERANCE:
        factor = 1.0
    width_px, height_px = max(1, round(image.width_px * factor)), max(1, round(image.height_px * factor))
    return plan_tiles(width_px, height_px, bundle.tile_size_px, bundle.tile_overlap_px).n_tiles


def store(database: Database, screened: Screened, principal: Principal) -> None:
    """Store the analysis, its findings and the audit entry: all of it, durably, or nothing.

    Raises:
        StorageFullError, DatabaseUnavailableError: nothing was stored.
    """
    with database.write() as session:
        idempotency.keep(session, screened.answer)
        now = datetime.now(UTC)
        session.add(
            Screening(
                id=screened.answer.analysis_id,
                facility_id=principal.facility_id,
                mpp=screened.answer.mpp,
                priority=PRIORITIES["routine"],
                state=COMPLETED,
                done=screened.tiles,
                total=screened.tiles,
                triage=screened.answer.field.triage,
                attempts=1,
                crashes=0,
                cancel_requested=False,
                requested_by=principal.actor,
                created_at=now,
                started_at=now,
                finished_at=now,
                updated_at=now,
                version=1,
            )
        )
        audit.append(session, add_analysis(session, screened, principal.actor, principal.facility_id))


def add_analysis(session: Session, screened: Screened, actor: str, facility_id: str) -> Event:
    """Insert the analysis and its findings; the event is to be appended to the audit log in the same transaction."""
    categories, findings = _findings(screened.answer)
    repository.add(session, _analysis(screened, categories, facility_id), findings)
    digests = {
        "image": screened.image_sha256,
        "model": screened.answer.model.digest,
        "result": result_digest(screened.answer),
    }
    return Event(actor, Action.ANALYSIS_CREATE, f"analysis:{screened.answer.analysis_id}", digests, facility_id)


def result_digest(answer: AnalysisAnswer | SlideAnswer) -> str:
    """SHA-256 (hex) over the canonical JSON of the answer: what the audit log vouches for."""
    return sha256_hex(canonical_json(answer.model_dump(mode="json")))


def rebuild(analysis: Analysis, findings: list[Finding]) -> AnalysisAnswer | SlideAnswer:
    """The answer that was given, from its rows."""
    cells = [
        Cell(
            x_px=finding.x_px,
            y_px=finding.y_px,
            category=finding.category,
            score=finding.score,
            probabilities=dict(zip(analysis.categories, finding.probabilities, strict=True)),
        )
        for finding in findings
    ]
    if analysis.kind == SLIDE:
        summary = slide_store.stored_summary(analysis)
        return SlideAnswer(**dict(summary), analysis_id=analysis.id, cells=cells)
    return AnalysisAnswer(
        image=f"sha256:{analysis.image_sha256}",
        width_px=analysis.width_px,
        height_px=analysis.height_px,
        mpp=analysis.mpp,
        model=ModelIdentity(name=analysis.model_name, version=analysis.model_version, digest=analysis.model_digest),
        quality=Quality(usable=analysis.usable, reasons=analysis.reasons),
        field=FieldAssessment(
            category=analysis.category,
            abnormal_probability=analysis.abnormal_probability,
            triage=analysis.triage,  # type: ignore[arg-type]
        ),
        cells=cells,
        seconds=analysis.seconds,
        analysis_id=analysis.id,
    )


def _findings(answer: AnalysisAnswer) -> tuple[list[str], list[dict[str, object]]]:
    categories = list(answer.cells[0].probabilities) if answer.cells else []
    rows: list[dict[str, object]] = [
        {
            "rank": rank,
            "x_px": cell.x_px,
            "y_px": cell.y_px,
            "category": cell.category,
            "score": cell.score,
            "probabilities": [cell.probabilities[name] for name in categories],
        }
        for rank, cell in enumerate(answer.cells)
    ]
    return categories, rows


def _analysis(screened: Screened, categories: list[str], facility_id: str) -> Analysis:
    answer = screened.answer
    return Analysis(
        id=answer.analysis_id,
        facility_id=facility_id,
        created_at=datetime.now(UTC),
        image_sha256=screened.image_sha256,
        image_bytes=screened.image_bytes,
        width_px=answer.width_px,
        height_px=answer.height_px,
        mpp=answer.mpp,
        model_name=answer.model.name,
        model_version=answer.model.version,
        model_digest=answer.model.digest,
        provider=screened.provider,
        usable=answer.quality.usable,
        reasons=answer.quality.reasons,
        category=answer.field.category,
        abnormal_probability=answer.field.abnormal_probability,
        triage=answer.field.triage,
        categories=categories,
        cells=len(answer.cells),
        seconds=answer.seconds,
    )
