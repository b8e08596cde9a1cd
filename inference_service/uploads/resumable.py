"""The life of a resumable upload: created, advanced, completed into a slide, discarded."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import SYSTEM, Runtime
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.slides.errors import EmptyImageError
from tamsoat.inference_service.storage.store import file_digest, incoming_folder
from tamsoat.inference_service.transport.uploads import UploadTooLargeError
from tamsoat.inference_service.uploads import acceptance, incoming, repository
from tamsoat.inference_service.uploads.acceptance import Accepted, WholeFile
from tamsoat.inference_service.uploads.examination import Examined
from tamsoat.inference_service.uploads.intent import Intent, is_identifier
from tamsoat.inference_service.uploads.schemas import UploadAnswer
from tamsoat.inference_service.uploads.tables import Upload

RECEIVING, COMPLETED, FAILED = "receiving", "completed", "failed"
log = structlog.get_logger("tamsoat.uploads")


class UploadNotFoundError(TamsoatError):
    """The caller has no such upload; it may have expired."""

    status = 404
    title = "Upload not found"
    slug = "upload-not-found"


class UploadFailedError(TamsoatError):
    """The upload arrived whole and cannot become a slide; GET it for the reason."""

    status = 410
    title = "Upload was refused"
    slug = "upload-refused"


def file_of(settings: Settings, upload_id: str) -> Path:
    """Where the bytes of an upload are. ``upload_id`` comes from a row, never from a request."""
    return incoming_folder(settings) / f"{upload_id}.upload"


def get(session: Session, principal: Principal, upload_id: str) -> Upload:
    """The caller's own upload.

    Raises:
        UploadNotFoundError: there is none, it expired, or it is another's.
    """
    known = is_identifier(upload_id)
    upload = repository.get_upload(session, upload_id, principal.facility_id, principal.actor) if known else None
    if upload is None or upload.expires_at < datetime.now(UTC):
        raise UploadNotFoundError("there is no such upload of yours; it may have expired: begin again")
    return upload


def load(runtime: Runtime, principal: Principal, upload_id: str) -> Upload:
    """:func:`get` in a session of its own."""
    with runtime.database.read() as session:
        return get(session, principal, upload_id)


def create(runtime: Runtime, principal: Principal, length_bytes: int, intent: Intent) -> Upload:
    """Begin an upload of ``length_bytes`` bytes; its space counts towards the quota from now on.

    Raises:
        EmptyImageError, UploadTooLargeError: of the length.
        OrderNotFoundError, OrderClosedError: of the order.
        QuotaExceededError, StorageFullError: no space.
    """
    settings = runtime.settings
    if length_bytes == 0:
        raise EmptyImageError("the file is empty")
    if length_bytes > settings.max_slide_bytes:
        raise UploadTooLargeError(f"the slide is larger than the limit of {settings.max_slide_mib:g} MiB")
    now = datetime.now(UTC)
    upload = Upload(
        id=str(uuid.uuid4()),
        facility_id=principal.facility_id,
        actor=principal.actor,
        expected_bytes=length_bytes,
        received_bytes=0,
        mpp=intent.mpp,
        order_id=intent.order_id,
        priority=intent.priority,
        sha256=intent.sha256,
        again=intent.again,
        state=RECEIVING,
        duplicate=False,
        created_at=now,
        expires_at=now + timedelta(hours=settings.upload_expiry_h),
    )
    with runtime.database.write() as session:
        acceptance.check_order(session, principal.facility_id, intent.order_id)
        acceptance.check_space(session, settings, incoming_folder(settings), principal.facility_id, length_bytes)
        session.add(upload)
    return upload


def advance(runtime: Runtime, upload_id: str, received_bytes: int) -> datetime:
    """Record that so many bytes are on the disk; returns the new time of expiry.

    Raises:
        UploadNotFoundError: the upload ended meanwhile.
    """
    expires_at = datetime.now(UTC) + timedelta(hours=runtime.settings.upload_expiry_h)
    with runtime.database.write() as session:
        if not repository.advance(session, upload_id, received_bytes, expires_at):
            raise UploadNotFoundError("the upload was ended meanwhile")
    return expires_at


def complete(runtime: Runtime, principal: Principal, upload: Upload, sha256: str | None = None) -> Upload:
    """Make the whole upload a slide, once, however often it is called.

    Args:
        sha256: of the whole file where it was computed on the way; None: the file is read.

    Raises:
        UploadFailedError: that was found earlier.
        TamsoatError: the file cannot become a slide (recorded, the bytes are removed) or not now (5xx; call again).
    """
    path = file_of(runtime.settings, upload.id)
    if upload.state == RECEIVING and path.is_file():
        intent = Intent(upload.mpp, upload.order_id, upload.priority, upload.sha256, upload.again)
        try:
            file = WholeFile(path, sha256 or file_digest(path), upload.expected_bytes)
            media_type = acceptance.check_file(file, intent)
            examined = acceptance.examine(runtime, principal, file, media_type, intent)
            accepted = _store_and_finish(runtime, principal, upload.id, file, media_type, intent, examined)
        except FileNotFoundError:
            accepted = None  # another process has finished it just now, or its bytes are lost: its row will say
        except TamsoatError as error:
            if error.status < 500:
                _fail(runtime, upload.id, error.slug)
                incoming.remove(path)
            raise
        incoming.remove(path)
        if accepted is not None:
            acceptance.wake(runtime, accepted)
    with runtime.database.read() as session:
        done = repository.get_upload(session, upload.id, upload.facility_id, upload.actor)
    if done is None:
        raise UploadNotFoundError("the upload was ended meanwhile")
    if done.state == RECEIVING:
        raise incoming.UploadDamagedError("bytes that had arrived are gone from the disk; begin the upload again")
    return check_state(done)


def check_state(upload: Upload) -> Upload:
    """The upload, unless it failed.

    Raises:
        UploadFailedError: it did.
    """
    if upload.state == FAILED:
        raise UploadFailedError(f"the file arrived and was refused ({upload.problem}); begin again with another")
    return upload


def _store_and_finish(
    runtime: Runtime,
    principal: Principal,
    upload_id: str,
    file: WholeFile,
    media_type: str,
    intent: Intent,
    examined: Examined | None,
) -> Accepted | None:
    acceptance.store_content(runtime, file)
    try:
        return _finish(runtime, principal, upload_id, file, media_type, intent, examined)
    except TamsoatError:
        acceptance.give_back_content(runtime, file.sha256)
        raise


def _finish(
    runtime: Runtime,
    principal: Principal,
    upload_id: str,
    file: WholeFile,
    media_type: str,
    intent: Intent,
    examined: Examined | None,
) -> Accepted | None:
    with runtime.database.write() as session:
        row = repository.lock_upload(session, upload_id)
        if row is None or row.state != RECEIVING:
            return None
        accepted = acceptance.make_slide(session, runtime, principal, file, media_type, intent, examined)
        row.state = COMPLETED
        row.slide_id, row.analysis_id = accepted.slide.id, accepted.slide.analysis_id
        row.duplicate = accepted.duplicate
        return accepted


def _fail(runtime: Runtime, upload_id: str, problem: str) -> None:
    with runtime.database.write() as session:
        row = repository.lock_upload(session, upload_id)
        if row is not None and row.state == RECEIVING:
            row.state, row.problem = FAILED, problem


def discard(runtime: Runtime, upload_id: str, actor: str, *, expired_before: datetime | None = None) -> bool:
    """Forget an upload and remove its bytes; a slide that it became stays. False: it is gone, or not expired.

    An unfinished one is recorded as ``upload:discard``.
    """
    with runtime.database.write() as session:
        row = repository.lock_upload(session, upload_id)
        if row is None or (expired_before is not None and row.expires_at >= expired_before):
            return False
        session.delete(row)
        session.flush()
        if row.state == RECEIVING:
            details = {"received_bytes": row.received_bytes, "expected_bytes": row.expected_bytes}
            event = Event(actor, Action.UPLOAD_DISCARD, f"upload:{row.id}", facility=row.facility_id, details=details)
            audit.append(session, event)
    incoming.remove(file_of(runtime.settings, upload_id))
    return True


def owner_of(upload: Upload) -> Principal:
    """Who began the upload, without rights: for finishing it when they have gone."""
    return principal_of(upload.actor, upload.facility_id)


def principal_of(actor: str, facility_id: str) -> Principal:
    """The owner of something that is finished for them, without rights."""
    kind = actor.partition(":")[0]
    assert kind in ("account", "client", "local")
    return Principal(actor, kind, facility_id, frozenset())  # type: ignore[arg-type]


def sweep(runtime: Runtime, most: int = 200) -> int:
    """Finish what arrived whole, discard what expired, remove files that no row names; returns how many it discarded.

    Several processes may run it at once.
    """
    now = datetime.now(UTC)
    with runtime.database.read() as session:
        whole, expired = repository.whole_uploads(session, most), repository.expired_uploads(session, now, most)
    for upload_id in whole:
        _finish_late(runtime, upload_id)
    discarded = sum(discard(runtime, upload_id, SYSTEM, expired_before=now) for upload_id in expired)
    older_than_s = (now - timedelta(hours=runtime.settings.upload_expiry_h)).timestamp()
    for path in incoming.leftovers(incoming_folder(runtime.settings), older_than_s):
        with runtime.database.read() as session:
            known = session.get(Upload, path.stem) is not None
        if not known:
            incoming.remove(path)
            log.info("leftover_removed")
    return discarded


def _finish_late(runtime: Runtime, upload_id: str) -> None:
    with runtime.database.read() as session:
        upload = session.get(Upload, upload_id)
    path = file_of(runtime.settings, upload_id)
    if upload is None or not path.is_file():
        return  # its bytes are on another machine, whose own sweep sees to them
    try:
        with incoming.IncomingFile(path, upload.received_bytes):
            complete(runtime, owner_of(upload), upload)
    except incoming.UploadLockedError:
        return  # its client is finishing it right now
    except TamsoatError as error:
        log.warning("upload_not_finished", upload_id=upload_id, problem=error.slug)


def answer(upload: Upload) -> UploadAnswer:
    """The upload as it goes over the wire."""
    return UploadAnswer(
        upload_id=upload.id,
        state=upload.state,  # type: ignore[arg-type]
        length_bytes=upload.expected_bytes,
        offset_bytes=upload.received_bytes,
        expires_at=upload.expires_at,
        slide_id=upload.slide_id,
        analysis_id=upload.analysis_id,
        duplicate=upload.duplicate,
        problem=upload.problem,
    )
