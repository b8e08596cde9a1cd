"""Slides: accept, list, read, delete; and giving up the bytes of deleted ones."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.orders import service as orders
from tamsoat.inference_service.orders.vocabulary import OrderStatus
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.storage.store import incoming_folder
from tamsoat.inference_service.transport.idempotency import keep
from tamsoat.inference_service.uploads import acceptance, repository, slide_files
from tamsoat.inference_service.uploads.acceptance import Accepted, WholeFile
from tamsoat.inference_service.uploads.examination import Examined
from tamsoat.inference_service.uploads.intent import Intent, is_identifier
from tamsoat.inference_service.uploads.schemas import SlideAccepted, SlideAnswer, SlidePage
from tamsoat.inference_service.uploads.tables import Slide
from tamsoat.inference_service.viewing.cache import open_cache


class SlideNotFoundError(TamsoatError):
    """There is no such slide in this facility, or it was deleted."""

    status = 404
    title = "Slide not found"
    slug = "slide-not-found"


class SlideInUseError(TamsoatError):
    """The slide belongs to an order that is not cancelled, or is being screened."""

    status = 409
    title = "Slide is in use"
    slug = "slide-in-use"


def get(session: Session, facility_id: str, slide_id: str) -> Slide:
    """The facility's slide.

    Raises:
        SlideNotFoundError: there is none.
    """
    slide = repository.get_slide(session, facility_id, slide_id) if is_identifier(slide_id) else None
    if slide is None:
        raise SlideNotFoundError("there is no slide with this identifier")
    return slide


def newest(session: Session, facility_id: str, limit: int, before: str | None, order_id: str | None) -> SlidePage:
    """A page of slides, newest first, of one order where it is named.

    Raises:
        SlideNotFoundError: ``before`` names no slide.
    """
    last = get(session, facility_id, before) if before is not None else None
    if order_id is not None and not is_identifier(order_id):
        return SlidePage(items=[], next_before=None)
    rows = repository.list_slides(session, facility_id, limit + 1, last, order_id)
    items = [answer(row) for row in rows[:limit]]
    return SlidePage(items=items, next_before=items[-1].slide_id if len(rows) > limit else None)


def accept(runtime: Runtime, principal: Principal, file: WholeFile, intent: Intent) -> SlideAccepted:
    """Make a file that arrived as a form a slide with its screening, or say which one it is already. Blocks.

    Raises:
        EmptyImageError, DigestMismatchError, UnsupportedImageError: of the file.
        ImageError, MissingScaleError, ScaleDisagreesError: see :func:`.examination.examine`.
        OrderNotFoundError, OrderClosedError, OtherOrderError: of the order.
        QuotaExceededError, StorageFullError: no space.
    """
    media_type = acceptance.check_file(file, intent)
    with runtime.database.read() as session:
        acceptance.check_order(session, principal.facility_id, intent.order_id)
    examined = acceptance.examine(runtime, principal, file, media_type, intent)
    if examined is not None:
        acceptance.store_content(runtime, file)
    try:
        with runtime.database.write() as session:
            accepted = _make(session, runtime, principal, file, media_type, intent, examined)
            sent = answer_accepted(accepted)
            keep(session, sent, status=status_of(accepted), headers={"Location": location(accepted.slide)})
    except TamsoatError:
        acceptance.give_back_content(runtime, file.sha256)
        raise
    acceptance.wake(runtime, accepted)
    return sent


def _make(
    session: Session,
    runtime: Runtime,
    principal: Principal,
    file: WholeFile,
    media_type: str,
    intent: Intent,
    examined: Examined | None,
) -> Accepted:
    if acceptance.find_duplicate(session, principal.facility_id, file.sha256, intent) is None:
        folder = incoming_folder(runtime.settings)
        acceptance.check_space(session, runtime.settings, folder, principal.facility_id, file.size_bytes)
    return acceptance.make_slide(session, runtime, principal, file, media_type, intent, examined)


def delete(runtime: Runtime, principal: Principal, slide_id: str) -> None:
    """Delete a slide: it is gone for everybody at once, its bytes when no other slide has the same.

    Raises:
        SlideNotFoundError: there is none.
        SlideInUseError: it is of an order that is not cancelled, or is being screened.
    """
    with runtime.database.write() as session:
        slide = get(session, principal.facility_id, slide_id)
        if slide.order_id is not None:
            order = orders.get(session, principal.facility_id, slide.order_id)
            if order.status != OrderStatus.CANCELLED.value:
                raise SlideInUseError(f"the slide belongs to an order that is {order.status}: cancel the order first")
        if repository.is_being_screened(session, slide.id):
            raise SlideInUseError("the slide is being screened: cancel the screening first")
        slide.deleted_at = datetime.now(UTC)
        cases.slide_changed(session, slide)
        event = Event(
            principal.actor, Action.SLIDE_DELETE, f"slide:{slide.id}", {"image": slide.sha256}, slide.facility_id
        )
        audit.append(session, event)
    purge(runtime, slide.id)


def purge(runtime: Runtime, slide_id: str) -> None:
    """Give up the bytes of a deleted slide and all that was made of them; they stay where another slide has them.

    Repeatable.
    """
    with runtime.database.write() as session:
        slide = repository.lock_slide(session, slide_id)
        if slide is None or slide.deleted_at is None:
            return
        for sha256 in filter(None, (slide.sha256, slide.pyramid_sha256)):
            repository.lock(session, f"content:{sha256}")
            if repository.uses_of(session, sha256) == 0:
                runtime.store.delete(sha256)
                open_cache(runtime.settings).forget(sha256)
                slide_files.forget(runtime, sha256)
        repository.mark_purged(session, slide_id, datetime.now(UTC))


def sweep(runtime: Runtime, most: int = 200) -> None:
    """Give up the bytes of slides whose deletion was cut short."""
    with runtime.database.read() as session:
        left = repository.unpurged(session, most)
    for slide_id in left:
        purge(runtime, slide_id)


def answer(slide: Slide) -> SlideAnswer:
    """The slide as it goes over the wire."""
    return SlideAnswer(
        slide_id=slide.id,
        sha256=slide.sha256,
        bytes=slide.bytes,
        media_type=slide.media_type,
        mpp=slide.mpp,
        mpp_source=slide.mpp_source,  # type: ignore[arg-type]
        width_px=slide.width_px,
        height_px=slide.height_px,
        format=slide.format,
        objective=slide.objective,
        planes=slide.planes,
        condition=slide.condition,  # type: ignore[arg-type]
        pyramid_percent=slide.pyramid_percent,
        case_id=slide.case_id,
        order_id=slide.order_id,
        analysis_id=slide.analysis_id,
        created_at=slide.created_at,
    )


def answer_accepted(accepted: Accepted) -> SlideAccepted:
    """What a sender is told."""
    return SlideAccepted(**answer(accepted.slide).model_dump(), duplicate=accepted.duplicate)


def status_of(accepted: Accepted) -> int:
    """202 for a new slide (its screening is still to come), 200 for one that was there."""
    return 200 if accepted.duplicate else 202


def location(slide: Slide | SlideAnswer) -> str:
    """Where the sender can watch: the analysis that was asked for, or the slide where none could be asked for yet."""
    return f"/api/v1/analyses/{slide.analysis_id}" if slide.analysis_id else f"/api/v1/slides/{_id(slide)}"


def _id(slide: Slide | SlideAnswer) -> str:
    return slide.id if isinstance(slide, Slide) else slide.slide_id
