"""Settings: review of cases."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ReviewSettings(BaseModel):
    """Review of cases."""

    review_findings: int = Field(
        24,
        ge=0,
        le=1000,
        description="findings of each slide that a reader is asked to look at, the most suspicious ones, count; "
        "0: every one above the model's operating point",
    )
