"""The page for the head of the department."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from tamsoat.inference_service.accounts.access import public
from tamsoat.inference_service.quality.endpoints import HEADS
from tamsoat.inference_service.web.pages import render, signed_in, signed_in_person, to_sign_in

TEXTS = ("quality.", "report.category.", "signout.term.", "error.quality")

router = APIRouter(include_in_schema=False)


@router.get(
    "/quality",
    dependencies=[public("leads to the sign-in page; its data needs a pathologist, administrator or auditor")],
)
def quality_page(request: Request) -> Response:
    """The frame; the figures are fetched by the page's module."""
    principal, person = signed_in(request), signed_in_person(request)
    if principal is None or person is None:
        return to_sign_in(request)
    if not principal.has(*HEADS):
        return render(request, "refused.html", person=person, status=403)
    return render(request, "quality.html", texts_of=TEXTS, person=person)
