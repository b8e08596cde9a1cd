"""The public page that tells whether a report is genuine; it needs no sign-in and shows nothing of the patient."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from tamsoat.inference_service.accounts.access import public
from tamsoat.inference_service.accounts.public_address import base_url
from tamsoat.inference_service.audit import notes
from tamsoat.inference_service.audit.answers import Proof
from tamsoat.inference_service.reports import codes, sheet, verification
from tamsoat.inference_service.reports.verification import CodeUnknownError, ProofPendingError
from tamsoat.inference_service.transport.text import Text
from tamsoat.inference_service.web.pages import RuntimeDep, render, signed_in_person

TYPED_MOST = 80
"""Characters that somebody may type; a code has 26, and 32 with its hyphens."""

router = APIRouter(include_in_schema=False)
Code = Annotated[Text, Path(max_length=TYPED_MOST)]


@router.get("/verify", dependencies=[public("whoever holds a report must be able to check it")])
def verify_form(request: Request, code: Annotated[Text, Query(max_length=TYPED_MOST)] = "") -> Response:
    """A field for the code; what was typed leads to its page."""
    if code.strip():
        return RedirectResponse(f"/verify/{quote(codes.read(code) or code.strip(), safe='')}", 303)
    return _page(request, typed="", found=None, outcome="", proof=None)


@router.get("/verify/{code}", dependencies=[public("whoever holds a report must be able to check it")])
def verify_page(request: Request, runtime: RuntimeDep, code: Code) -> Response:
    """Genuine and current, replaced, or unknown; with digests and the proof."""
    try:
        found = verification.look_up(runtime.database, code)
    except CodeUnknownError as error:
        outcome = "unknown" if codes.read(code) else "malformed"
        return _page(request, typed=code, found=None, outcome=outcome, proof=None, status=error.status)
    try:
        proof = verification.prove(runtime.database, found)
    except ProofPendingError:
        proof = None
    outcome = "superseded" if found.superseded_at else "valid"
    return _page(request, typed=codes.grouped(found.code), found=found, outcome=outcome, proof=proof)


@router.get(
    "/verify/{code}/proof.json",
    dependencies=[public("whoever holds a report must be able to check it")],
)
def verify_proof(runtime: RuntimeDep, code: Code) -> Response:
    """The proof as a file for ``tamsoat audit check-proof``."""
    found = verification.look_up(runtime.database, code)
    proof = verification.prove(runtime.database, found)
    headers = {"content-disposition": f'attachment; filename="report-{found.code[:8]}-proof.json"'}
    return Response(proof.model_dump_json(indent=2), headers=headers, media_type="application/json")


def _page(
    request: Request,
    *,
    typed: str,
    found: verification.Verified | None,
    outcome: str,
    proof: Proof | None,
    status: int = 200,
) -> Response:
    response = render(
        request,
        "verify.html",
        status=status,
        texts_of=("report.check.file",),
        person=signed_in_person(request),
        typed=typed,
        found=found,
        outcome=outcome,
        proof=proof,
        checkpoint=notes.read(proof.checkpoint) if proof is not None else None,
        day_of=lambda moment: moment.astimezone(sheet.VIETNAM).strftime("%d/%m/%Y"),
        groups_of=sheet.in_groups,
        address=base_url(request),
    )
    response.headers["cache-control"] = "no-store"
    response.headers["referrer-policy"] = "no-referrer"
    return response
