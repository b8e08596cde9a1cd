"""Settings: screening jobs and workers."""

from __future__ import annotations

from pydantic import BaseModel, Field


class JobSettings(BaseModel):
    """Screening jobs and workers."""

    run_worker: bool = Field(
        True,
        description="whether `tamsoat serve` works on jobs itself; `false` where `tamsoat worker` runs beside it",
    )
    worker_concurrency: int = Field(
        2, ge=1, le=64, description="images that one process screens at once in jobs, count; bounds memory"
    )
    worker_id: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,80}$",
        description="name of this worker, the same after a restart and different from every other worker's; "
        "empty: made of the host name and a lock in the data folder",
    )
    worker_heartbeat_s: float = Field(3.0, gt=0, le=60, description="seconds between two heartbeats of a worker")
    worker_timeout_s: float = Field(
        15.0, gt=0, le=3600, description="seconds without a heartbeat after which others take a worker's jobs over"
    )
