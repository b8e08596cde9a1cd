"""The worklist as a page: rendered whole at first, its rows asked for again whenever something changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from tamsoat.inference_service.accounts.access import READERS, NotSignedInError, Principal, Role, public
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.cases import list_repository, reads, review_settings, worklist
from tamsoat.inference_service.cases.schemas import CasePage, CaseSearch
from tamsoat.inference_service.cases.worklist import VIEWS, CursorInvalidError, Wanted
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.tables import PRIORITIES
from tamsoat.inference_service.transport.text import Text
from tamsoat.inference_service.web.pages import (
    TEMPLATES,
    RuntimeDep,
    render,
    signed_in,
    signed_in_person,
    to_sign_in,
)

WORKLIST_MODULE = TEMPLATES.parent / "static" / "assets" / "worklist.js"
PAGE_ROWS = 50
STATES_OF = {
    "mine": ("analysing", "ready", "in-review", "second-review", "discussion"),
    "facility": ("analysing", "ready", "in-review", "second-review", "discussion"),
}
"""The views whose cases are in different states, and which."""

router = APIRouter(include_in_schema=False)

View = Annotated[Text, Query(max_length=20)]
Filter = Annotated[Text, Query(max_length=40)]


@router.get("/worklist", dependencies=[public("leads to the sign-in page; its data needs a reader")])
def worklist_page(
    request: Request,
    runtime: RuntimeDep,
    view: View = "facility",
    state: Filter = "",
    priority: Filter = "",
    assigned: Filter = "",
    before: Filter = "",
) -> Response:
    """The cases of one view; the filters stand in the address, what is searched for behind its ``#``."""
    principal, person = signed_in(request), signed_in_person(request)
    if principal is None or person is None:
        return to_sign_in(request)
    if not principal.has(*READERS):
        return render(request, "refused.html", person=person, status=403)
    values = _values(runtime, principal, view, state, priority, assigned, before)
    return render(
        request,
        "worklist.html",
        texts_of=("cases.",),
        person=person,
        assets_built=WORKLIST_MODULE.is_file(),
        language_query=_language_query(values["chosen"]),
        **values,
    )


@router.get("/worklist/rows", dependencies=[public("its data needs a reader")])
def worklist_rows(
    request: Request,
    runtime: RuntimeDep,
    view: View = "facility",
    state: Filter = "",
    priority: Filter = "",
    assigned: Filter = "",
    before: Filter = "",
) -> Response:
    """The counts and rows of the page alone.

    Raises:
        NotSignedInError: nobody who may read cases is signed in.
    """
    principal = _reader(request)
    return render(request, "worklist_rows.html", **_values(runtime, principal, view, state, priority, assigned, before))


@router.post("/worklist/rows", dependencies=[public("its data needs a reader")])
def worklist_search(request: Request, runtime: RuntimeDep, wanted: CaseSearch) -> Response:
    """The rows that a search finds.

    Raises:
        NotSignedInError: as above.
    """
    principal = _reader(request)
    with runtime.database.read() as session:
        found = worklist.find(session, principal, wanted, PAGE_ROWS)
    details: dict[str, str | int | bool] = {
        "by": "worklist", "results": len(found.page.items), "patients": " ".join(found.patients)
    }  # fmt: skip
    runtime.read_log.record(principal, Action.PATIENT_SEARCH, "patient:search", details)
    reads.record(runtime, principal, found.page.items)
    chosen = _chosen("facility", "", "", "")
    return render(request, "worklist_rows.html", **_shown(found.page, chosen, searched=True))


@router.get("/review-settings", dependencies=[public("leads to the sign-in page; its data needs an administrator")])
def review_settings_page(request: Request, runtime: RuntimeDep) -> Response:
    """How the facility reads its cases and heads its reports."""
    principal, person = signed_in(request), signed_in_person(request)
    if principal is None or person is None:
        return to_sign_in(request)
    if not principal.has(Role.ADMINISTRATOR):
        return render(request, "refused.html", person=person, status=403)
    with runtime.database.read() as session:
        found = review_settings.read(session, principal.facility_id)
    return render(request, "review_settings.html", texts_of=("cases.",), person=person, settings=found)


def _reader(request: Request) -> Principal:
    principal = signed_in(request)
    if principal is None or principal.kind == "client" or not principal.has(*READERS):
        raise NotSignedInError("sign in as somebody who reads cases")
    return principal


def _values(
    runtime: Runtime, principal: Principal, view: str, state: str, priority: str, assigned: str, before: str
) -> dict[str, Any]:
    chosen = _chosen(view, state, priority, assigned)
    wanted = Wanted(
        chosen["view"],
        chosen["state"] or None,
        PRIORITIES.get(chosen["priority"]),
        chosen["assigned"] or None,
        before or None,
        PAGE_ROWS,
    )
    with runtime.database.read() as session:
        try:
            page = worklist.page(session, principal, wanted)
        except CursorInvalidError:
            page = worklist.page(session, principal, Wanted(chosen["view"], limit=PAGE_ROWS))
    reads.record(runtime, principal, page.items)
    return _shown(page, chosen, searched=False)


def _chosen(view: str, state: str, priority: str, assigned: str) -> dict[str, str]:
    """The filters as far as they are ones: an address that somebody altered shows the nearest list."""
    shown = view if view in VIEWS else "facility"
    return {
        "view": shown,
        "state": state if state in STATES_OF.get(shown, ()) else "",
        "priority": priority if priority in PRIORITIES else "",
        "assigned": assigned if assigned in ("me", "none") and shown == "facility" else "",
    }


def _shown(page: CasePage, chosen: dict[str, str], *, searched: bool) -> dict[str, Any]:
    following = {**{name: value for name, value in chosen.items() if value}, "before": page.next_before}
    return {
        "page": page,
        "chosen": chosen,
        "views": VIEWS,
        "states": STATES_OF.get(chosen["view"], ()),
        "priorities": tuple(PRIORITIES),
        "searched": searched,
        "filtered": any(chosen[name] for name in ("state", "priority", "assigned")),
        "counted_most": list_repository.COUNTED_MOST,
        "more": "/worklist?" + urlencode(following) if page.next_before else None,
        "now": datetime.now(UTC),
        "duration": duration,
    }


def _language_query(chosen: dict[str, str]) -> str:
    given = {name: value for name, value in chosen.items() if value}
    return "&" + urlencode(given) if given else ""


def duration(seconds: int, t: dict[str, str]) -> str:
    """A turnaround in two units at most; src/worklist/durations.ts writes the same."""
    minutes = seconds // 60
    if minutes < 60:
        return t["cases.minutes"].format(n=minutes)
    hours = minutes // 60
    if hours < 48:
        return t["cases.hours"].format(n=hours, m=minutes % 60)
    return t["cases.days"].format(n=hours // 24, h=hours % 24)
