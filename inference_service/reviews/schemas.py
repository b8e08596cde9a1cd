"""Marks, coverage and first impressions as they go over the wire."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tamsoat.datasets.categories import Category
from tamsoat.inference_service.reviews.vocabulary import CELL_CATEGORIES, ON_FINDINGS, WITH_CATEGORY, MarkKind
from tamsoat.inference_service.transport.text import Text

MOST_TOGETHER = 5000
"""Findings that one action may be about."""
MOST_LOOKED = 1024
"""Ranks of findings that are remembered as chosen one by one; the first ones are the most suspicious."""
MOST_GRID_BYTES = 2**17

MARK_EXAMPLE: dict[str, Any] = {
    "batch": "6f1c3f86-6d0e-4d6f-9d55-0f4b1a1f8d10",
    "slide_id": "0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11",
    "analysis_id": "5a0c7a3e-3c7b-4b0e-8a53-7d1f2d110b7e",
    "kind": "regrade",
    "ranks": [3],
    "category": "LSIL",
}


def _of_cells(category: Category) -> Category:
    if category not in CELL_CATEGORIES:
        raise ValueError(f"{category.value} is said of specimens, not of cells")
    return category


CellCategory = Annotated[Category, AfterValidator(_of_cells)]


class NewMarks(BaseModel):
    """One action of a reader: the same said of some findings of a slide, or one cell that the AI missed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [MARK_EXAMPLE]})

    batch: UUID = Field(description="Made by the caller for this action; sending it again changes nothing")
    slide_id: Annotated[Text, StringConstraints(min_length=1, max_length=64)] = Field(description="A slide of the case")
    kind: MarkKind
    analysis_id: Annotated[Text, StringConstraints(max_length=64)] | None = Field(
        None, description="The analysis that the ranks belong to"
    )
    ranks: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(
        default_factory=list, max_length=MOST_TOGETHER, description="Findings that are agreed with, regraded, dismissed"
    )
    x_px: float | None = Field(None, ge=0, lt=2**31, allow_inf_nan=False, description="Of an added cell: its centre")
    y_px: float | None = Field(
        None, ge=0, lt=2**31, allow_inf_nan=False, description="At full resolution, from the top"
    )
    category: CellCategory | None = Field(None, description="Of regraded and added cells")
    comment: Annotated[Text, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True)] | None = Field(
        None, description="Stored encrypted, erased with the patient"
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if (self.category is not None) != (self.kind in WITH_CATEGORY):
            raise ValueError("category goes with regrade and add, and only with them")
        if self.kind in ON_FINDINGS:
            if not self.ranks or self.analysis_id is None or self.x_px is not None or self.y_px is not None:
                raise ValueError("agree, regrade and dismiss need analysis_id and ranks, and no coordinates")
            if len(set(self.ranks)) != len(self.ranks):
                raise ValueError("ranks must differ")
        elif self.x_px is None or self.y_px is None or self.ranks or self.analysis_id is not None:
            raise ValueError("add needs x_px and y_px, and neither ranks nor analysis_id")
        return self


class MarkBatch(BaseModel):
    """What became of one action."""

    batch: str
    kind: MarkKind
    count: int = Field(description="Marks in it")
    created_at: datetime
    withdrawn_at: datetime | None = Field(description="Null: it stands")


class MarkOut(BaseModel):
    """One mark of one reader."""

    mark_id: str
    batch: str
    slide_id: str
    analysis_id: str | None
    author: str = Field(description="Account identifier, or `local`")
    author_name: str = Field(description="Empty for work without sign-in")
    mine: bool = Field(description="Whether the caller made it")
    kind: MarkKind
    rank: int | None = Field(description="Of the finding; null for an added cell")
    x_px: float
    y_px: float
    category: Category | None
    comment: str | None
    created_at: datetime
    withdrawn_at: datetime | None


class MarkList(BaseModel):
    """The marks of a case, oldest first; the latest one of a reader on a finding counts."""

    case_id: str
    items: list[MarkOut]


def _bytes_of(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64") from error
    return text


class CoverageIn(BaseModel):
    """What was in view since the last time; it is added to what is known."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"columns": 4, "rows": 3, "cell_um": 100.0, "bits": "DwA=", "looked": [0, 1]}]},
    )

    columns: int = Field(ge=1, le=2**20, description="Of the grid that GET answers")
    rows: int = Field(ge=1, le=2**20)
    cell_um: float = Field(gt=0, allow_inf_nan=False)
    bits: Annotated[str, StringConstraints(max_length=4 * MOST_GRID_BYTES // 3 + 4), AfterValidator(_bytes_of)] = Field(
        "", description="Base64; cell i, row after row from the top left, is bit i & 7 of byte i >> 3; empty: nothing"
    )
    looked: list[Annotated[int, Field(ge=0, lt=MOST_LOOKED)]] = Field(
        default_factory=list, max_length=MOST_LOOKED, description="Ranks of findings that were chosen"
    )


class CoverageOut(BaseModel):
    """What the caller has had in view of a slide at the magnification of screening or a higher one."""

    columns: int
    rows: int
    cell_um: float = Field(description="Side of a cell of the grid, micrometres")
    bits: str = Field(description="Base64, see `CoverageIn`")
    looked: list[int] = Field(description="Ranks of findings that the caller has chosen one by one")
    share_of_slide: float = Field(ge=0, le=1)
    share_of_cells: float | None = Field(description="Of the area that bears cells; null where that is not known")


class BlindReadIn(BaseModel):
    """A first impression, before the AI is shown."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"category": "NILM"}]})

    category: Category = Field(description="Any Bethesda category, `unsatisfactory` included")


class BlindReadOut(BaseModel):
    """The first impression that is stored; it does not change any more."""

    category: Category
    at: datetime


class FindingOut(BaseModel):
    """One finding of the AI with all its probabilities."""

    rank: int
    x_px: float
    y_px: float
    category: str
    score: float = Field(description="Detection score, 0 to 1")
    probabilities: dict[str, float] = Field(description="Calibrated, per Bethesda category; they sum to 1")
