"""Sends stored bytes as they came, whole or one range of them (RFC 9110, section 14), block by block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.slides.sniff import SUFFIXES
from tamsoat.inference_service.storage.store import ContentStore
from tamsoat.inference_service.uploads.tables import Slide

BLOCK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeError(TamsoatError):
    """The range lies outside the file."""

    status = 416
    title = "Range not satisfiable"
    slug = "range-not-satisfiable"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes} bytes")
        self.size_bytes = size_bytes

    def http_headers(self) -> dict[str, str]:
        return {"Content-Range": f"bytes */{self.size_bytes}"}


@dataclass(frozen=True)
class _Part:
    start_byte: int
    stop_byte: int
    whole: bool


def deliver(request: Request, store: ContentStore, slide: Slide) -> Response:
    """The bytes of a slide as an attachment that no browser opens or runs.

    Raises:
        RangeError: the asked range begins behind the end.
        ContentMissingError: the store lost the file.
    """
    etag = f'"{slide.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="slide-{slide.id}{SUFFIXES.get(slide.media_type, "")}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    if etag in (tag.strip() for tag in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    part = _part(wanted, slide.bytes)
    headers["Content-Length"] = str(part.stop_byte - part.start_byte)
    if not part.whole:
        headers["Content-Range"] = f"bytes {part.start_byte}-{part.stop_byte - 1}/{slide.bytes}"
    stream = store.open(slide.sha256, part.start_byte)

    def blocks() -> Iterator[bytes]:
        left = part.stop_byte - part.start_byte
        with stream:
            while left > 0 and (block := stream.read(min(BLOCK_BYTES, left))):
                left -= len(block)
                yield block

    return StreamingResponse(blocks(), 200 if part.whole else 206, headers, media_type=slide.media_type)


def _part(wanted: str | None, size_bytes: int) -> _Part:
    """One range; anything else that is asked for (several, other units) is answered with the whole file."""
    match = _RANGE.fullmatch((wanted or "").replace(" ", ""))
    if match is None or match[1] == match[2] == "":
        return _Part(0, size_bytes, whole=True)
    if match[1] == "":
        suffix_bytes = int(match[2])
        if suffix_bytes == 0:
            raise RangeError(size_bytes)
        return _Part(max(0, size_bytes - suffix_bytes), size_bytes, whole=False)
    start = int(match[1])
    stop = min(int(match[2]) + 1, size_bytes) if match[2] else size_bytes
    if match[2] and int(match[2]) < start:
        return _Part(0, size_bytes, whole=True)
    if start >= size_bytes:
        raise RangeError(size_bytes)
    return _Part(start, stop, whole=False)
