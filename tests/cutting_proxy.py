"""A bad line: a TCP proxy on loopback that cuts the connection after given numbers of bytes on their way up."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from types import TracebackType
from typing import Self

BLOCK_BYTES = 65536


def cut_points(total_bytes: int, cuts: int, seed: int) -> list[int]:
    """Random places in a file of ``total_bytes``, rising."""
    return sorted(random.Random(seed).sample(range(total_bytes // 50, total_bytes), cuts))


class CuttingProxy:
    """Forwards to ``port``, which may change while it runs. ``up_bytes`` counts all that clients sent, headers too.

    Each time ``up_bytes`` passes the next of ``cuts`` both sides are reset; what was read and not forwarded is lost.
    """

    def __init__(self, port: int, cuts: list[int]) -> None:
        self.port, self.up_bytes, self.done = port, 0, 0
        self._cuts, self._lock = list(cuts), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.port), timeout=5)
                server.settimeout(None)
            except OSError:
                _reset(client)
                continue
            for arguments in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(BLOCK_BYTES):
                if upwards and self._count(len(data)):
                    _reset(source)
                    _reset(target)
                    return
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _count(self, count: int) -> bool:
        with self._lock:
            self.up_bytes += count
            if self.done < len(self._cuts) and self.up_bytes >= self._cuts[self.done]:
                self.done += 1
                return True
            return False

    def close(self) -> None:
        self._ended.set()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reset(end: socket.socket) -> None:
    """Close with a reset, as a broken line does in the end."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()
