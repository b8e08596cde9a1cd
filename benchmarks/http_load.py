"""A client that costs little: HTTP/1.1 GET requests over kept connections, on asyncio streams."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence


class UnexpectedAnswerError(RuntimeError):
    """The server answered something else than 200."""


async def _connection(
    host: str, port: int, requests: itertools.cycle[bytes], end_s: float, spent_s: list[float]
) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        while time.perf_counter() < end_s:
            begin_s = time.perf_counter()
            writer.write(next(requests))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise UnexpectedAnswerError(head.decode("latin-1").split("\r\n")[0])
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            spent_s.append(time.perf_counter() - begin_s)
    finally:
        writer.close()


def load(port: int, paths: Sequence[str], headers: dict[str, str], at_once: int, seconds: float) -> list[float]:
    """The time in seconds that each answered request took; ``at_once`` connections for ``seconds``."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    requests = itertools.cycle([f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}\r\n".encode() for path in paths])
    spent_s: list[float] = []

    async def run() -> None:
        end_s = time.perf_counter() + seconds
        await asyncio.gather(*(_connection("127.0.0.1", port, requests, end_s, spent_s) for _ in range(at_once)))

    asyncio.run(run())
    return spent_s


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
