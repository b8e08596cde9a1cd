"""What the audit log shows over HTTP and in files of proofs."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tamsoat.inference_service.audit.repository import StoredCheckpoint
from tamsoat.inference_service.audit.rows import Row
from tamsoat.inference_service.audit.schemas import canonical_json

PROOF_FORMAT: Literal["tamsoat-audit-proof/1"] = "tamsoat-audit-proof/1"
PROOF_EXAMPLE: dict[str, Any] = {
    "format": PROOF_FORMAT,
    "entry": {
        "sequence": 1,
        "occurred_at": "2026-01-31T08:00:00.000000Z",
        "actor": "account:3f2d1c0b-5a49-4f7e-8d6c-1b2a39485760",
        "action": "analysis:create",
        "subject": "analysis:0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11",
        "facility": "local",
        "digests": {"result": "3f5a7c0f6d0c9e0b7b1f9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c"},
        "details": None,
        "previous_hash": "0" * 64,
        "entry_hash": "9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c3f5a7c0f6d0c9e0b7b1f",
    },
    "path": ["b8a79685746352413f2e1d0c3f5a7c0f6d0c9e0b7b1f9b2fd5f3b6f4f2e1d0c9"],
    "checkpoint": "tamsoat.local\n2\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n"
    "created 2026-01-31T08:00:00.000000Z\n\n— tamsoat.local AAAA…\n",
    "consistency": None,
}


class EntryAnswer(BaseModel):
    """One entry of the log, all that its hash is taken over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int = Field(ge=1, description="Its place: 1, 2, 3, … without gaps")
    occurred_at: str = Field(description="UTC, with microseconds")
    actor: str = Field(description="`account:…`, `client:…`, `local` or `system`")
    action: str = Field(description="`noun:verb`")
    subject: str = Field(description="`noun:identifier`")
    facility: str | None = Field(description="Whose row it is about; null: the installation as a whole")
    digests: dict[str, str] = Field(description="Name → SHA-256 of what the event vouches for")
    details: dict[str, str | int | bool] | None = Field(description="Identifiers, codes and counts; null: none")
    previous_hash: str = Field(description="Hash of the entry before")
    entry_hash: str = Field(description="SHA-256 of a zero byte and the canonical JSON of the fields above")

    @classmethod
    def of(cls, row: Row) -> EntryAnswer:
        """The answer for a stored entry."""
        details = None if row.details is None else json.loads(row.details)
        return cls.model_validate({**row._asdict(), "digests": json.loads(row.digests), "details": details})

    def row(self) -> Row:
        """The stored form.

        Raises:
            ValueError: the objects cannot be written as JSON.
        """
        details = None if self.details is None else canonical_json(self.details)
        return Row(**{**self.model_dump(), "digests": canonical_json(self.digests), "details": details})


class EntryPage(BaseModel):
    """A page of entries, newest first."""

    items: list[EntryAnswer]
    next_before: int | None = Field(description="`before` of the next page; null when this is the last page")


class CheckpointAnswer(BaseModel):
    """A signed state of the log."""

    size: int = Field(description="How many entries it covers")
    root: str = Field(description="Root of the Merkle tree (RFC 6962) over them, hex")
    created_at: str = Field(description="UTC, with microseconds")
    note: str = Field(description="The signed text (C2SP tlog-checkpoint); keep it elsewhere")

    @classmethod
    def of(cls, stored: StoredCheckpoint) -> CheckpointAnswer:
        """The answer for a stored checkpoint."""
        return cls(**stored._asdict())


class CheckpointPage(BaseModel):
    """A page of checkpoints, newest first."""

    items: list[CheckpointAnswer]
    next_before: int | None = Field(description="`before` of the next page; null when this is the last page")


class ConsistencyProof(BaseModel):
    """That an older checkpoint belongs to the same log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str = Field(description="The older checkpoint, a signed text")
    path: list[str] = Field(description="RFC 6962, section 2.1.2; hex")


class Proof(BaseModel):
    """That an entry is in the log that a checkpoint signs. It is checked without the database."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [PROOF_EXAMPLE]})

    format: Literal["tamsoat-audit-proof/1"] = PROOF_FORMAT
    entry: EntryAnswer
    path: list[str] = Field(description="Audit path from the entry to the root (RFC 6962, section 2.1.1); hex")
    checkpoint: str = Field(description="The signed text of the checkpoint that covers the entry")
    consistency: ConsistencyProof | None = None
