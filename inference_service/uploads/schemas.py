"""Slides and uploads as they go over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Priority = Literal["routine", "urgent", "stat"]
Condition = Literal["ready", "needs-scale", "building", "unreadable"]
UploadState = Literal["receiving", "completed", "failed"]

_SLIDE: dict[str, Any] = {
    "slide_id": "5a0d7c9e-2f1b-4c56-8f0e-6c3a3a2b1f00",
    "sha256": "3f5a7c0f6d0c9e0b7b1f9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c",
    "bytes": 201139,
    "media_type": "image/jpeg",
    "mpp": 0.25,
    "mpp_source": "file",
    "width_px": 46000,
    "height_px": 32914,
    "format": "openslide:aperio",
    "objective": 40.0,
    "planes": 1,
    "condition": "ready",
    "pyramid_percent": 0,
    "case_id": "9c1f0f52-55b5-4f7e-8f0a-7b6d6c2f1a10",
    "order_id": None,
    "analysis_id": "0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11",
    "created_at": "2026-11-22T08:00:00Z",
}
_UPLOAD: dict[str, Any] = {
    "upload_id": "0f7b5a6e-93a3-4d6a-a7c0-1f2e3d4c5b6a",
    "state": "completed",
    "length_bytes": 201139,
    "offset_bytes": 201139,
    "expires_at": "2026-11-25T08:00:00Z",
    "slide_id": _SLIDE["slide_id"],
    "analysis_id": _SLIDE["analysis_id"],
    "duplicate": False,
    "problem": None,
}


class SlideAnswer(BaseModel):
    """A stored slide. The name of its file is not kept."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_SLIDE]})

    slide_id: str
    sha256: str = Field(description="Of the bytes as they came, lower-case hex")
    bytes: int
    media_type: str = Field(description="Decided by content")
    mpp: float | None = Field(description="Micrometres per level-0 pixel; null: to be stated by PATCH")
    mpp_source: Literal["stated", "file"] = Field(description="Who says so")
    width_px: int | None = Field(description="Of level 0; null: the file cannot be read")
    height_px: int | None
    format: str | None = Field(description="How it is opened, for example `field` or `openslide:aperio`")
    objective: float | None = Field(description="Nominal magnification, as the file says")
    planes: int = Field(description="Focal planes")
    condition: Condition = Field(
        description="`ready`; `needs-scale`: state it by PATCH; `building`: its pyramid is being built; `unreadable`"
    )
    pyramid_percent: int = Field(description="How much of the pyramid is built, while `building`")
    case_id: str | None
    order_id: str | None
    analysis_id: str | None = Field(
        description="The first screening; null until the slide is ready and its scale is known"
    )
    created_at: datetime


class SlideAccepted(SlideAnswer):
    """The answer to a sent slide."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{**_SLIDE, "duplicate": False}]})

    duplicate: bool = Field(description="Whether the facility had these bytes already; nothing new was made then")


class SlidePage(BaseModel):
    """A page of slides, newest first."""

    items: list[SlideAnswer]
    next_before: str | None = Field(description="`before` of the next page; null when this is the last page")


class UploadAnswer(BaseModel):
    """How far a resumable upload has come, and what became of it."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_UPLOAD]})

    upload_id: str
    state: UploadState
    length_bytes: int
    offset_bytes: int = Field(description="How much has arrived for certain")
    expires_at: datetime = Field(description="When it is forgotten unless more arrives")
    slide_id: str | None
    analysis_id: str | None
    duplicate: bool
    problem: str | None = Field(description="What was wrong with the whole file: last part of a problem's type")


class ScaleStatement(BaseModel):
    """The scale of a slide that states none itself: exactly one of both."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"objective": 40}]})

    objective: float | None = Field(None, description="Magnification: 10, 20, 40, 60 or 100")
    mpp: float | None = Field(None, description="Micrometres per pixel, 0.05 to 2")
