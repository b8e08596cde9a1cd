"""Settings: audit log and checkpoints."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class AuditSettings(BaseModel):
    """Audit log and checkpoints."""

    audit_origin: str = Field(
        "",
        max_length=200,
        pattern=r"^[^\s+]*$",
        description="name of this installation's log in its checkpoints, for example `hospital.example/tamsoat`; "
        "empty: the host of `public_url` with `/tamsoat`, or `tamsoat.local`",
    )
    audit_checkpoint_entries: int = Field(
        1000, ge=1, le=1_000_000, description="entries of the audit log after which it is signed again, count"
    )
    audit_checkpoint_minutes: float = Field(
        60.0, gt=0, le=10_080, description="minutes after which the audit log is signed again where it has grown"
    )
    audit_checkpoint_dir: Path | None = Field(
        None,
        description="folder, best on a write-once share of another machine, that every signed checkpoint of the "
        "audit log is also written to; unset: none",
    )
