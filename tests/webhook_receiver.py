"""A receiver of webhooks on loopback: answers what it is told to and keeps what it got."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from waiting import wait_until


@dataclass(frozen=True)
class Received:
    """One message."""

    headers: Mapping[str, str]
    body: bytes
    path: str


@dataclass
class Receiver:
    """Answers each message with the next of ``answers`` (status, headers, body), then with 204.

    ``silent``: it answers nothing before it is closed.
    """

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    silent: bool = False
    messages: list[Received] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def wait_for(self, count: int) -> list[Received]:
        """The messages, once there are ``count``."""
        wait_until(lambda: len(self.messages) >= count, what=lambda: self.messages)
        return self.messages

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.messages.append(Received(headers, body, self.path))
                if receiver.silent:
                    receiver._closing.wait()
                status, extra, content = receiver.answers.pop(0) if receiver.answers else (204, {}, b"")
                with suppress(BrokenPipeError, ConnectionResetError):  # the sender has given up or was killed
                    self.send_response(status)
                    for name, value in {"content-length": str(len(content)), **extra}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler
