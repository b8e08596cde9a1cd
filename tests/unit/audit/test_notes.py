"""Checkpoints as signed notes: the published form, and nothing altered passes."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tamsoat.inference_service.audit import notes

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CHECKPOINT = notes.Checkpoint("hospital.example/tamsoat", 12345, bytes(range(32)), "2026-01-31T08:00:00.000000Z")
NOTE = notes.sign(CHECKPOINT, KEY)


def test_form_of_the_note() -> None:
    lines = NOTE.split("\n")
    assert lines[:5] == [
        "hospital.example/tamsoat",
        "12345",
        base64.b64encode(bytes(range(32))).decode(),
        "created 2026-01-31T08:00:00.000000Z",
        "",
    ]
    assert lines[5].startswith("— hospital.example/tamsoat ")
    assert len(base64.b64decode(lines[5].split()[-1])) == 4 + 64
    assert lines[6:] == [""]
    assert notes.verify(NOTE, KEY.public_key()) == CHECKPOINT


def test_key_identifier_is_the_published_one() -> None:
    """The example key of golang.org/x/mod/sumdb/note, which defined the format."""
    line = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = notes.read_public_key(line)
    assert notes.public_key_line("PeterNeumann", key) == line + "\n"


@given(st.integers(0, len(NOTE) - 1), st.characters(codec="utf-8"))
def test_no_other_character_passes(at: int, other: str) -> None:
    altered = NOTE[:at] + other + NOTE[at + 1 :]
    if altered == NOTE:
        return
    with pytest.raises(notes.NoteError):
        notes.verify(altered, KEY.public_key())


@given(st.text(max_size=200))
def test_text_that_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(notes.NoteError):
        notes.read(text)
    with pytest.raises(notes.NoteError):
        notes.read_public_key(text)


def test_other_keys_and_other_forms_are_refused() -> None:
    other = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(notes.NoteError, match="not signed with this key"):
        notes.verify(NOTE, other)
    for altered in (NOTE + "\n", NOTE.rstrip("\n"), NOTE.replace("12345", "012345"), "\n" + NOTE):
        with pytest.raises(notes.NoteError):
            notes.verify(altered, KEY.public_key())
    line = notes.public_key_line("a.example", KEY.public_key())
    assert isinstance(notes.read_public_key(line), Ed25519PublicKey)
    with pytest.raises(notes.NoteError):
        notes.read_public_key(line.replace("a.example", "b.example"))
