"""The file to read a slide from, on this machine: its built pyramid where there is one, else the original."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.slides.sniff import TIFF
from tamsoat.inference_service.uploads.tables import BUILDING, UNREADABLE, Slide


class SlideNotReadyError(TamsoatError):
    """The pyramid of this slide is being built; it can be looked at in a few minutes."""

    status = 409
    title = "Slide is being prepared"
    slug = "slide-being-prepared"

    def http_headers(self) -> dict[str, str]:
        return {"Retry-After": "10"}


class SlideUnreadableError(TamsoatError):
    """The slide arrived and its file cannot be read; the original can be fetched."""

    status = 422
    title = "Slide cannot be read"
    slug = "slide-unreadable"


class SlideFile(NamedTuple):
    """What :class:`~tamsoat.inference_service.slides.slide_process.SlideReader` and ``stream_regions`` take."""

    path: Path
    media_type: str


@contextmanager
def readable(runtime: Runtime, slide: Slide) -> Iterator[SlideFile]:
    """The slide as a local file, to be read only inside the ``with`` block; blocks while a copy is fetched.

    Raises:
        SlideNotReadyError: its pyramid is still being built (409).
        SlideUnreadableError: it was found to be unreadable (422).
        ContentMissingError, StorageUnavailableError: the store has lost it, or does not answer.
    """
    if slide.condition == UNREADABLE:
        raise SlideUnreadableError("the file of this slide cannot be read; export it again and send it anew")
    if slide.pyramid_sha256 is not None:
        with runtime.store.local_path(slide.pyramid_sha256) as path:
            yield SlideFile(path, TIFF)
        return
    if slide.condition == BUILDING:
        raise SlideNotReadyError("the slide is being prepared for viewing; ask again in a minute")
    with runtime.store.local_path(slide.sha256) as path:
        yield SlideFile(path, slide.media_type)
