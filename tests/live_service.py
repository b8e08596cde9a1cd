"""A service in this process that listens on a port, for browsers: what a test patches here, they see."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.settings import Settings

START_S = 120.0


@contextmanager
def listening(settings: Settings) -> Iterator[tuple[FastAPI, str]]:
    """The application and its address (with a slash at the end) while it answers on a loopback port.

    Raises:
        TimeoutError: it does not start.
    """
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, name="test-service", daemon=True)
    thread.start()
    deadline_s = time.monotonic() + START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline_s:
            raise TimeoutError("the service did not start")
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield app, f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(60)
