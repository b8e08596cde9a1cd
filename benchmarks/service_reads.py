"""Reading: requests a second against a bare FastAPI + SQLAlchemy endpoint; the worklist and `audit verify` at size.

    python benchmarks/service_reads.py [--part reads|size|all] [--count 100000] [--rounds 7] [--seconds 3]

``reads``: `GET /healthz` and `GET /api/v1/analyses/{id}` of the service and of benchmarks/bare_service.py over the
same rows, in turns, 16 connections, medians of rounds. Without sign-in (a service on loopback without accounts), with
a session cookie and with a bearer token; for analyses that belong to no order, and for those that do, whose reading is
written to the audit log before it is answered. CPU is the processor time of the server process per request, which
another load on the machine distorts less than the rate.

``size``: with many analyses stored, on SQLite and PostgreSQL: pages of the worklist (95th percentile over HTTP) and
entries verified a second by `tamsoat audit verify`, deep verification included.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from http_load import load, percentile
from machine_clients import make_client
from people import make_account, open_database, sign_in
from postgresql_cluster import programs, running_cluster
from service_process import ServerProcess
from stored_analyses import fill

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.audit import checkpoints, verification
from tamsoat.inference_service.db.keyring import open_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings
from tamsoat.models.bundle import default_bundle

AT_ONCE = 16
CELLS_OF_A_FIELD, CELLS_AT_SIZE = 30, 5
HERE = Path(__file__).resolve().parent


class Measured(NamedTuple):
    """Medians of rounds."""

    rate: float
    cpu_ms: float


class Target(NamedTuple):
    """One endpoint of one server, with what the caller sends."""

    port: int
    process: psutil.Process
    paths: list[str]
    headers: dict[str, str]


@contextmanager
def bare_server(url: str) -> Iterator[tuple[int, psutil.Process]]:
    """The bare service on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "BARE_DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg://")}
    process = subprocess.Popen([sys.executable, str(HERE / "bare_service.py"), str(port)], env=environment)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def process_cpu_s(process: psutil.Process) -> float:
    """Processor time that a process has used, in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


def children_cpu_s() -> float:
    """Processor time of the commands that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_turns(targets: list[Target], rounds: int, seconds: float) -> list[Measured]:
    """Load each target in every round, so that all of them meet the same disturbances."""
    rates: list[list[float]] = [[] for _ in targets]
    costs: list[list[float]] = [[] for _ in targets]
    for target in targets:
        load(target.port, target.paths, target.headers, AT_ONCE, 1.0)
    for _ in range(rounds):
        for index, target in enumerate(targets):
            start_cpu_s = process_cpu_s(target.process)
            start_s = time.perf_counter()
            done = len(load(target.port, target.paths, target.headers, AT_ONCE, seconds))
            rates[index].append(done / (time.perf_counter() - start_s))
            costs[index].append(1000 * (process_cpu_s(target.process) - start_cpu_s) / done)
    return [Measured(statistics.median(rate), statistics.median(cost)) for rate, cost in zip(rates, costs, strict=True)]


def print_row(name: str, bare: Measured, service: Measured) -> None:
    print(
        f"| {name} | {bare.rate:.0f} | {service.rate:.0f} | {service.rate / bare.rate:.2f} | {bare.cpu_ms:.2f} | "
        f"{service.cpu_ms:.2f} | {bare.cpu_ms / service.cpu_ms:.2f} |",
        flush=True,
    )


def reads(url: str, kind: str, rounds: int, seconds: float, folder: Path) -> None:
    """The table of requests a second on one database."""
    database = Database(url)
    identifiers = fill(database, 300, cells=CELLS_OF_A_FIELD)
    database.close()
    plain = [f"/api/v1/analyses/{name}" for number, name in enumerate(identifiers, 1) if number % 3]
    ordered = [f"/api/v1/analyses/{name}" for number, name in enumerate(identifiers, 1) if not number % 3]
    settings = {"database_url": url, "data_dir": str(folder), "rate_limit_per_minute": 10**9}
    with bare_server(url) as (bare_port, bare_process):
        for who, prepare in (("no sign-in", None), ("cookie", _cookie), ("bearer", _bearer)):
            with ServerProcess(default_bundle(), folder / "unused.db", **settings) as server:
                headers = {} if prepare is None else prepare(server, url, folder)
                process, port = psutil.Process(server.process.pid), httpx.URL(server.url).port or 0
                for name, paths in (
                    *([("GET /healthz", ["/healthz"])] if prepare is None else []),
                    ("GET /api/v1/analyses/{id}", plain),
                    ("… of an order (audited)", ordered),
                ):
                    bare, service = in_turns(
                        [Target(bare_port, bare_process, paths, {}), Target(port, process, paths, headers)],
                        rounds,
                        seconds,
                    )
                    print_row(f"{kind} | {name} | {who}", bare, service)


def _cookie(server: ServerProcess, url: str, folder: Path) -> dict[str, str]:
    with open_database(url, folder / "keys.json") as database, httpx.Client(base_url=server.url) as client:
        account, password = make_account(database, "local", [Role.PATHOLOGIST])
        sign_in(client, database, account, password)
        return {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)}


