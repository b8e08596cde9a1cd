"""Settings: uploads, stored files, decoding."""

from __future__ import annotations

from pydantic import BaseModel, Field


class StorageSettings(BaseModel):
    """Uploads, stored files, decoding."""

    storage_url: str = Field(
        "",
        description="where slides are kept: empty: the folder `files` in the data folder; `file:///folder`; or "
        "`s3://bucket/prefix?endpoint=https://…&region=…` with credentials in the standard AWS variables",
    )
    storage_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="seconds in which an S3 store must answer one request; it is asked five times"
    )
    max_slide_mib: float = Field(
        4096.0, gt=0, le=1024 * 1024, description="largest slide file, MiB; more answers 413 before it is sent"
    )
    facility_quota_gib: float = Field(
        0.0, ge=0, description="space that one facility's slides and unfinished uploads may take, GiB; 0: no limit"
    )
    upload_expiry_h: float = Field(
        72.0, gt=0, le=24 * 90, description="hours after its last byte until an unfinished upload is discarded"
    )
    upload_idle_s: float = Field(
        60.0, gt=0, le=3600, description="seconds without a byte until the connection of a slide's upload is closed"
    )
    decode_workers: int = Field(
        0, ge=0, le=64, description="processes that decode images, count; 0: one per core, at most 4"
    )
    decode_memory_mib: int = Field(
        1024, ge=64, le=65536, description="memory that decoding one image may take, MiB; more answers 422"
    )
    decode_timeout_s: float = Field(
        20.0, gt=0, le=600, description="seconds that decoding one image may take; more answers 422"
    )

    @property
    def max_slide_bytes(self) -> int:
        """Largest slide file in bytes."""
        return int(self.max_slide_mib * 2**20)
