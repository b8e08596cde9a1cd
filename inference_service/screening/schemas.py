"""What screening one image answers, on the command line (one JSON line) and over HTTP (the response body).

The field names and their nesting are a public contract: programs outside this project parse them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ModelIdentity(BaseModel):
    """Which model bundle produced the result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    digest: str = Field(description="SHA-256 (hex) of the bundle's SHA256SUMS: stands for weights and card")


class Quality(BaseModel):
    """Whether the image is fit for screening; cells are reported either way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usable: bool
    reasons: list[str] = Field(description="One word per defect, empty when usable")


class FieldAssessment(BaseModel):
    """The image as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: str = Field(description="Bethesda category proposed for the field")
    abnormal_probability: float = Field(ge=0, le=1, description="Probability that the field holds any abnormal cell")
    triage: Literal["routine", "review", "urgent"]


class Cell(BaseModel):
    """One nucleus that was found; pixels of the upright image, origin at its top left corner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x_px: float
    y_px: float
    category: str
    score: float = Field(ge=0, le=1, description="Detection score: how sure the network is that a nucleus is here")
    probabilities: dict[str, float] = Field(description="Calibrated probability per Bethesda category; sums to 1")


class ScreeningResult(BaseModel):
    """Everything found in one image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(description="Name of the image as it was handed in")
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    mpp: float = Field(gt=0, description="Microns per pixel that were stated for the image")
    model: ModelIdentity
    quality: Quality
    field: FieldAssessment
    cells: list[Cell] = Field(description="Most suspicious first")
    seconds: float = Field(ge=0, description="Wall time from opening the image to this result")


class SlideAssessment(FieldAssessment):
    """A slide as a whole, by the score of its field-sized windows (docs/screening.md). Fields, not slides, are what it
    was calibrated on and validated with."""

    validated_on: Literal["fields"] = "fields"


class SlideFacts(BaseModel):
    """How a slide was screened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tiles: int = Field(description="Tiles of the whole slide")
    analysed_tiles: int = Field(description="Those with anything but empty glass in them; all of these were analysed")
    cell_bearing_share: float = Field(ge=0, le=1, description="The latter over the former")
    out_of_focus_share: float = Field(ge=0, le=1, description="Of the tiles whose focus can be judged")
    planes: int = Field(ge=1, description="Focal planes; with several, each tile was screened in its sharpest")
    windows: int = Field(ge=1, description="Field-sized windows with cells, of which the score was made")
    abnormal_share: float = Field(ge=0, le=1, description="Estimated share of windows that hold an abnormal cell")


class SlideSummary(BaseModel):
    """What was found in one slide, without its cells. Coordinates of cells are pixels of the largest level."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    kind: Literal["slide"] = "slide"
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    mpp: float = Field(gt=0)
    model: ModelIdentity
    quality: Quality
    field: SlideAssessment
    slide: SlideFacts
    cells_total: int = Field(ge=0, description="How many nuclei were found")
    seconds: float = Field(ge=0, description="Wall time of the worker that finished it")