def _bearer(server: ServerProcess, url: str, folder: Path) -> dict[str, str]:
    with open_database(url, folder / "keys.json") as database, httpx.Client(base_url=server.url) as client:
        return make_client(database, "local").headers(client)


def size(url: str, kind: str, count: int, folder: Path) -> None:
    """The worklist and verification with ``count`` analyses."""
    database = Database(url)
    identifiers = fill(database, count, cells=CELLS_AT_SIZE)
    keyring = open_keyring(folder / "keys.json")
    start_s = time.perf_counter()
    made = checkpoints.make(database, keyring, Settings())
    spent_s = time.perf_counter() - start_s
    print(f"| {kind} | first checkpoint over {made.size if made else 0} entries | {spent_s:.2f} s |")
    with database.read() as session:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        outcome = verification.verify(session, verification.Options(keyring.signing.public_key()))
        spent_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    if not outcome.whole:
        raise SystemExit(outcome.reason)
    database.close()
    told = f"{outcome.entries / spent_s:.0f} entries/s; {outcome.entries / cpu_s:.0f} per second of processor time"
    print(f"| {kind} | verification of {outcome.entries} entries | {told} |")
    settings = {"database_url": url, "data_dir": str(folder), "rate_limit_per_minute": 10**9}
    with ServerProcess(default_bundle(), folder / "unused.db", **settings) as server:
        port, process = httpx.URL(server.url).port or 0, psutil.Process(server.process.pid)
        for name, paths in worklist_pages(identifiers).items():
            for at_once in (1, 4):
                start_cpu_s = process_cpu_s(process)
                spent_ms = [1000 * value for value in load(port, paths, {}, at_once, 6.0)]
                told = f"p50 {percentile(spent_ms, 0.5):.1f} ms, p95 {percentile(spent_ms, 0.95):.1f} ms"
                told += f", processor {1000 * (process_cpu_s(process) - start_cpu_s) / len(spent_ms):.1f} ms each"
                print(
                    f"| {kind} | worklist, {name}, {at_once} at once | {told} ({len(spent_ms)} requests) |", flush=True
                )
    environment = {**os.environ, "TAMSOAT_DATABASE_URL": url, "TAMSOAT_DATA_DIR": str(folder)}
    for name, options in (("verify", []), ("verify --deep", ["--deep"])):
        command = [sys.executable, "-m", "tamsoat.inference_service", "audit", "verify", *options]
        start_s, start_cpu_s = time.perf_counter(), children_cpu_s()
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            raise SystemExit(f"{name}: {finished.stdout}{finished.stderr}")
        spent_s, cpu_s = time.perf_counter() - start_s, children_cpu_s() - start_cpu_s
        told = (
            f"{spent_s:.1f} s with its start ({cpu_s:.1f} s of processor time), {(count + 1) / spent_s:.0f} entries/s"
        )
        print(f"| {kind} | audit {name}: {finished.stdout.strip()} | {told} |", flush=True)


def worklist_pages(identifiers: list[str]) -> dict[str, list[str]]:
    """Pages as people ask for them: the first, deep ones, narrowed ones."""
    count = len(identifiers)
    deep = [identifiers[round(count * share)] for share in (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)]
    page = "/api/v1/analyses?limit=50"
    narrowed = [f"{page}&triage={triage}" for triage in ("urgent", "review")]
    narrowed += [f"{page}&state=completed&priority={priority}" for priority in ("stat", "routine")]
    narrowed += [f"{page}&created_from=2026-01-10T00:00:00Z&created_before=2026-01-11T00:00:00Z"]
    narrowed += [
        f"{page}&triage=urgent&priority=stat",
        f"{page}&state=failed",
        f"{page}&order_id=order-{count // 6 * 3}",
    ]
    return {
        "first page": [page],
        "deep pages": [f"{page}&before={name}" for name in deep],
        "with filters": narrowed,
        "deep with filters": [f"{path}&before={name}" for path in narrowed[:5] for name in deep],
    }


def on_each_database(run: Callable[[str, str, Path], None], wanted: str) -> None:
    """SQLite, and PostgreSQL (with fsync) where it is installed; everything is removed afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if wanted != "postgresql":
            run(f"sqlite:///{folder}/bench.db", "SQLite", folder)
        installed = programs() if wanted != "sqlite" else None
        if installed is not None:
            cluster = stack.enter_context(running_cluster(installed, durable=True))
            other = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            run(cluster.new_database(), "PostgreSQL", other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("reads", "size", "all"), default="all")
    parser.add_argument("--count", type=int, default=100_000, help="analyses stored for the part `size`")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds per round and server")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--model", help="accepted like the other benchmarks do; reading needs the bundle's name only")
    options, _ = parser.parse_known_args()
    if options.part in ("reads", "all"):
        print(
            "| database | endpoint | caller | bare req/s | service req/s | ratio "
            "| bare CPU ms | service CPU ms | ratio |"
        )
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        on_each_database(
            lambda url, kind, folder: reads(url, kind, options.rounds, options.seconds, folder), options.database
        )
    if options.part in ("size", "all"):
        print(f"\n{options.count} analyses of {CELLS_AT_SIZE} cells\n\n| database | what | measured |\n|---|---|---|")
        on_each_database(lambda url, kind, folder: size(url, kind, options.count, folder), options.database)


if __name__ == "__main__":
    main()
