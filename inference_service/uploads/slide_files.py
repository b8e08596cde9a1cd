"""The file to read a slide from, on this machine: its built pyramid where there is one, else the original."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.slides import one_shot, packed
from tamsoat.inference_service.slides.local_cache import LocalCache
from tamsoat.inference_service.slides.sniff import DICOM, TIFF, ZIP
from tamsoat.inference_service.storage.local import LocalStore
from tamsoat.inference_service.uploads.tables import BUILDING, UNREADABLE, Slide

UNPACK_TIMEOUT_S = 900.0
_FETCHED = "slide"


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
    """The slide as a local file, to be read only inside the ``with`` block; blocks while a copy is fetched or unpacked.

    Raises:
        SlideNotReadyError: its pyramid is still being built (409).
        SlideUnreadableError: it was found to be unreadable (422).
        ContentMissingError, StorageUnavailableError: the store has lost it, or does not answer.
    """
    if slide.condition == UNREADABLE:
        raise SlideUnreadableError("the file of this slide cannot be read; export it again and send it anew")
    if slide.condition == BUILDING:
        raise SlideNotReadyError("the slide is being prepared for viewing; ask again in a minute")
    if slide.pyramid_sha256 is None:
        with original(runtime, slide) as file:
            yield file
    else:
        with _plain(runtime, slide.pyramid_sha256) as path:
            yield SlideFile(path, TIFF)


@contextmanager
def original(runtime: Runtime, slide: Slide) -> Iterator[SlideFile]:
    """The slide as it came, whatever its condition.

    Raises:
        ImageError: a ZIP that cannot be unpacked.
        ContentMissingError, StorageUnavailableError: the store has lost it, or does not answer.
    """
    if slide.media_type not in (ZIP, DICOM):
        with _plain(runtime, slide.sha256) as path:
            yield SlideFile(path, slide.media_type)
        return

    def make(folder: Path) -> None:
        with runtime.store.local_path(slide.sha256) as path:
            _lay_out(runtime.settings, SlideFile(path, slide.media_type), folder)

    with cache_of(runtime.settings).entry(slide.sha256, make) as folder:
        yield _inside(folder, slide.media_type)


@contextmanager
def arrived(runtime: Runtime, path: Path, sha256: str, media_type: str) -> Iterator[SlideFile]:
    """A file that has just arrived, before it is stored, as :func:`original` will give it.

    Raises:
        ImageError: a ZIP that cannot be unpacked.
    """
    settings = runtime.settings
    if media_type == ZIP:
        with cache_of(settings).entry(sha256, partial(_lay_out, settings, SlideFile(path, media_type))) as folder:
            yield _inside(folder, media_type)
    elif media_type == DICOM:
        with tempfile.TemporaryDirectory(prefix="look-", dir=path.parent) as folder:
            _lay_out(settings, SlideFile(path, media_type), Path(folder))
            yield _inside(Path(folder), media_type)
    else:
        yield SlideFile(path, media_type)


def forget(runtime: Runtime, sha256: str) -> None:
    """Remove what was made of a file on this machine."""
    cache_of(runtime.settings).forget(sha256)


def cache_of(settings: Settings) -> LocalCache:
    """Unpacked and fetched slides of this machine."""
    return LocalCache(settings.data_folder / "slide-cache", settings.slide_cache_bytes)


@contextmanager
def _plain(runtime: Runtime, sha256: str) -> Iterator[Path]:
    """A file of one piece: where it is, or a copy that stays for the next reader."""
    if isinstance(runtime.store, LocalStore):
        with runtime.store.local_path(sha256) as path:
            yield path
        return

    def make(folder: Path) -> None:
        with runtime.store.local_path(sha256) as path:
            shutil.move(path, folder / _FETCHED)

    with cache_of(runtime.settings).entry(sha256, make) as folder:
        yield folder / _FETCHED


def _lay_out(settings: Settings, file: SlideFile, folder: Path) -> None:
    if file.media_type == ZIP:
        one_shot.run(
            packed.unpack,
            file.path,
            folder,
            settings.slide_cache_bytes,
            largest_bytes=settings.slide_cache_bytes,
            timeout_s=UNPACK_TIMEOUT_S,
        )
    elif file.path.name.endswith(".fetched") or sys.platform == "win32":
        shutil.copyfile(file.path, folder / "slide.dcm")
    else:
        os.symlink(file.path.absolute(), folder / "slide.dcm")


def _inside(folder: Path, media_type: str) -> SlideFile:
    """A DICOM file lies alone in its folder: its readers look for further instances beside it."""
    if media_type == DICOM:
        return SlideFile(folder / "slide.dcm", DICOM)
    found = packed.unpacked(folder)
    return SlideFile(found.path, found.media_type)
