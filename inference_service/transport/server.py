"""uvicorn, with a way to stop that fails no request."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import time
from types import FrameType

import structlog
import uvicorn

from tamsoat.inference_service.transport import systemd
from tamsoat.inference_service.transport.drain import Drain

ACCEPTED_S = 0.5
"""For how long a connection that was accepted last may take to send its request, once no more are accepted."""

log = structlog.get_logger("tamsoat.service")


class Server(uvicorn.Server):
    """Serves until a signal; SIGTERM first drains.

    On SIGTERM ``drain`` begins: ``/readyz`` answers 503 and answers close their connections, while everything is
    still served for ``delay_s`` seconds. Then no connection is accepted any more, those that were accepted get
    half a second to bring their request, and running requests are finished. A second signal, and Ctrl-C, end the
    delay. A socket that systemd opened stays open all the time: connections wait in it for the next process.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain, delay_s: float) -> None:
        super().__init__(config)
        self._drain, self._delay_s = drain, delay_s
        self._exit_at_s = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Signal handler: touches nothing but plain attributes; the main loop does the rest."""
        if sig == signal.SIGTERM and not self._drain.active and self._delay_s > 0:
            self._exit_at_s = time.monotonic() + self._delay_s
            self._drain.begin()
            return
        self._drain.begin()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        systemd.notify("READY=1")

    async def on_tick(self, counter: int) -> bool:
        if time.monotonic() >= self._exit_at_s:
            self._exit_at_s = math.inf
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        systemd.notify("STOPPING=1")
        self._drain.begin()
        log.info("service_stopping", connections=len(self.server_state.connections))
        for server in self.servers:
            server.close()
        if self.server_state.connections and not self.force_exit:
            await asyncio.sleep(ACCEPTED_S)
        await super().shutdown(sockets)
