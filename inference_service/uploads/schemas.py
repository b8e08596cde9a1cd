"""Slides and uploads as they go over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Priority = Literal["routine", "urgent", "stat"]
UploadState = Literal["receiving", "completed", "failed"]

_SLIDE: dict[str, Any] = {
    "slide_id": "5a0d7c9e-2f1b-4c56-8f0e-6c3a3a2b1f00",
    "sha256": "3f5a7c0f6d0c9e0b7b1f9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c",
    "bytes": 201139,
    "media_type": "image/jpeg",
    "mpp": 0.25,
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
    mpp: float = Field(description="Micrometres per pixel, as stated")
    order_id: str | None
    analysis_id: str | None = Field(description="The screening that was asked for when it arrived")
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
