"""What a backup says about itself: ``manifest.json``, signed in ``manifest.sig``."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tamsoat.inference_service.db.keyring import Keyring
from tamsoat.inference_service.errors import EXIT_INPUT, TamsoatError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
SEALED_KEYS = "keys.sealed"
SQLITE_DATABASE = "database/tamsoat.db"
SQLITE_JOBS = "database/jobs.db"
POSTGRESQL_DUMP = "database/postgresql.dump"
NAME_PREFIX = "tamsoat-"
_SIGNED_FOR = b"tamsoat backup manifest 1\n"


class BackupDamagedError(TamsoatError):
    """A backup is incomplete or was altered."""

    title = "Backup is damaged"
    slug = "backup-damaged"
    exit_code = EXIT_INPUT


class Member(BaseModel):
    """One file of the backup besides the slides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["database/tamsoat.db", "database/jobs.db", "database/postgresql.dump", "keys.sealed"]
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class StoredFile(BaseModel):
    """One slide file; its name in the backup follows from its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)

    @property
    def name(self) -> str:
        return f"files/{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256}"


class AuditState(BaseModel):
    """Where the audit log ended: the restored one has to reach exactly this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(ge=0)
    entry_hash: str
    root: str
    """Root of the RFC 6962 Merkle tree over the entries, hex; comparable with signed checkpoints."""


class KeysNote(BaseModel):
    """Which keys read this backup; nothing secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: Literal["sealed", "separate"]
    public_key: str
    """Ed25519 key of the installation, hex; the manifest is signed with it."""
    encryption: list[str]
    """Identifiers of the encryption keys."""


class Manifest(BaseModel):
    """Everything needed to judge and restore a backup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    id: str
    moment: datetime
    """Everything committed before it is in the backup."""
    program_version: str
    schema_revision: str
    database: Literal["sqlite", "postgresql"]
    audit: AuditState
    keys: KeysNote
    members: list[Member]
    files: list[StoredFile]
    files_at: str
    """"backup", or where the files are instead (an S3 bucket has its own copies)."""
    gone: list[str]
    """Digests of files that the database still names but that were deleted while the backup ran."""

    @property
    def total_bytes(self) -> int:
        """Size of the database, keys and, where they are inside, slide files."""
        files = sum(item.bytes for item in self.files) if self.files_at == "backup" else 0
        return files + sum(item.bytes for item in self.members)

    def encoded(self) -> bytes:
        """The bytes of ``manifest.json``."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def public_hex(keyring: Keyring) -> str:
    """The public key of the installation."""
    return keyring.signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(manifest: bytes, keyring: Keyring) -> bytes:
    """The content of ``manifest.sig``: Ed25519 over a fixed line and the bytes of the manifest, hex."""
    return keyring.signing.sign(_SIGNED_FOR + manifest).hex().encode() + b"\n"


def read(manifest: bytes, signature: bytes, where: str) -> Manifest:
    """Check the signature against the key that the manifest names, and decode.

    Raises:
        BackupDamagedError: it is not a manifest, or was altered.
    """
    try:
        decoded = Manifest.model_validate_json(manifest)
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(decoded.keys.public_key))
        key.verify(bytes.fromhex(signature.decode("ascii").strip()), _SIGNED_FOR + manifest)
    except (ValidationError, ValueError) as error:
        raise BackupDamagedError(f"{where}: {MANIFEST} is not one of a backup that this version knows") from error
    except InvalidSignature as error:
        raise BackupDamagedError(f"{where}: {MANIFEST} was altered: its signature does not fit") from error
    return decoded


def digest(manifest: bytes) -> str:
    """SHA-256 of the manifest's bytes, hex: names the backup's content."""
    return hashlib.sha256(manifest).hexdigest()
