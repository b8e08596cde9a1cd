"""What the viewer is told of a slide."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

Condition = Literal["ready", "needs-scale", "building", "unreadable"]


class SlideView(BaseModel):
    """One slide as the viewer needs it."""

    slide_id: str
    case_id: str | None = Field(description="The case it belongs to")
    width_px: int = Field(description="At full resolution")
    height_px: int
    mpp: float | None = Field(description="Micrometres per pixel at full resolution; null: not stated")
    tile_px: int = Field(description="Side of a tile; those at the right and lower edges are smaller")
    levels: int = Field(description="Deep Zoom number of the highest level, that of full resolution")
    objective: float | None = Field(description="Nominal magnification, as the file says")
    planes: int = Field(description="Focal planes")
    best_plane: int = Field(description="The plane to show first")
    format: str | None = Field(description="How it is opened: `field`, `openslide:aperio`, `dicom`, …")
    condition: Condition
    thumbnail: str = Field(description="Address of a picture of the whole slide")
