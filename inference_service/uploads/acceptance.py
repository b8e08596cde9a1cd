"""From a whole file to a slide with its screening: the one way in, for forms and resumable uploads."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.db.session import StorageFullError
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.orders import service as orders
from tamsoat.inference_service.orders.vocabulary import OPEN
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.requests import QUEUE, request_screening
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.slides.errors import EmptyImageError, UnsupportedImageError
from tamsoat.inference_service.slides.sniff import SNIFFED_BYTES, ZIP, describe_content, sniff_media_type
from tamsoat.inference_service.transport import tracing
from tamsoat.inference_service.uploads import examination, repository, slide_files
from tamsoat.inference_service.uploads.examination import Examined
from tamsoat.inference_service.uploads.intent import Intent
from tamsoat.inference_service.uploads.tables import BUILDING, READY, UNREADABLE, Slide

PYRAMIDS = "pyramids"
"""Name of the queue of pyramids to be built."""
ZIP_START = b"PK\x03\x04"
RESERVE_BYTES = 256 * 2**20
"""Space that a new upload leaves free on the disk: the database must go on."""

log = structlog.get_logger("tamsoat.uploads")


class DigestMismatchError(TamsoatError):
    """The bytes that arrived do not have the SHA-256 that the sender stated."""

    status = 422
    title = "Checksum does not match"
    slug = "digest-mismatch"


class QuotaExceededError(TamsoatError):
    """The facility has no space left for this slide."""

    status = 507
    title = "Quota exceeded"
    slug = "quota-exceeded"


class DuplicateGoneError(TamsoatError):
    """The slide that these bytes were a duplicate of was deleted at the same moment."""

    status = 503
    title = "Send the file again"
    slug = "duplicate-gone"


class OtherOrderError(TamsoatError):
    """The facility has these very bytes under another order."""

    status = 409
    title = "Image belongs to another order"
    slug = "image-of-another-order"


@dataclass(frozen=True)
class Accepted:
    """What became of a whole file."""

    slide: Slide
    duplicate: bool


@dataclass(frozen=True)
class WholeFile:
    """A file that arrived: ``path`` on this machine, ``sha256`` computed here."""

    path: Path
    sha256: str
    size_bytes: int


def check_file(file: WholeFile, intent: Intent) -> str:
    """The media type of a file that may become a slide.

    Raises:
        EmptyImageError, DigestMismatchError, UnsupportedImageError: it may not.
    """
    if file.size_bytes == 0:
        raise EmptyImageError("the file is empty")
    if intent.sha256 is not None and intent.sha256 != file.sha256:
        raise DigestMismatchError("the bytes that arrived are not those that were announced; send the file again")
    with file.path.open("rb") as stream:
        head = stream.read(SNIFFED_BYTES)
    media_type = sniff_media_type(head)
    if media_type is None and head.startswith(ZIP_START):
        media_type = ZIP  # whether a slide is inside is seen when it is unpacked
    if media_type is None:
        raise UnsupportedImageError(
            f"the file is {describe_content(head)}, not a JPEG, PNG, TIFF, BMP, WebP or DICOM image"
        )
    return media_type


def check_order(session: Session, facility_id: str, order_id: str | None) -> None:
    """Whether slides may be added to the order.

    Raises:
        OrderNotFoundError: the facility has none with this identifier.
        OrderClosedError: it has its result, or was cancelled.
    """
    if order_id is None:
        return
    order = orders.get(session, facility_id, order_id)
    if order.status not in {state.value for state in OPEN}:
        raise orders.OrderClosedError(f"the order is {order.status}: slides cannot be added to it any more")


def check_space(session: Session, settings: Settings, folder: Path, facility_id: str, size_bytes: int) -> None:
    """Whether ``size_bytes`` more may be stored; holds others of the facility back until the transaction ends.

    Raises:
        QuotaExceededError: the facility's share is used up.
        StorageFullError: the disk has no room for it.
    """
    if settings.facility_quota_gib:
        repository.lock(session, f"quota:{facility_id}")
        used_bytes = repository.used_bytes(session, facility_id)
        if used_bytes + size_bytes > settings.facility_quota_gib * 2**30:
            raise QuotaExceededError(
                f"{used_bytes / 2**30:.2f} of {settings.facility_quota_gib:g} GiB are used, and this slide needs "
                f"{size_bytes / 2**30:.2f}; delete slides, or have the quota raised"
            )
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if shutil.disk_usage(existing).free < size_bytes + RESERVE_BYTES:
        raise StorageFullError(StorageFullError.DETAIL)


def find_duplicate(session: Session, facility_id: str, sha256: str, intent: Intent) -> Slide | None:
    """The slide that the facility has of these bytes, unless the sender wants another.

    Raises:
        OtherOrderError: it belongs to another order: either a mistake, or to be said with ``again``.
    """
    found = None if intent.again else repository.find_slide(session, facility_id, sha256)
    if found is not None and found.order_id != intent.order_id:
        raise OtherOrderError(
            f"this image is here already as slide {found.id}, of "
            f"{'order ' + found.order_id if found.order_id else 'no order'}: check that the files were not mixed up; "
            "to screen it for this order as well send again=true"
        )
    return found


def store_content(runtime: Runtime, file: WholeFile) -> None:
    """Make the bytes durable in the content store, before any row names them."""
    with tracing.span("storage put", bytes=file.size_bytes):
        runtime.store.put(file.path, file.sha256)


def give_back_content(runtime: Runtime, sha256: str) -> None:
    """Remove bytes that were stored for a slide which then could not be made, unless another slide has them."""
    with runtime.database.write() as session:
        repository.lock(session, f"content:{sha256}")
        if repository.uses_of(session, sha256) == 0:
            runtime.store.delete(sha256)


def make_slide(
    session: Session,
    runtime: Runtime,
    principal: Principal,
    file: WholeFile,
    media_type: str,
    intent: Intent,
    examined: Examined | None,
) -> Accepted:
    """Inside a writing transaction: the slide with its screening, or the one that is there already.

    The content is in the store; where another facility's deletion removed it meanwhile, it is put back here, while
    deletions of the same content wait. Call :func:`wake` after the commit.

    Args:
        examined: what the file says of itself; None where it was taken for a duplicate.

    Raises:
        OrderNotFoundError, OrderClosedError, OtherOrderError: the order cannot take it.
        DuplicateGoneError: the slide that it was a duplicate of was deleted this very moment (503).
    """
    repository.lock(session, f"content:{file.sha256}")
    found = find_duplicate(session, principal.facility_id, file.sha256, intent)
    if found is not None:
        return Accepted(found, duplicate=True)
    if examined is None:
        raise DuplicateGoneError("the slide that has these bytes was deleted just now; send the file again")
    check_order(session, principal.facility_id, intent.order_id)
    if not runtime.store.exists(file.sha256):
        runtime.store.put(file.path, file.sha256)
    slide = Slide(
        id=str(uuid.uuid4()),
        facility_id=principal.facility_id,
        sha256=file.sha256,
        bytes=file.size_bytes,
        media_type=media_type,
        order_id=intent.order_id,
        screening_priority=intent.priority,
        created_by=principal.actor,
        created_at=datetime.now(UTC),
    )
    examined.describe(slide, media_type)
    session.add(slide)
    session.flush()
    details: dict[str, str | int | bool] = {"bytes": slide.bytes, "media_type": media_type}
    if slide.order_id:
        details["order"] = slide.order_id
    audit.append(
        session,
        Event(
            principal.actor,
            Action.SLIDE_CREATE,
            f"slide:{slide.id}",
            {"image": slide.sha256},
            principal.facility_id,
            details,
        ),
    )
    cases.take_slide(session, slide, priority=intent.priority)
    screen_when_ready(session, principal, slide)
    return Accepted(slide, duplicate=False)


def screen_when_ready(session: Session, principal: Principal, slide: Slide) -> None:
    """Request the first screening, once its scale is known and its file can be read; otherwise nothing.

    A file that cannot be read is screened too: that is how its sender is told the reason. Appends to the audit log.
    """
    if slide.analysis_id is None and slide.mpp is not None and slide.condition in (READY, UNREADABLE):
        slide.analysis_id = request_screening(session, principal, slide, priority=slide.screening_priority)


def examine(
    runtime: Runtime, principal: Principal, file: WholeFile, media_type: str, intent: Intent
) -> Examined | None:
    """Look into a file that is about to become a slide; None where the facility has these bytes already. Blocks.

    Raises:
        OtherOrderError: it has them under another order.
        ImageError, MissingScaleError, ScaleDisagreesError: see :func:`.examination.examine`.
    """
    with runtime.database.read() as session:
        if find_duplicate(session, principal.facility_id, file.sha256, intent) is not None:
            return None
    with (
        tracing.span("slide look", bytes=file.size_bytes),
        slide_files.arrived(runtime, file.path, file.sha256, media_type) as local,
    ):
        return examination.examine(runtime, local, media_type, intent.mpp)


def wake(runtime: Runtime, accepted: Accepted) -> None:
    """After the commit: let the workers begin at once."""
    slide = accepted.slide
    log.info("slide_accepted", slide_id=slide.id, bytes=slide.bytes, duplicate=accepted.duplicate)
    if accepted.duplicate:
        return
    if slide.analysis_id is not None:
        runtime.jobs.wake(QUEUE, slide.analysis_id)
    if slide.condition == BUILDING:
        runtime.jobs.wake(PYRAMIDS, slide.id)
