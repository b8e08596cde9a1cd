"""The upload page and its assets."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from tamsoat.inference_service.accounts.access import public
from tamsoat.inference_service.web import pages

STATIC = Path(__file__).resolve().parent / "static"
UPLOAD_MODULE = STATIC / "assets" / "upload.js"

router = APIRouter(include_in_schema=False)
router.include_router(pages.router)


@router.get("/", dependencies=[public("the page; its data needs sign-in")])
def index(request: Request) -> Response:
    """The page that screens one image; everything it needs comes from this server."""
    if pages.signed_in(request) is None:
        return pages.to_sign_in(request)
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


@router.get("/upload", dependencies=[public("leads to the sign-in page; its data needs sign-in")])
def upload_page(request: Request) -> Response:
    """The page that sends many or large files; says so where its assets were not built."""
    return pages.upload_page(request, assets_built=UPLOAD_MODULE.is_file())


def mount(app: FastAPI) -> None:
    """Serve the page's script, style and texts."""
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
