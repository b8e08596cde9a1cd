"""Servers and workers as real processes on one database, and the load that the tests and benchmarks put on them."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.screening.tables import FINAL_STATES, Analysis, Screening
from tamsoat.inference_service.webhooks.tables import WebhookEvent

_UP = re.compile(r" on http://\S+/|tamsoat worker \S+,")
_START = """
import json, os, signal, sys, threading
import tamsoat.inference_service.cli.serve, tamsoat.inference_service.cli.worker, tamsoat.inference_service.jobs.worker
import tamsoat.inference_service.screening.workflow, tamsoat.inference_service.webhooks.workflow
from tamsoat.inference_service.cli.main import main
assert threading.active_count() == 1
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd, number in ((nothing, 0), (nothing, 1), (log, 2)):
            os.dup2(fd, number)
        os.environ.update(order["environment"])
        sys.argv = ["tamsoat", order["command"]]
        code = 70
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    print(pid, flush=True)
"""


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Starter:
    """A process that has imported the program and forks it whenever one is wanted.

    A start then costs what the program does at its start, not the seconds of importing it, so that a hundred kills
    take minutes. The forked process is an ordinary one: killed like any other, its children and threads its own.
    """

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAMSOAT_")}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _START],
            env=environment | {"PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fork(self, command: str, environment: dict[str, str], log: Path) -> int:
        """Start ``tamsoat <command>``; its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"command": command, "environment": environment, "log": str(log)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the starter; what it started lives on."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Program:
    """``tamsoat serve`` or ``tamsoat worker`` that can be killed and started again with the same settings."""

    def __init__(self, starter: Starter, command: str, log: Path, **settings: object) -> None:
        self.command = command
        self._starter, self._log = starter, log
        self._environment = {"TAMSOAT_LOG_LEVEL": "warning"}
        self._environment |= {f"TAMSOAT_{name.upper()}": str(value) for name, value in settings.items()}
        self.pid = 0
        self.starts_s: list[float] = []

    def start(self, wait_s: float = 240.0) -> Self:
        """Start it, and return once it says that it is up.

        Raises:
            RuntimeError: it ended, or said nothing within ``wait_s``.
        """
        began_s = time.monotonic()
        before = self._log.stat().st_size if self._log.exists() else 0
        self.pid = self._starter.fork(self.command, self._environment, self._log)
        while not (self._log.exists() and _UP.search(self.output(before))):
            if not self.alive or time.monotonic() > began_s + wait_s:
                what = "was not up in time" if self.alive else "ended"
                self.kill()
                raise RuntimeError(f"tamsoat {self.command} {what}:\n{self.output(before)}")
            time.sleep(0.02)
        self.starts_s.append(time.monotonic() - began_s)
        return self

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def output(self, begin: int = 0) -> str:
        """What it printed, from byte ``begin`` on."""
        return self._log.read_bytes()[begin:].decode(errors="replace")

    def kill(self, kind: signal.Signals = signal.SIGKILL, wait_s: float = 60.0) -> None:
        """Send a signal and wait for the end.

        Raises:
            TimeoutError: it is still there after ``wait_s``.
        """
        deadline_s = time.monotonic() + wait_s
        if self.alive:
            os.kill(self.pid, kind)
        while self.alive:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"tamsoat {self.command} did not end")
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


