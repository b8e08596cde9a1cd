"""Server-rendered pages of sign-in, of one's own account, and of administration."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tamsoat.inference_service.accounts import examples, my_account, repository, review, sessions
from tamsoat.inference_service.accounts.access import Principal, Role, public
from tamsoat.inference_service.accounts.authentication import authenticate
from tamsoat.inference_service.accounts.schemas import SessionAnswer, describe_account
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport.redirects import local_path
from tamsoat.inference_service.transport.text import Text
from tamsoat.inference_service.web import messages

TEMPLATES = Path(__file__).resolve().parent / "templates"
VIETNAM = timezone(timedelta(hours=7))
PAGE_ROWS = 50
ROLES_OF_PEOPLE = tuple(role.value for role in Role if role != Role.INTEGRATOR)
A_YEAR_S = 365 * 24 * 3600
SCRIPT_TEXTS = ("error.", "action_", "confirm_", "copied", "password_changed")
"""Beginnings of the keys whose texts the page's script shows."""

router = APIRouter(include_in_schema=False)


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


@router.get("/sign-in", dependencies=[public("signing in")])
def sign_in_page(
    request: Request,
    runtime: RuntimeDep,
    next: Annotated[str, Query(max_length=500)] = "/",
    problem: Annotated[str, Query(max_length=50)] = "",
) -> Response:
    """Name and password, the code, then what has to be done first."""
    target = local_path(next)
    person = _person(request, runtime)
    if person is not None and person.kind == "local" and _shows_example(request):
        person = None
    if person is not None and person.pending is None:
        return RedirectResponse(target, 303)
    step = person.pending if person is not None else "credentials"
    return render(
        request,
        "sign_in.html",
        person=person,
        step=step,
        target=target,
        provider=f"/oidc/sign-in?next={quote(target, safe='')}" if runtime.settings.oidc_issuer else None,
        passwords=runtime.settings.local_passwords,
        problem=f"error.{problem}" if problem.startswith("oidc-") else "",
    )


@router.get("/account", dependencies=[public("leads to the sign-in page")])
def account_page(request: Request, runtime: RuntimeDep) -> Response:
    """Password, second factor and sessions of whoever is signed in."""
    person = _person(request, runtime)
    if person is None or person.pending is not None:
        return to_sign_in(request)
    return render(request, "account.html", person=person)


@router.get("/administration", dependencies=[public("leads to the sign-in page; its data needs an administrator")])
def administration_page(
    request: Request,
    runtime: RuntimeDep,
    after: Annotated[Text, Query(max_length=64)] = "",
    username: Annotated[Text, Query(max_length=64)] = "",
    role: Annotated[Text, Query(max_length=32)] = "",
    status: Annotated[Text, Query(max_length=16)] = "",
) -> Response:
    """The accounts of the administrator's facility, and its access review."""
    person = _person(request, runtime)
    if person is None or person.pending is not None:
        return to_sign_in(request)
    if Role.ADMINISTRATOR not in person.roles:
        return render(request, "refused.html", person=person, status=403)
    with runtime.database.read() as session:
        rows = repository.page(
            session,
            person.facility_id,
            limit=PAGE_ROWS + 1,
            after=after,
            role=role or None,
            status=status or None,
            username=username.strip().lower(),
        )
        accounts = [describe_account(row, runtime.settings) for row in rows[:PAGE_ROWS]]
        reviewed = review.state(session, runtime.settings, person.facility_id)
    return render(
        request,
        "administration.html",
        person=person,
        accounts=accounts,
        more=accounts[-1].username if len(rows) > PAGE_ROWS else None,
        review=reviewed,
        chosen={"username": username, "role": role, "status": status},
        now=datetime.now(VIETNAM),
    )


def upload_page(request: Request, *, assets_built: bool) -> Response:
    """Send images and slides; ``?order=`` names the order that they are for."""
    person = _person(request, request.app.state.runtime)
    if person is None or person.pending is not None:
        return to_sign_in(request)
    return render(request, "upload.html", person=person, assets_built=assets_built)


def signed_in(request: Request) -> Principal | None:
    """Whoever may see a page now: signed in, with nothing left to do first."""
    principal = authenticate(request)
    return None if principal is None or principal.pending is not None else principal


def signed_in_person(request: Request) -> SessionAnswer | None:
    """What a page shows of whoever may see it; None where somebody has to sign in first."""
    person = _person(request, request.app.state.runtime)
    return None if person is None or person.pending is not None else person


def _person(request: Request, runtime: Runtime) -> SessionAnswer | None:
    principal = authenticate(request)
    if principal is None or principal.kind == "client":
        return None
    live = sessions.live_session(request) if principal.kind == "account" else None
    return my_account.describe_session(runtime, principal, live)


def to_sign_in(request: Request) -> Response:
    """To the sign-in page, and back here afterwards."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(here, safe='')}", 303)


def _shows_example(request: Request) -> bool:
    """Whether the example facility is here: every page then says that nothing in it is real."""
    runtime: Runtime = request.app.state.runtime
    with runtime.database.read() as session:
        return examples.any_active(session)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["moment"] = _moment
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
    return environment


def _moment(value: datetime) -> str:
    """Vietnamese time, which knows no summer time."""
    return value.astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M")


def render(
    request: Request, template: str, *, status: int = 200, texts_of: tuple[str, ...] = (), **values: Any
) -> Response:
    """A page in the reader's language.

    ``texts_of``: beginnings of the keys whose texts the page's own module shows, besides those of every page.
    """
    language = messages.language_of(request)
    texts = messages.catalogue(language)
    page = _environment().get_template(template)
    html = page.render(
        t=texts,
        script_texts={key: text for key, text in texts.items() if key.startswith((*SCRIPT_TEXTS, *texts_of))},
        language=language,
        path=request.url.path,
        status=status,
        roles_of_people=ROLES_OF_PEOPLE,
        example=_shows_example(request),
        **values,
    )
    response = HTMLResponse(html, status_code=status)
    if request.query_params.get("language") == language:
        response.set_cookie(
            messages.COOKIE, language, max_age=A_YEAR_S, samesite="lax", secure=request.app.state.settings.secure
        )
    return response
