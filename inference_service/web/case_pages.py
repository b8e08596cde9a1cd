"""The case page, where a case is looked at, discussed and signed, and the page of the model behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from markdown_it import MarkdownIt
from starlette.responses import Response

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.inference_service.accounts.access import READERS, Principal, public
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.cases.service import CaseNotFoundError
from tamsoat.inference_service.consultations import access as consultations
from tamsoat.inference_service.consultations.service import read_event
from tamsoat.inference_service.consultations.tables import Consultation
from tamsoat.inference_service.reviews import facts
from tamsoat.inference_service.reviews.facts import CaseFacts
from tamsoat.inference_service.reviews.vocabulary import CELL_CATEGORIES
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport.text import Text
from tamsoat.inference_service.web.pages import TEMPLATES, RuntimeDep, render, signed_in, signed_in_person, to_sign_in

CASE_MODULE = TEMPLATES.parent / "static" / "assets" / "case.js"
TEXTS_OF = ("case.", "viewer.", "signout.", "consultations.", "cases.", "error.")
LIKELIHOODS = ((0.05, "very-unlikely"), (0.25, "unlikely"), (0.5, "possible"), (0.8, "likely"))
"""Words for a probability: below the number; ``very-likely`` from the last one on. src/review/likelihood.ts has the
same."""

HEADINGS_BELOW = 2
"""The card stands below a heading of the page's second level."""

router = APIRouter(include_in_schema=False)


@router.get("/cases/{case_id}", dependencies=[public("leads to the sign-in page; its data needs a reader")])
def case_page(request: Request, runtime: RuntimeDep, case_id: Text) -> Response:
    """One case: slides, findings, marks, sign-out, discussion."""
    principal, person = signed_in(request), signed_in_person(request)
    if principal is None or person is None:
        return to_sign_in(request)
    if not principal.has(*READERS):
        return render(request, "refused.html", person=person, status=403)
    try:
        with runtime.database.read() as session:
            case = consultations.may_view(session, principal, case_id)
            found = facts.collect(session, principal, case)
            question = None if found.mine else consultations.asked(session, principal, case_id)
    except CaseNotFoundError:
        return render(request, "refused.html", person=person, status=404)
    _record(runtime, principal, found, question)
    return render(
        request,
        "case.html",
        texts_of=TEXTS_OF,
        person=person,
        case=found,
        boot=_boot(runtime, found),
        assets_built=CASE_MODULE.is_file(),
        likelihood=likelihood,
    )


@router.get("/model", dependencies=[public("leads to the sign-in page")])
def model_page(request: Request, runtime: RuntimeDep) -> Response:
    """The card of the model in use: what it is for, its limits, how good it is."""
    person = signed_in_person(request)
    if person is None:
        return to_sign_in(request)
    card = _card(runtime.bundle.folder / "card.md")
    return render(request, "model.html", person=person, bundle=runtime.bundle, card=card)


def likelihood(probability: float) -> str:
    """The code of the words for a probability."""
    return next((code for limit, code in LIKELIHOODS if probability < limit), "very-likely")


def _record(runtime: Runtime, principal: Principal, found: CaseFacts, question: Consultation | None) -> None:
    """A look by a question stands in the log of the facility that asked."""
    if question is not None:
        runtime.read_log.record_all([read_event(principal, question, "case")])
        return
    runtime.read_log.record(principal, Action.CASE_READ, f"case:{found.case_id}")


def _boot(runtime: Runtime, found: CaseFacts) -> Mapping[str, Any]:
    """What the page's module starts from; nothing of the patient."""
    bundle, worst = runtime.bundle, found.worst
    same_model = worst is not None and worst.model_digest == bundle.digest
    return {
        **found.model_dump(mode="json", exclude={"patient", "order"}),
        "categories": [category.value for category in AI_CATEGORIES],
        "cell_categories": [category.value for category in CELL_CATEGORIES],
        "look_most": runtime.settings.review_findings,
        "operating_point": bundle.operating_points.abnormal_probability if same_model else None,
    }


@cache
def _card(path: Path) -> str:
    """A card as HTML. Its bundle was checked when the service started; raw HTML in it is shown as text."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(path.read_text(encoding="utf-8"))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + HEADINGS_BELOW)}"
    return str(reader.renderer.render(tokens, reader.options, {}))
