"""Slides for the benchmarks: mosaics of real fields where they are given, else of synthetic ones; made once."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tamsoat.datasets.synthetic.mosaic import make_slide
from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.screening.slide_reading import SlideSource
from tamsoat.inference_service.slides.pyramid import open_pyramid
from tamsoat.models.bundle import default_bundle, read_bundle

TIFF = "image/tiff"


def parser(description: str | None, side_px: int) -> argparse.ArgumentParser:
    """The options that all slide benchmarks share."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, help="bundle folder (default: the one that ships)")
    options.add_argument("--fields", type=Path, help="folder of real fields (its dataset folder is used)")
    options.add_argument("--slide", type=Path, help="use this slide instead of making one")
    options.add_argument("--side-px", type=int, default=side_px, help="side of the slide that is made (%(default)s)")
    options.add_argument("--threads", type=int, default=None, help="threads of the network (default: every core)")
    return options


def slide_of(options: argparse.Namespace, side_px: int) -> Path:
    """The slide to use, made where it is missing (kept in the folder for temporary files)."""
    if options.slide is not None:
        return Path(options.slide)
    dataset = options.fields
    if dataset is not None and not (dataset / "cells.csv").is_file():
        dataset = dataset.parent
    kind = "real" if dataset is not None else "synthetic"
    path = Path(tempfile.gettempdir()) / "tamsoat-bench" / f"{kind}-{side_px}.tif"
    if not path.is_file():
        print(f"making {path}", flush=True)
        partial = path.with_suffix(".partial.tif")
        make_slide(partial, side_px, side_px, 1, fields=dataset)
        partial.rename(path)
    return path


def engine_of(options: argparse.Namespace) -> Engine:
    """The engine of the bundle that was asked for."""
    folder = options.model if options.model is not None else default_bundle()
    return Engine(read_bundle(folder), threads=options.threads)


def source_of(path: Path, mpp: float = 0.25) -> SlideSource:
    """The slide, ready to be read."""
    with open_pyramid(path, TIFF) as pyramid:
        return SlideSource(path, TIFF, pyramid.info, pyramid.info.mpp or mpp)
