"""The images of the example cases, drawn at the moment when they are needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tamsoat.datasets.synthetic import make_field, save_field
from tamsoat.datasets.synthetic.mosaic import make_slide
from tamsoat.inference_service.examples.content import SLIDE_SIDE_PX, ExampleCase
from tamsoat.inference_service.uploads.acceptance import WholeFile

FIELD_MPP = 0.25
SLIDE_FIELDS = 6
"""Different fields that the whole slide is laid out of."""


def draw(case: ExampleCase, folder: Path) -> WholeFile:
    """Write the case's image into ``folder``."""
    if case.whole_slide:
        path = folder / f"{case.number}.tif"
        make_slide(path, SLIDE_SIDE_PX, SLIDE_SIDE_PX, case.seed, None, SLIDE_FIELDS)
    else:
        path = folder / f"{case.number}.jpg"
        save_field(make_field(case.seed, theme=case.theme), path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return WholeFile(path, digest, path.stat().st_size)
