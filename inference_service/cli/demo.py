"""``tamsoat demo``: everything on one generated field, on a machine that has no data."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.datasets.synthetic import SYNTHETIC_NOTICE, make_field, save_field
from tamsoat.inference_service.cli.example import make
from tamsoat.inference_service.cli.inputs import ModelOption, open_engine
from tamsoat.inference_service.cli.output import make_folder, text_output
from tamsoat.inference_service.cli.render import write_pictures
from tamsoat.inference_service.examples.content import FINISHED
from tamsoat.inference_service.screening.result import screen_image
from tamsoat.inference_service.screening.scale import resolve_scale
from tamsoat.inference_service.screening.schemas import ScreeningResult
from tamsoat.inference_service.settings import load_settings
from tamsoat.inference_service.slides.decode import decode_file

DEMO_OBJECTIVE = 40
_SHOWN_CELLS = 8


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files; made when missing.")] = Path("var/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another number, another field.")] = 3,
    model: ModelOption = None,
) -> None:
    """Generate one field, screen it, draw the findings, and name the files written."""
    make_folder(out)
    source = out / "field.png"
    field = make_field(seed)
    save_field(field, source)
    with open_engine(model) as engine:
        image = decode_file(source)
        result = screen_image(engine, image, resolve_scale(DEMO_OBJECTIVE, None), source.name)
    results = out / "results.jsonl"
    with text_output(results) as stream:
        stream.write(result.model_dump_json() + "\n")
    pictures = write_pictures(out / "field", image, result)
    drawn = Counter(AI_CATEGORIES[index].value for index in field.category.tolist())
    listed = ", ".join(f"{name} {number}" for name, number in drawn.most_common())
    _print(f"{SYNTHETIC_NOTICE}. {len(field.xy_px)} nuclei were drawn: {listed}. It says nothing about real smears.")
    _print_findings(result)
    _print("\nfiles:")
    for path in (source, results, *pictures):
        _print(f"  {path}")
    _finished_case(out, model)


def _finished_case(out: Path, model: Path | None) -> None:
    """A case that was screened, read by two pathologists and signed, and how to open its page."""
    url = f"sqlite:///{out / 'tamsoat.db'}"
    settings = load_settings(database_url=url, model=model)
    _print("\na made-up case, from the order to the signed report:")
    made = make(settings, (FINISHED,))
    _print("\nTo open the finished case, start")
    _print(f"  {Path(sys.argv[0])} serve --database-url {url}")
    _print("and go to")
    _print(f"  http://{settings.host}:{settings.port}/cases/{made.finished_case}")


def _print_findings(result: ScreeningResult) -> None:
    counts = Counter(cell.category for cell in result.cells)
    listed = ", ".join(f"{name} {number}" for name, number in counts.most_common())
    _print(f"\n{len(result.cells)} nuclei found in {result.seconds:.2f} s: {listed or 'none'}")
    _print(
        f"field: {result.field.category}, P(abnormal) {result.field.abnormal_probability:.2f}, {result.field.triage}; "
        f"quality: {'usable' if result.quality.usable else ', '.join(result.quality.reasons)}"
    )
    _print("\n      x      y  category  score  P(category)")
    for cell in result.cells[:_SHOWN_CELLS]:
        probability = cell.probabilities[cell.category]
        _print(f"{cell.x_px:7.0f}{cell.y_px:7.0f}  {cell.category:8}  {cell.score:5.2f}  {probability:11.2f}")
    if len(result.cells) > _SHOWN_CELLS:
        _print(f"  and {len(result.cells) - _SHOWN_CELLS} more, in results.jsonl")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
