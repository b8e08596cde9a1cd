"""Options that several commands share, the images that paths stand for, and the engine."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.errors import EXIT_INPUT, TamsoatError
from tamsoat.models.bundle import Bundle, default_bundle, read_bundle

SLIDE_SUFFIXES = frozenset({".svs", ".ndpi", ".mrxs", ".bif", ".scn", ".vms", ".dcm"})
"""Endings that only whole slides have."""
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}) | SLIDE_SUFFIXES

ObjectiveOption = Annotated[
    float | None, typer.Option(help="Objective the image was taken with: 10, 20, 40, 60 or 100.", show_default=False)
]
MppOption = Annotated[
    float | None, typer.Option(help="Microns per pixel, instead of the objective: 0.05 to 2.", show_default=False)
]
ModelOption = Annotated[
    Path | None, typer.Option(help="Folder of the model bundle; default: the one that ships.", show_default=False)
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: every core.", show_default=False)]
ProviderOption = Annotated[
    str | None,
    typer.Option(help="Device: cpu, cuda or tensorrt; default: the fastest that works.", show_default=False),
]


class NoInputError(TamsoatError):
    """The paths hold no image at all."""

    status = 400
    title = "No images"
    slug = "no-images"
    exit_code = EXIT_INPUT


@dataclass(frozen=True)
class ImageInput:
    """One image to open; ``name`` is what results call it."""

    path: Path
    name: str


def expand_paths(paths: Sequence[Path]) -> list[ImageInput]:
    """Files as given, folders as the images in them (by their suffix, subfolders too, sorted).

    An image is called by its file name; images whose file names are the same are called by their paths. How many
    other files a folder holds is said on stderr.

    Raises:
        NoInputError: not one image.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        files = sorted(entry for entry in path.rglob("*") if entry.is_file())
        images = [entry for entry in files if entry.suffix.lower() in IMAGE_SUFFIXES]
        if len(images) < len(files):
            sys.stderr.write(f"{path}: {len(files) - len(images)} files are not images by their names; left out\n")
        found.extend(images)
    if not found:
        listed = ", ".join(str(path) for path in paths)
        raise NoInputError(f"{listed}: no image found ({', '.join(sorted(IMAGE_SUFFIXES))})")
    names = Counter(path.name for path in found)
    return [ImageInput(path, path.name if names[path.name] == 1 else str(path)) for path in found]


def open_bundle(model: Path | None) -> Bundle:
    """The bundle in folder ``model``, or the one that ships; raises BundleError when it is not whole."""
    return read_bundle(model if model is not None else default_bundle())


@contextmanager
def open_engine(model: Path | None, *, threads: int | None = None, provider: str | None = None) -> Iterator[Engine]:
    """A verified, tested engine that is closed at the end of the block.

    Raises:
        BundleError: the bundle is missing, incomplete or altered.
        EngineError: it does not run here.
    """
    bundle = open_bundle(model)
    with Engine(bundle, providers=None if provider is None else [provider], threads=threads) as engine:
        yield engine
