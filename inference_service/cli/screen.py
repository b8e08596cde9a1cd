"""``tamsoat screen``: findings of images as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from tamsoat.inference_service.cli import slides
from tamsoat.inference_service.cli.inputs import (
    ImageInput,
    ModelOption,
    MppOption,
    ObjectiveOption,
    ProviderOption,
    ThreadsOption,
    expand_paths,
    open_engine,
)
from tamsoat.inference_service.cli.output import text_output
from tamsoat.inference_service.cli.pipeline import Outcome, screen_files
from tamsoat.inference_service.cli.progress import FieldProgress
from tamsoat.inference_service.engine.engine import Engine
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.screening.scale import resolve_scale
from tamsoat.inference_service.screening.slide_result import SlideResult
from tamsoat.inference_service.slides.slide_process import SlideReader

EXIT_MIXED = 1
"""Images failed for reasons with different exit codes."""


def screen(
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.", show_default=False)],
    objective: ObjectiveOption = None,
    mpp: MppOption = None,
    model: ModelOption = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the results; default: standard output.", show_default=False)
    ] = None,
    threads: ThreadsOption = None,
    provider: ProviderOption = None,
) -> None:
    """Find and grade the cells of images and whole slides; one JSON object per image and line.

    The scale must be stated: --objective or --mpp; only a slide whose file has it needs none. An image that cannot be
    used gives one line on stderr, the others are screened, and the exit code is not 0.
    """
    inputs = expand_paths(paths)
    stated = objective is not None or mpp is not None
    scale = resolve_scale(objective, mpp) if stated or not all(map(slides.media_type_of, inputs)) else None
    codes: set[int] = set()
    with (
        open_engine(model, threads=threads, provider=provider) as engine,
        text_output(out) as stream,
        FieldProgress(len(inputs)) as progress,
    ):
        for outcome in _screened(engine, inputs, scale):
            if isinstance(outcome, TamsoatError):
                progress.note(f"error: {outcome}")
                codes.add(outcome.exit_code)
            elif isinstance(outcome, SlideResult):
                slides.write_result(stream, outcome)
            else:
                stream.write(outcome.model_dump_json() + "\n")
            stream.flush()
            progress.advance()
    if codes:
        raise typer.Exit(codes.pop() if len(codes) == 1 else EXIT_MIXED)


def _screened(engine: Engine, inputs: list[ImageInput], mpp: float | None) -> Iterator[Outcome | SlideResult]:
    """The results in the order of ``inputs``; neighbouring fields are opened ahead of each other."""
    with closing(SlideReader(1, slides.MEMORY_MIB, slides.TIMEOUT_S)) as reader:
        for may_be_slide, group in groupby(inputs, lambda image: slides.media_type_of(image) is not None):
            if not may_be_slide:
                assert mpp is not None
                yield from (outcome for _, outcome in screen_files(engine, list(group), mpp))
                continue
            for image in group:
                yield _screen_one(engine, reader, image, mpp)


def _screen_one(engine: Engine, reader: SlideReader, image: ImageInput, mpp: float | None) -> Outcome | SlideResult:
    """A file that may be a slide."""
    try:
        source = slides.open_slide(reader, image, mpp)
        if source is not None:
            return slides.screen_slide(engine, source, image.name)
        scale = mpp if mpp is not None else resolve_scale(None, None)
    except TamsoatError as error:
        return error
    [(_, outcome)] = screen_files(engine, [image], scale)
    return outcome
