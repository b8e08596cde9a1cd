"""Signed checkpoints as text: C2SP tlog-checkpoint in a C2SP signed note (c2sp.org/tlog-checkpoint, /signed-note).

    hospital.example/tamsoat            origin: which log
    12345                               size: entries
    qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=   root of the Merkle tree, base64
    created 2026-01-31T08:00:00.000000Z extension line: when

    — hospital.example/tamsoat <base64 of key identifier (4 bytes) and Ed25519 signature (64 bytes)>

A public key is one line, ``<name>+<key identifier, hex>+<base64 of 0x01 and the 32 bytes of the key>``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tamsoat.inference_service.audit.merkle import HASH_BYTES
from tamsoat.inference_service.errors import EXIT_INPUT, TamsoatError

_ED25519 = b"\x01"
_MOMENT = re.compile(r"created (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")
_SIZE = re.compile(r"0|[1-9]\d{0,18}")


class NoteError(TamsoatError):
    """A checkpoint or a public key is not one, or its signature does not fit."""

    status = 500
    title = "Checkpoint cannot be used"
    slug = "audit-checkpoint-unusable"
    exit_code = EXIT_INPUT


@dataclass(frozen=True)
class Checkpoint:
    """The state of a log: ``root`` (32 bytes) of its first ``size`` entries, at ``created_at`` (as in the log)."""

    origin: str
    size: int
    root: bytes
    created_at: str

    def body(self) -> str:
        """The text that is signed."""
        root = base64.b64encode(self.root).decode("ascii")
        return f"{self.origin}\n{self.size}\n{root}\ncreated {self.created_at}\n"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The signed note; the key is called as the log is."""
    body = checkpoint.body()
    signature = _identifier(checkpoint.origin, key.public_key()) + key.sign(body.encode())
    return f"{body}\n— {checkpoint.origin} {base64.b64encode(signature).decode('ascii')}\n"


def read(note: str) -> Checkpoint:
    """The checkpoint in a note, its signature unchecked.

    Raises:
        NoteError: the text is not a checkpoint.
    """
    body, _ = _parts(note)
    lines = body.split("\n")
    moment = _MOMENT.fullmatch(lines[3]) if len(lines) == 5 else None
    if moment is None or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise NoteError("this is not a checkpoint of an audit log")
    root = _decoded(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("the root of the checkpoint does not have 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root, moment[1])


def verify(note: str, key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint in a note that ``key`` signed.

    Raises:
        NoteError: the text is not a checkpoint, or none of its signatures is this key's.
    """
    checkpoint = read(note)
    body, signatures = _parts(note)
    for name, signature in signatures:
        if signature[:4] != _identifier(name, key):
            continue
        try:
            key.verify(signature[4:], body.encode())
        except InvalidSignature as error:
            raise NoteError(f"the signature of the checkpoint of size {checkpoint.size} is wrong") from error
        return checkpoint
    raise NoteError(f"the checkpoint of size {checkpoint.size} is not signed with this key")


def public_key_line(name: str, key: Ed25519PublicKey) -> str:
    """The public key as one line, to be kept by whoever checks checkpoints and proofs."""
    return f"{name}+{_identifier(name, key).hex()}+{base64.b64encode(_ED25519 + _raw(key)).decode('ascii')}\n"


def read_public_key(line: str) -> Ed25519PublicKey:
    """The key in such a line.

    Raises:
        NoteError: the line is not a public key.
    """
    name, _, rest = line.strip().partition("+")
    identifier, _, encoded = rest.partition("+")
    raw = _decoded(encoded)
    if len(raw) != 33 or raw[:1] != _ED25519:
        raise NoteError("this is not a public key of an audit log (<name>+<identifier>+<base64>)")
    key = Ed25519PublicKey.from_public_bytes(raw[1:])
    if _identifier(name, key).hex() != identifier:
        raise NoteError("the public key does not fit its identifier")
    return key


def _identifier(name: str, key: Ed25519PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + _raw(key)).digest()[:4]


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The signed text, and name and bytes of every signature."""
    body, separator, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not separator or len(lines) < 2 or lines[-1]:
        raise NoteError("this is not a signed note")
    signatures = []
    for line in lines[:-1]:
        mark, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if mark != "—" or not name:
            raise NoteError("this is not a signed note")
        signatures.append((name, _decoded(encoded)))
    return body + "\n", signatures


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("the checkpoint or key holds something that is not base64") from error
    if base64.b64encode(raw).decode("ascii") != text:
        raise NoteError("the checkpoint or key holds base64 in an unusual form")
    return raw
