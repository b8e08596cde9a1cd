"""A small tus 1.0 client for the tests and benchmarks: resumes by HEAD, counts what it sent."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import BinaryIO

import httpx

PATH = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {"Content-Type": "application/offset+octet-stream"}


def metadata(**values: str) -> str:
    """`Upload-Metadata` of some values."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def create(client: httpx.Client, length: int, **values: str) -> httpx.Response:
    """Announce a file; the scale is 40x unless `values` say otherwise."""
    values = values if "mpp" in values or "objective" in values else {"objective": "40", **values}
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(**values)}
    return client.post(PATH, headers=headers)


def patch(client: httpx.Client, location: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
    """Send bytes."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(location, headers={**TUS, **BODY, "Upload-Offset": str(offset), **fields}, content=data)


def head(client: httpx.Client, location: str) -> httpx.Response:
    """Ask how far it is."""
    return client.head(location, headers=TUS)


@dataclass
class Transfer:
    """What an upload took. ``sent_bytes``: handed to the network in bodies of PATCH, also what was lost on the way."""

    location: str
    sent_bytes: int = 0
    interruptions: int = 0
    answers: list[int] = field(default_factory=list)
    analysis_id: str = ""
    wall_s: float = 0.0


class ResumingClient:
    """Uploads over a bad line: chunk after chunk, and after any failure asks where to go on.

    Args:
        connect: makes a fresh client of the service (a broken connection is never used again).
        give_up_s: longest time without progress.
    """

    def __init__(self, url: str, chunk_bytes: int, *, give_up_s: float = 60.0, timeout_s: float = 20.0) -> None:
        self.url, self.chunk_bytes, self.give_up_s, self.timeout_s = url, chunk_bytes, give_up_s, timeout_s

    def upload(self, source: BinaryIO, length: int, **values: str) -> Transfer:
        """Send `source` whole; `values` are the statements about it."""
        start_s = time.monotonic()
        transfer = Transfer(self._begin(length, values))
        offset, moved_s = 0, time.monotonic()
        while offset < length or not transfer.analysis_id:
            try:
                with httpx.Client(base_url=self.url, timeout=self.timeout_s) as client:
                    answer = head(client, transfer.location)
                    self._check(answer, transfer)
                    offset = int(answer.headers["Upload-Offset"])
                    while offset < length:
                        answer = self._send(client, source, offset, transfer)
                        self._check(answer, transfer)
                        offset, moved_s = int(answer.headers["Upload-Offset"]), time.monotonic()
            except (httpx.TransportError, InterruptedUploadError):
                transfer.interruptions += 1
                if time.monotonic() - moved_s > self.give_up_s:
                    raise
                time.sleep(0.05)
        transfer.wall_s = time.monotonic() - start_s
        return transfer

    def _begin(self, length: int, values: dict[str, str]) -> str:
        deadline_s = time.monotonic() + self.give_up_s
        while True:
            try:
                with httpx.Client(base_url=self.url, timeout=self.timeout_s) as client:
                    answer = create(client, length, **values)
                assert answer.status_code == 201, answer.text
                return str(answer.headers["Location"])
            except httpx.TransportError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.05)

    def _send(self, client: httpx.Client, source: BinaryIO, offset: int, transfer: Transfer) -> httpx.Response:
        source.seek(offset)
        data = source.read(self.chunk_bytes)

        def body() -> object:
            for start in range(0, len(data), 65536):
                piece = data[start : start + 65536]
                transfer.sent_bytes += len(piece)
                yield piece

        headers = {**TUS, **BODY, "Upload-Offset": str(offset), "Content-Length": str(len(data))}
        return client.patch(transfer.location, headers=headers, content=body())  # type: ignore[arg-type]

    def _check(self, answer: httpx.Response, transfer: Transfer) -> None:
        transfer.answers.append(answer.status_code)
        if answer.status_code in (409, 423, 503) or answer.status_code == 499:
            raise InterruptedUploadError
        assert answer.status_code in (200, 204), f"{answer.status_code} {answer.text}"
        transfer.analysis_id = answer.headers.get("Tamsoat-Analysis", transfer.analysis_id)


class InterruptedUploadError(Exception):
    """Ask again where the upload stands."""