@dataclass
class Load:
    """Sends slides to a server for as long as it lasts, from several threads; a server that is away is waited for.

    At most ``outstanding`` accepted jobs are left open at a time. ``statuses`` counts the answers other than 202.
    """

    url: str
    images: Sequence[bytes]
    threads: int = 4
    outstanding: int = 24
    accepted: list[str] = field(default_factory=list)
    finished: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    refused: list[httpx.Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(self.threads)]

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for worker in self._workers:
            worker.join(60)

    def _work(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self._stop.is_set():
                if len(self.accepted) - self.finished >= self.outstanding:
                    self._stop.wait(0.02)
                    continue
                number = next(self._numbers)
                # Bytes after the end of a JPEG make it another file with the same picture.
                image = self.images[number % len(self.images)] + b"%d" % number
                try:
                    answer = send(client, image)
                except httpx.TransportError:
                    self._stop.wait(0.1)
                    continue
                if answer.status_code == 202:
                    self.accepted.append(answer.json()["analysis_id"])
                else:
                    self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
                    self.refused.append(answer)
                    self._stop.wait(0.2)


def send(client: httpx.Client, image: bytes, **fields: str) -> httpx.Response:
    """Send one slide."""
    return client.post(
        "/api/v1/slides", files={"image": ("a.jpg", image, "image/jpeg")}, data={"objective": "40"} | fields
    )


def listen_by_webhook(url: str) -> None:
    """Make a webhook that is switched off: its events are kept, and nobody is called."""
    made = httpx.post(
        f"{url}/api/v1/webhooks", json={"url": "http://127.0.0.1:9/", "event_types": ["analysis.completed"]}, timeout=30
    )
    assert made.status_code == 201, made.text
    changed = httpx.patch(
        f"{url}/api/v1/webhooks/{made.json()['webhook_id']}",
        json={"enabled": False},
        headers={"If-Match": made.headers.get("etag", "*")},
        timeout=30,
    )
    assert changed.status_code == 200, changed.text


def open_jobs(database: Database) -> int | None:
    """How many jobs have not ended; None while the database does not answer."""
    try:
        with database.read() as session:
            query = select(func.count()).select_from(Screening).where(Screening.state.not_in(FINAL_STATES))
            return session.scalar(query) or 0
    except TamsoatError:
        return None


def wait_until_done(database: Database, wait_s: float) -> float:
    """Wait until no job is open; the seconds that it took.

    Raises:
        AssertionError: jobs are still open after ``wait_s``.
    """
    began_s = time.monotonic()
    while (left := open_jobs(database)) != 0:
        late = time.monotonic() > began_s + wait_s
        assert not late, f"{left} jobs are still open after {wait_s:g} s:\n{describe_open(database)}"
        time.sleep(0.1)
    return time.monotonic() - began_s


_OPEN = {
    "open jobs": "SELECT id, state, step, attempts, crashes, executor, started_at, updated_at FROM screenings "
    "WHERE state IN ('queued', 'running')",
    "workers": "SELECT * FROM workers",
    "workflows": "SELECT workflow_uuid, status, executor_id, queue_name, recovery_attempts, "
    "to_timestamp(updated_at / 1000), error FROM dbos.workflow_status WHERE status NOT IN ('SUCCESS', 'CANCELLED')",
    "sessions": "SELECT pid, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid), "
    "now() - state_change, left(query, 120) FROM pg_stat_activity WHERE datname = current_database() "
    "AND state <> 'idle'",
    "locks waited for": "SELECT pid, locktype, relation::regclass, mode FROM pg_locks WHERE NOT granted",
}


def describe_open(database: Database) -> str:
    """What keeps jobs open, as far as the database knows, for the message of a failed test."""
    lines = []
    for what, query in _OPEN.items():
        try:
            with database.read() as session:
                lines += [f"{what}: {dict(row._mapping)}" for row in session.execute(text(query))]
        except (TamsoatError, SQLAlchemyError) as error:  # SQLite knows only the first two
            lines.append(f"{what}: {type(error).__name__}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Verdict:
    """What is in the database after everything ended."""

    accepted: int
    completed: int
    lost: int
    results_not_one: int
    audit_entries_not_one: int
    events_not_one: int
    begun_again: int
    takeovers: int
    audit_whole: bool

    @property
    def clean(self) -> bool:
        """Whether every accepted job has exactly one result, audit entry and event, and the log is whole."""
        faults = (self.lost, self.results_not_one, self.audit_entries_not_one, self.events_not_one)
        return not any(faults) and self.audit_whole


def examine(database: Database, accepted: Sequence[str]) -> Verdict:
    """Count, for every accepted job and every other one that was stored, what is visible of it."""
    with database.read() as session:
        jobs = {row.id: row for row in session.scalars(select(Screening))}
        results = _counts(session.scalars(select(Analysis.id)))
        created = _counts(
            subject.removeprefix("analysis:")
            for subject in session.scalars(select(AuditEntry.subject).where(AuditEntry.action == "analysis:create"))
        )
        events = _counts(str(data["analysis_id"]) for data in session.scalars(select(WebhookEvent.data)))
        takeovers = session.scalar(
            select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "worker:takeover")
        )
    with database.read() as session:
        whole = audit.verify(session).whole
    done = [name for name, row in jobs.items() if row.state == "completed"]
    return Verdict(
        accepted=len(accepted),
        completed=len(done),
        lost=sum(name not in jobs or jobs[name].state != "completed" for name in accepted) + (len(jobs) - len(done)),
        results_not_one=sum(results.get(name) != 1 for name in done) + len(results.keys() - set(done)),
        audit_entries_not_one=sum(created.get(name) != 1 for name in done),
        events_not_one=sum(events.get(name) != 1 for name in done),
        begun_again=sum(row.crashes > 0 for row in jobs.values()),
        takeovers=takeovers or 0,
        audit_whole=whole,
    )


def _counts(names: object) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:  # type: ignore[attr-defined]
        counts[name] = counts.get(name, 0) + 1
    return counts
