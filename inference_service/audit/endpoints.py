"""HTTP of the audit log: entries, proofs, checkpoints, and the key to check them with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import PlainTextResponse

from tamsoat.inference_service.accounts.access import ForbiddenError, NotSignedInError, Principal, Role, allow, public
from tamsoat.inference_service.audit import checkpoints, notes, proofs, repository
from tamsoat.inference_service.audit.answers import CheckpointAnswer, CheckpointPage, EntryAnswer, EntryPage, Proof
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.audit.tree import TreeIncompleteError
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport.parameters import Moment
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe

PAGE_DEFAULT, PAGE_MOST = 100, 1000
MOST = 2**62

router = APIRouter(tags=["audit"])


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def reading(runtime: Annotated[Runtime, Depends(get_runtime)]) -> Iterator[Session]:
    """A reading session, given back before the answer is sent."""
    with runtime.database.read() as session:
        yield session


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
ReadSession = Annotated[Session, Depends(reading, scope="function")]
Auditor = Annotated[Principal, allow(Role.AUDITOR)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MOST, description="Most items on the page")]
COMMON = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError)


@router.get(
    "/api/v1/audit/entries",
    response_model=EntryPage,
    summary="Read the audit log, newest first",
    responses={**describe(*COMMON, StorageFullError)},
)
def list_entries(
    session: ReadSession,
    runtime: RuntimeDep,
    principal: Auditor,
    limit: Limit = PAGE_DEFAULT,
    before: Annotated[int | None, Query(ge=1, le=MOST, description="`next_before` of the page before")] = None,
    subject: Annotated[str | None, Query(max_length=200, description="Only about this, for example `order:…`")] = None,
    actor: Annotated[str | None, Query(max_length=200, description="Only by this, for example `account:…`")] = None,
    action: Annotated[Action | None, Query(description="Only of this kind")] = None,
    since: Annotated[Moment | None, Query(description="From this moment on")] = None,
    until: Annotated[Moment | None, Query(description="Before this moment")] = None,
    installation: Annotated[bool, Query(description="Also what concerns the installation as a whole")] = True,
) -> EntryPage:
    """The entries of the auditor's facility and those of the installation as a whole. Reading is recorded too."""
    wanted = repository.Filter(
        principal.facility_id, installation, subject, actor, action, _stamp(since), _stamp(until)
    )
    rows = repository.page(session, wanted, limit + 1, before)
    session.rollback()  # the snapshot ends before the reading itself is recorded
    items = [EntryAnswer.of(row) for row in rows[:limit]]
    runtime.read_log.record(principal, Action.AUDIT_READ, "audit:entries", {"found": len(items)})
    return EntryPage(items=items, next_before=items[-1].sequence if len(rows) > limit else None)


@router.get(
    "/api/v1/audit/entries/{sequence}/proof",
    response_model=Proof,
    summary="Prove that an entry is in the log",
    responses={**describe(*COMMON, proofs.EntryNotFoundError, proofs.NotCoveredError, TreeIncompleteError)},
)
def prove_entry(
    session: ReadSession,
    principal: Auditor,
    sequence: Annotated[int, Path(ge=1, le=MOST, description="Number of the entry")],
) -> Proof:
    """The entry, its path in the Merkle tree and the signed checkpoint; `tamsoat audit check-proof` checks it."""
    return proofs.prove(session, sequence, principal.facility_id)


@router.get(
    "/api/v1/audit/checkpoints",
    response_model=CheckpointPage,
    summary="List the signed checkpoints, newest first",
    responses={**describe(*COMMON)},
)
def list_checkpoints(
    session: ReadSession,
    principal: Auditor,
    limit: Limit = PAGE_DEFAULT,
    before: Annotated[int | None, Query(ge=1, le=MOST, description="`next_before` of the page before")] = None,
) -> CheckpointPage:
    """States of the whole log, signed. One that is kept elsewhere shows later whether the log was rewritten."""
    rows = repository.checkpoint_page(session, limit + 1, before)
    items = [CheckpointAnswer.of(row) for row in rows[:limit]]
    return CheckpointPage(items=items, next_before=items[-1].size if len(rows) > limit else None)


@router.get(
    "/.well-known/tamsoat-audit-key",
    summary="The public key of the audit log",
    response_class=PlainTextResponse,
    dependencies=[public("whoever holds a proof or a checkpoint must be able to check it")],
)
def audit_key(runtime: RuntimeDep) -> PlainTextResponse:
    """One line, `<name>+<identifier>+<base64>` (C2SP signed note), for `--public-key`."""
    name = checkpoints.origin(runtime.settings)
    return PlainTextResponse(notes.public_key_line(name, runtime.keyring.signing.public_key()))


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
