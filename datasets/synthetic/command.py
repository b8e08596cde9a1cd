"""Commands that draw synthetic data; ``datasets/cli.py`` registers them under ``tamsoat data``."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.datasets.errors import DatasetError
from tamsoat.datasets.progress import LINE_EVERY_S
from tamsoat.datasets.synthetic.dataset import save_field, write_dataset
from tamsoat.datasets.synthetic.fields import make_field
from tamsoat.datasets.synthetic.layout import Theme
from tamsoat.datasets.synthetic.mosaic import MOST_FIELDS, make_slide
from tamsoat.datasets.synthetic.slide_file import write_slide

Seed = Annotated[int, typer.Option(min=0, help="The same seed draws the same pixels.")]
ThemeChoice = Annotated[Theme | None, typer.Option(help="What the abnormal cells are; drawn when not given.")]


def register(app: typer.Typer) -> None:
    """Add ``synth``, ``synth-field``, ``synth-slide`` and ``slide`` to a typer application."""
    app.command("synth")(synth)
    app.command("synth-field")(synth_field)
    app.command("synth-slide")(synth_slide)
    app.command("slide")(slide)


def synth(
    folder: Annotated[Path, typer.Argument(help="New folder for images, manifest and truth.")],
    fields: Annotated[int, typer.Option(min=1, help="Number of fields.")] = 40,
    seed: Seed = 0,
    size: Annotated[str, typer.Option(help="Width x height of a field in px.")] = "1280x960",
    folds: Annotated[int, typer.Option(min=0, help="Folds to deal the groups to; 0 for none.")] = 5,
) -> None:
    """Draw a SYNTHETIC dataset of Pap-stained fields with known nuclei (no patient, no real smear)."""
    with _errors_shown(), _progress("fields") as on_field:
        width_px, height_px = parse_size(size)
        manifest = write_dataset(folder, fields, seed, folds, width_px, height_px, on_field=on_field)
    counts = [0] * len(AI_CATEGORIES)
    for nuclei in manifest.nuclei.values():
        for category in nuclei.category:
            counts[int(category)] += 1
    found = ", ".join(f"{category.value} {n}" for category, n in zip(AI_CATEGORIES, counts, strict=True))
    typer.echo(f"{folder}: {fields} SYNTHETIC fields, nuclei: {found}; digest {manifest.digest[:12]}")


def synth_field(
    image: Annotated[Path, typer.Argument(help="The .png or .jpg to write; nuclei go to IMAGE.nuclei.csv.")],
    seed: Seed = 0,
    size: Annotated[str, typer.Option(help="Width x height in px (0.25 um each).")] = "1280x960",
    theme: ThemeChoice = None,
) -> None:
    """Draw one SYNTHETIC field and its nuclei."""
    with _errors_shown():
        field = make_field(seed, *parse_size(size), theme=theme)
        image.parent.mkdir(parents=True, exist_ok=True)
        save_field(field, image)
    truth = image.with_name(image.name + ".nuclei.csv")
    with truth.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("image", "category", "x", "y", "radius_px", "kind"))
        for (x, y), category, radius, kind in zip(
            field.xy_px, field.category, field.radius_px, field.kinds, strict=True
        ):
            place = (f"{x:.2f}", f"{y:.2f}", f"{radius:.2f}")
            writer.writerow((image.name, AI_CATEGORIES[category].value, *place, kind))
    typer.echo(f"{image}: SYNTHETIC field, theme {field.theme.value}, {len(field.kinds)} nuclei in {truth}")


def synth_slide(
    image: Annotated[Path, typer.Argument(help="The .tif to write; nuclei go to IMAGE.nuclei.csv.")],
    seed: Seed = 0,
    size: Annotated[str, typer.Option(help="Width x height in px.")] = "8192x8192",
    mpp: Annotated[float, typer.Option(help="Microns per pixel: 0.25, 0.5 or 1.")] = 0.25,
    theme: ThemeChoice = None,
) -> None:
    """Draw a SYNTHETIC whole slide as a pyramidal TIFF (needs the extra ``train``)."""
    with _errors_shown(), _progress("tiles") as on_tile:
        slide = write_slide(image, *parse_size(size), seed, mpp, theme, on_tile)
    typer.echo(f"{image}: SYNTHETIC slide, theme {slide.plan.theme.value}, {slide.n_nuclei} nuclei in {slide.nuclei}")


def slide(
    image: Annotated[Path, typer.Argument(help="The .tif to write; the known nuclei go to IMAGE.truth.csv.")],
    seed: Seed = 0,
    size: Annotated[str, typer.Option(help="Width x height in px.")] = "8192x8192",
    fields: Annotated[Path | None, typer.Option(help="Dataset whose fields to lay out; without it, SYNTHETIC.")] = None,
    n_fields: Annotated[int, typer.Option(min=1, max=200, help="How many different fields.")] = MOST_FIELDS,
) -> None:
    """Lay labelled fields out on glass as a test slide with known truth: large, and quick to make."""
    with _errors_shown():
        made = make_slide(image, *parse_size(size), seed, fields, n_fields)
    typer.echo(f"{image}: test slide at {made.mpp:g} um/px, {len(made.category)} labelled nuclei in {made.truth_csv}")


def parse_size(text: str) -> tuple[int, int]:
    """Return (width_px, height_px) from ``WIDTHxHEIGHT``.

    Raises:
        DatasetError: any other text.
    """
    width, separator, height = text.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise DatasetError(f"size {text!r}: expected WIDTHxHEIGHT in px, for example 1280x960")
    return int(width), int(height)


class _Steps:
    """Moves a progress bar, or writes a line every ten seconds where stderr is not a terminal."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress, self._what = progress, what
        self._task = progress.add_task(what, total=None)
        self._start_s = self._shown_s = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Report ``done`` of ``total``."""
        self._progress.update(self._task, completed=done, total=total)
        now_s = time.monotonic()
        if self._progress.disable and now_s - self._shown_s >= LINE_EVERY_S:
            left_s = (now_s - self._start_s) / done * (total - done)
            sys.stderr.write(f"{self._what}: {done} of {total}, about {left_s:.0f} s left\n")
            sys.stderr.flush()
            self._shown_s = now_s


@contextmanager
def _progress(what: str) -> Iterator[_Steps]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield _Steps(progress, what)


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Turn a DatasetError into its text on stderr and exit code 1."""
    try:
        yield
    except DatasetError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
