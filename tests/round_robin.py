"""A small reverse proxy for tests: takes turns between servers whose ``/readyz`` answers 200."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Self

import httpx

PROBE_EVERY_S = 0.1


class RoundRobin:
    """Listens on a free loopback port. Never repeats a request: a failure of a server reaches the caller as 502."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[str, bool] = {}
        self._busy: Counter[str] = Counter()
        self._turn = 0
        self._stop = threading.Event()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._listener.daemon_threads = True
        self._threads = [
            threading.Thread(target=self._listener.serve_forever, daemon=True),
            threading.Thread(target=self._probe, daemon=True),
        ]
        self.url = f"http://127.0.0.1:{self._listener.server_port}"

    def add(self, url: str) -> None:
        """Send requests to ``url`` once it is ready."""
        with self._lock:
            self._servers[url.rstrip("/")] = False

    def remove(self, url: str) -> None:
        """Forget a server that has ended."""
        with self._lock:
            self._servers.pop(url.rstrip("/"), None)

    def ready(self) -> int:
        """How many servers take requests."""
        with self._lock:
            return sum(self._servers.values())

    def is_left_out(self, url: str) -> bool:
        """Whether a server gets no requests any more and has answered those that it got."""
        with self._lock:
            return not self._servers[url.rstrip("/")] and self._busy[url.rstrip("/")] == 0

    def begin(self) -> str | None:
        """Whose turn it is; :meth:`end` says that it has answered."""
        with self._lock:
            ready = [url for url, is_ready in self._servers.items() if is_ready]
            self._turn += 1
            if not ready:
                return None
            server = ready[self._turn % len(ready)]
            self._busy[server] += 1
            return server

    def end(self, server: str | None) -> None:
        with self._lock:
            if server is not None:
                self._busy[server] -= 1

    def _probe(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._stop.wait(PROBE_EVERY_S):
                for url in list(self._servers):
                    try:
                        is_ready = client.get(f"{url}/readyz").status_code == 200
                    except httpx.TransportError:
                        is_ready = False
                    with self._lock:
                        if url in self._servers:
                            self._servers[url] = is_ready

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._listener.shutdown()
        self._listener.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: ClassVar[RoundRobin]
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        server = self.proxy.begin()
        headers = {name: value for name, value in self.headers.items() if name.lower() in ("content-type", "accept")}
        try:
            if server is None:
                raise httpx.ConnectError("no server is ready")
            answer = httpx.request(self.command, server + self.path, content=body, headers=headers, timeout=240)
            status, content = answer.status_code, answer.content
        except httpx.TransportError as error:
            status, content = 502, repr(error).encode()
        finally:
            self.proxy.end(server)
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _forward  # noqa: N815 - names of http.server

    def log_message(self, *_arguments: object) -> None:
        return None
