"""Starts the real server as a process of its own, for the tests and benchmarks that kill or measure it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_ADDRESS = re.compile(r" on (http://\S+/)")
_RUN = "import sys\nfrom tamsoat.inference_service.cli.main import main\nsys.argv = ['tamsoat', 'serve']\nmain()\n"


class ServerProcess:
    """`tamsoat serve` on a free loopback port; ``settings`` become ``TAMSOAT_…`` variables.

    Raises:
        RuntimeError: it ended or printed no address within ``start_s``; the text holds what it printed.
    """

    def __init__(self, bundle: Path, database: Path, *, start_s: float = 240.0, prelude: str = "", **settings: object):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAMSOAT_")}
        environment |= {"PYTHONSAFEPATH": "1", "TAMSOAT_MODEL": str(bundle), "TAMSOAT_PORT": "0"}
        environment |= {"TAMSOAT_DATABASE_URL": f"sqlite:///{database}", "TAMSOAT_LOG_LEVEL": "warning"}
        environment |= {f"TAMSOAT_{name.upper()}": str(value) for name, value in settings.items()}
        self.lines: list[str] = []
        self.url = ""
        self._found = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-c", prelude + _RUN],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        deadline_s = time.monotonic() + start_s
        while not self._found.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"the server did not start (exit {self.process.returncode}):\n{self.output}")

    @property
    def output(self) -> str:
        """What it printed on stderr so far."""
        return "".join(self.lines)

    def stop(self, kind: signal.Signals = signal.SIGTERM, wait_s: float = 120.0) -> int:
        """Send a signal, wait for the end, return the exit status (negative: the signal that ended it)."""
        if self.process.poll() is None:
            self.process.send_signal(kind)
        status = self.process.wait(wait_s)
        self._reader.join(60)
        return status

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            match = _ADDRESS.search(line)
            if match and not self._found.is_set():
                self.url = match[1]
                self._found.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(signal.SIGKILL)
