"""The first page, the page of one field, the help, and the assets of all pages."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.inference_service.accounts.access import READERS, public
from tamsoat.inference_service.web import pages

STATIC = Path(__file__).resolve().parent / "static"
UPLOAD_MODULE = STATIC / "assets" / "upload.js"

router = APIRouter(include_in_schema=False)
router.include_router(pages.router)


@router.get("/", dependencies=[public("leads to the first page of whoever is signed in")])
def index(request: Request) -> Response:
    """To the worklist for those who read slides, to the account for everyone else."""
    person = pages.signed_in_person(request)
    if person is None:
        return pages.to_sign_in(request)
    reads = not {role.value for role in READERS}.isdisjoint(person.roles)
    return RedirectResponse("/worklist" if reads else "/account", 303)


@router.get("/field", dependencies=[public("leads to the sign-in page; its data needs sign-in")])
def field_page(request: Request) -> Response:
    """The page that screens one field image at once."""
    person = pages.signed_in_person(request)
    if person is None:
        return pages.to_sign_in(request)
    analysis = request.query_params.get("analysis")
    query = f"&analysis={quote(analysis, safe='')}" if analysis else ""
    return pages.render(request, "field.html", person=person, language_query=query)


@router.get("/help", dependencies=[public("general help; holds no data")])
def help_page(request: Request) -> Response:
    """What the software does, the categories, its limits, what to do in trouble."""
    person = pages.signed_in_person(request)
    categories = [category.value for category in AI_CATEGORIES]
    return pages.render(request, "help.html", person=person, categories=categories)


@router.get("/upload", dependencies=[public("leads to the sign-in page; its data needs sign-in")])
def upload_page(request: Request) -> Response:
    """The page that sends many or large files; says so where its assets were not built."""
    return pages.upload_page(request, assets_built=UPLOAD_MODULE.is_file())


def mount(app: FastAPI) -> None:
    """Serve the pages' scripts, styles and pictures, compressed for slow lines; they hold nothing secret (BREACH)."""
    app.mount("/static", GZipMiddleware(StaticFiles(directory=STATIC), minimum_size=1024), name="static")
