"""Settings: reading whole slides."""

from __future__ import annotations

from pydantic import BaseModel, Field


class SlideSettings(BaseModel):
    """Reading whole slides in processes of their own."""

    slide_memory_mib: int = Field(
        1024, ge=256, le=65536, description="memory that one process which reads slides may take, MiB; more answers 422"
    )
    slide_timeout_s: float = Field(
        30.0, gt=0, le=600, description="seconds that reading one region may take; more answers 422"
    )
    slide_cache_gib: float = Field(
        20.0,
        ge=0.1,
        le=100_000,
        description="space on this machine for unpacked slides of several files and for copies of slides in an S3 "
        "store, GiB; what was not used for longest goes first",
    )
    pyramid_timeout_s: float = Field(
        3600.0, gt=0, le=86_400, description="seconds that building the pyramid of one slide may take"
    )

    @property
    def slide_cache_bytes(self) -> int:
        """Space for unpacked and copied slides in bytes."""
        return int(self.slide_cache_gib * 2**30)
