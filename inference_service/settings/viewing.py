"""Settings: tiles of slides for the viewer."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ViewingSettings(BaseModel):
    """Tiles of slides for the viewer."""

    tile_cache_mib: int = Field(
        2048,
        ge=64,
        le=4 * 2**20,
        description="disk space for tiles that were made, MiB; the least recently used go first",
    )
    tile_quality: int = Field(
        80, ge=50, le=95, description="JPEG quality of tiles; 80 makes about 11 kB of a full tile of 256 px"
    )
    tile_workers: int = Field(
        0, ge=0, le=64, description="processes that read slides for the viewer, count; 0: one per core, at most 4"
    )
    queued_tiles: int = Field(
        256, ge=1, le=10_000, description="tiles that may wait to be made, count; more answers 503"
    )
