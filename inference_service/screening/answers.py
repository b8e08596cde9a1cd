"""What the HTTP service adds to a screening result: its identifier, and the list of what was stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.inference_service.screening.schemas import (
    Cell,
    FieldAssessment,
    ModelIdentity,
    Quality,
    ScreeningResult,
    SlideAssessment,
    SlideFacts,
    SlideSummary,
)

EXAMPLE: dict[str, Any] = {
    "image": "sha256:3f5a7c0f6d0c9e0b7b1f9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c",
    "width_px": 1376,
    "height_px": 1020,
    "mpp": 0.25,
    "model": {
        "name": "tamsoat-cric",
        "version": "1.0.0",
        "digest": "9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c3f5a7c0f6d0c9e0b7b1f",
    },
    "quality": {"usable": True, "reasons": []},
    "field": {"category": "HSIL", "abnormal_probability": 0.97, "triage": "urgent"},
    "cells": [
        {
            "x_px": 412.5,
            "y_px": 733.0,
            "category": "HSIL",
            "score": 0.94,
            "probabilities": dict(
                zip((c.value for c in AI_CATEGORIES), (0.02, 0.02, 0.05, 0.13, 0.75, 0.03), strict=True)
            ),
        }
    ],
    "seconds": 0.41,
    "analysis_id": "0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11",
}


class AnalysisAnswer(ScreeningResult):
    """A stored analysis: the JSON of ``tamsoat screen`` plus its identifier.

    ``image`` is ``sha256:<digest of the uploaded bytes>``: names of uploaded files may name patients, so they
    are neither kept nor repeated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    analysis_id: str = Field(description="Identifier of the stored analysis (UUID)")


class SlideAnswer(SlideSummary):
    """A stored analysis of a slide, with all of its cells."""

    analysis_id: str
    cells: list[Cell]


State = Literal["queued", "running", "completed", "failed", "cancelled"]
Priority = Literal["stat", "urgent", "routine"]
Triage = Literal["routine", "review", "urgent"]


class JobProgress(BaseModel):
    """How far a job is."""

    model_config = ConfigDict(frozen=True)

    step: Literal["fetch", "decode", "analyse", "store"] | None = Field(description="Null while it does not run")
    done: int = Field(description="Tiles analysed")
    total: int = Field(description="Tiles in all; 0 before they are counted")
    seconds_left: float | None = Field(description="Estimate, seconds; null while there is nothing to go by")


class JobProblem(BaseModel):
    """Why a job failed: the members of RFC 9457."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    detail: str


class JobState(BaseModel):
    """State of one analysis."""

    model_config = ConfigDict(frozen=True)

    analysis_id: str = Field(description="Identifier (UUID)")
    state: State
    progress: JobProgress | None = None
    problem: JobProblem | None = Field(None, description="Only when failed")


class AnalysisView(JobState):
    """One analysis. The result members are there once it is completed.

    An image that was screened while the caller waited has the members of that answer and `state`; a job also tells
    `progress`, `slide_id`, `order_id`, `priority`, `attempts`, `created_at`, and `problem` when it failed.
    """

    slide_id: str | None = None
    order_id: str | None = None
    priority: Priority | None = None
    attempts: int | None = Field(None, description="1, and one more for every retry")
    created_at: datetime | None = Field(None, description="When it was requested, UTC")
    image: str | None = Field(None, description="`sha256:<digest of the bytes>`")
    width_px: int | None = None
    height_px: int | None = None
    mpp: float | None = None
    model: ModelIdentity | None = None
    quality: Quality | None = None
    kind: Literal["field", "slide"] | None = None
    field: FieldAssessment | SlideAssessment | None = None
    slide: SlideFacts | None = Field(None, description="Only of a whole slide")
    cells: list[Cell] | None = Field(None, description="The most suspicious first, at most 1,000")
    cells_total: int | None = Field(None, description="How many nuclei were found; `/findings` has all of them")
    seconds: float | None = None


class AnalysisMapView(BaseModel):
    """The slide as a grid of squares, row by row from the upper left corner."""

    model_config = ConfigDict(frozen=True)

    complete: bool
    columns: int
    rows: int
    tile_um: float = Field(description="Side of a square in micrometres")
    qualities: dict[str, str] = Field(description="What the numbers of `quality` mean")
    quality: list[int]
    suspicion: list[float | None] = Field(
        description="Highest score times 1 - P(NILM); null where nothing was screened"
    )
    plane: list[int] = Field(description="Focal plane that was screened")


class AnalysisSummary(BaseModel):
    """One line of the list of analyses; what only a result can tell is null until there is one."""

    model_config = ConfigDict(frozen=True)

    analysis_id: str
    state: State
    priority: Priority
    slide_id: str | None
    order_id: str | None
    created_at: datetime = Field(description="When it was requested, UTC")
    finished_at: datetime | None
    progress: JobProgress | None = Field(description="Of a job that waits or runs")
    problem: JobProblem | None
    mpp: float
    triage: Triage | None
    image_sha256: str | None
    width_px: int | None
    height_px: int | None
    model_name: str | None
    model_version: str | None
    model_digest: str | None
    provider: str | None = Field(description="ONNX Runtime execution provider that computed it")
    usable: bool | None
    category: str | None
    abnormal_probability: float | None
    cells: int | None = Field(description="How many nuclei were found")
    seconds: float | None


class AnalysisPage(BaseModel):
    """A page of analyses, newest first."""

    items: list[AnalysisSummary]
    next_before: str | None = Field(
        description="`before` of the next page (the last analysis of this one); null when this is the last page"
    )
