"""What a sender says about a slide."""

from __future__ import annotations

import base64
import hashlib

import pytest
from tus_client import metadata

from tamsoat.inference_service.screening.scale import MissingScaleError
from tamsoat.inference_service.slides.sniff import sniff_media_type
from tamsoat.inference_service.uploads.intent import IntentError, read_digest_header, read_intent, read_metadata

DIGEST = hashlib.sha256(b"x").hexdigest()


def test_everything_that_can_be_said() -> None:
    intent = read_intent({"mpp": "0.5", "order_id": "o", "priority": "stat", "sha256": DIGEST.upper(), "again": "1"})
    assert (intent.mpp, intent.order_id, intent.priority, intent.sha256, intent.again) == (
        0.5,
        "o",
        "stat",
        DIGEST,
        True,
    )


def test_the_least_that_must_be_said() -> None:
    intent = read_intent({"objective": "40"})
    assert (intent.mpp, intent.order_id, intent.priority, intent.sha256, intent.again) == (
        0.25,
        None,
        "routine",
        None,
        False,
    )
    with pytest.raises(MissingScaleError):
        read_intent({})


@pytest.mark.parametrize(
    "fields",
    [
        {"sha256": "abc"},
        {"priority": "soon"},
        {"order_id": "x" * 37},
        {"again": "perhaps"},
        {"mpp": "forty"},
        {"objective": "0x28"},
    ],
)
def test_what_is_not_understood_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(IntentError):
        read_intent({"objective": "40"} | fields)


def test_field_and_header_must_agree() -> None:
    assert read_intent({"objective": "40"}, header_sha256=DIGEST).sha256 == DIGEST
    with pytest.raises(IntentError, match="disagree"):
        read_intent({"objective": "40", "sha256": "0" * 64}, header_sha256=DIGEST)


def test_digest_header() -> None:
    encoded = base64.b64encode(bytes.fromhex(DIGEST)).decode()
    assert read_digest_header(f"md5=:AAAA:, sha-256=:{encoded}:") == DIGEST
    assert read_digest_header("sha-512=:AAAA:") is None
    assert read_digest_header(None) is None


def test_unknown_metadata_is_dropped_unread() -> None:
    header = metadata(filename="NGUYỄN THỊ A 1980.svs", filetype="image/tiff", objective="40") + ",empty,broken %%%"
    assert read_metadata(header) == {"objective": "40"}


@pytest.mark.parametrize("header", ["objective %%%", "mpp /w==", "objective"])
def test_known_metadata_must_be_base64_text(header: str) -> None:
    if header == "objective":
        assert read_metadata(header) == {"objective": ""}
        return
    with pytest.raises(IntentError):
        read_metadata(header)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"II*\x00", "image/tiff"),
        (b"II+\x00\x08\x00", "image/tiff"),
        (b"MM\x00+", "image/tiff"),
        (b"BM", "image/bmp"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (bytes(128) + b"DICM", "application/dicom"),
        (b"GIF89a", None),
        (b"PK\x03\x04", None),
        (b"<svg", None),
        (b"", None),
    ],
)
def test_type_is_decided_by_content(head: bytes, media_type: str | None) -> None:
    assert sniff_media_type(head) == media_type
