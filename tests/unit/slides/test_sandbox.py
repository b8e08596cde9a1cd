"""Decoding in a child process: limits hold, and the next image is decoded as if nothing had happened."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sandbox_hostile
from bad_inputs import good_jpeg, png_bomb, truncated_jpeg
from waiting import WAIT_S

from tamsoat.inference_service.slides.decode import DEFAULT_LIMITS, DecodeLimits, decode_bytes
from tamsoat.inference_service.slides.errors import DamagedImageError, DecodeCrashedError, DecodeTimeoutError
from tamsoat.inference_service.slides.sandbox import Decoder, DecoderClosedError

TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(workers=1, memory_mib=96, timeout_s=60)
    yield decoder
    decoder.close()


def assert_works(decoder: Decoder) -> None:
    assert decoder.decode(good_jpeg(), "a", DEFAULT_LIMITS).width_px == 320


def test_decodes_the_same_as_this_process(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(good_jpeg())
    expected = decode_bytes(good_jpeg(), "a")
    for source in (good_jpeg(), path):
        image = decoder.decode(source, "a", DEFAULT_LIMITS)
        assert np.array_equal(image.pixels, expected.pixels)
        assert (image.sha256, image.source_format) == (expected.sha256, "JPEG")


def test_errors_of_images_arrive_as_they_are(decoder: Decoder) -> None:
    with pytest.raises(DamagedImageError, match="damaged or cut short"):
        decoder.decode(truncated_jpeg(), "a", DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (sandbox_hostile.eat_memory, DecodeCrashedError),
        (sandbox_hostile.kill_self, DecodeCrashedError),
        (sandbox_hostile.segfault, DecodeCrashedError),
        (sandbox_hostile.hang, DecodeTimeoutError),
        (sandbox_hostile.spin, DecodeTimeoutError),
    ],
)
def test_a_hostile_decoder_ends_and_the_next_image_is_decoded(  # type: ignore[no-untyped-def]
    decoder: Decoder, function, error, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "timeout_s", TIMEOUT_S)
    with pytest.raises(error):
        decoder.call(function)  # none of them ends by itself
    monkeypatch.undo()
    assert_works(decoder)


def test_it_cannot_write_files_nor_see_the_settings(
    tmp_path: Path, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMSOAT_DATABASE_URL", "postgresql://u:secret@h/d")
    with pytest.raises(OSError, match="File too large"):
        decoder.call(sandbox_hostile.write_file, str(tmp_path / "evil"))
    fresh = Decoder(1, 96, 60)
    try:
        assert not [name for name in fresh.call(sandbox_hostile.environment) if name.startswith("TAMSOAT_")]
        assert fresh.call(sandbox_hostile.process_id) != os.getpid()
    finally:
        fresh.close()


def test_an_image_that_needs_more_memory_than_allowed_is_refused(decoder: Decoder) -> None:
    limits = DecodeLimits(max_pixels=10**9)
    with pytest.raises(DecodeCrashedError, match="memory"):
        decoder.decode(png_bomb(12_000), "bomb", limits)
    assert_works(decoder)


def test_several_at_once_and_after_closing() -> None:
    decoder = Decoder(2, 96, 60)
    decoder.warm()
    with ThreadPoolExecutor(6) as threads:
        images = list(threads.map(lambda _: decoder.decode(good_jpeg(), "a", DEFAULT_LIMITS), range(12)))
    assert {image.width_px for image in images} == {320}
    closing = threading.Thread(target=decoder.close)
    closing.start()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    with pytest.raises(DecoderClosedError):
        decoder.decode(good_jpeg(), "a", DEFAULT_LIMITS)
