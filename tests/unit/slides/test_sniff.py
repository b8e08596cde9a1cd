"""What a refused file is called."""

from __future__ import annotations

import pytest

from tamsoat.inference_service.slides.sniff import describe_content, sniff_media_type


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"ZISRAWFILE\0\0\0\0\0\0", "Zeiss CZI"),
        (b'<DataObject ObjectType="DPUfsImport">', "Philips iSyntax"),
        (b"SIS\0\x40\0\0\0", "Olympus VSI"),
    ],
)
def test_slides_that_only_their_vendors_read_are_named_with_the_way_out(head: bytes, words: str) -> None:
    assert sniff_media_type(head.ljust(512, b"\0")) is None
    described = describe_content(head.ljust(512, b"\0"))
    assert words in described
    assert "as pyramidal TIFF or DICOM" in described
