"""Tiles a second: the tile endpoint against a static file server that has the same JPEGs.

    python benchmarks/tiles.py [--model BUNDLE] [--fields FOLDER] [--size 10000x9000] [--rounds 5] [--seconds 3]

Cached: tiles that were made before, asked for with a session cookie and without sign-in, in turns with Starlette's
StaticFiles under the same web server (uvicorn, one process) serving the same bytes; 8 connections, medians of rounds.
Uncached: every tile is asked for once, by 1 and by 6 connections (as browsers do), from an empty cache; reading,
decoding, encoding and storing included. CPU is the processor time of the server process (without its children) for
each request.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from http_load import load, percentile
from viewed_slide import ViewedSlide, arguments, viewed_slide

AT_ONCE = 8
BROWSER_CONNECTIONS = 6
CACHED_TILES = 400
STATIC = (
    "import sys, uvicorn\nfrom starlette.applications import Starlette\nfrom starlette.routing import Mount\n"
    "from starlette.staticfiles import StaticFiles\n"
    "app = Starlette(routes=[Mount('/', StaticFiles(directory=sys.argv[1]))])\n"
    "uvicorn.run(app, port=int(sys.argv[2]), log_level='error', access_log=False, server_header=False)\n"
)


class Target(NamedTuple):
    """One server with what is asked of it."""

    name: str
    port: int
    process: psutil.Process
    paths: list[str]
    headers: dict[str, str]


@contextmanager
def static_server(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """StaticFiles over ``folder`` on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", STATIC, str(folder), str(port)], env=dict(os.environ))
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


def cpu_s(process: psutil.Process) -> float:
    """Processor time used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def in_turns(targets: list[Target], rounds: int, seconds: float) -> list[tuple[float, float]]:
    """Requests a second and processor milliseconds for each, medians; all targets meet the same disturbances."""
    found: list[list[tuple[float, float]]] = [[] for _ in targets]
    for target in targets:
        load(target.port, target.paths, target.headers, AT_ONCE, 1.0)
    for _ in range(rounds):
        for index, target in enumerate(targets):
            start_cpu_s, start_s = cpu_s(target.process), time.perf_counter()
            done = len(load(target.port, target.paths, target.headers, AT_ONCE, seconds))
            spent_s = time.perf_counter() - start_s
            found[index].append((done / spent_s, 1000 * (cpu_s(target.process) - start_cpu_s) / done))
    return [(statistics.median(r for r, _ in runs), statistics.median(c for _, c in runs)) for runs in found]


def uncached(slide: ViewedSlide, paths: list[str], connections: int) -> list[float]:
    """Seconds that each tile took, each asked for once."""

    def fetch(client: httpx.Client, path: str) -> float:
        start_s = time.perf_counter()
        client.get(path).raise_for_status()
        return time.perf_counter() - start_s

    with (
        httpx.Client(base_url=slide.server.url, headers=slide.headers, timeout=120) as client,
        ThreadPoolExecutor(connections) as threads,
    ):
        return list(threads.map(lambda path: fetch(client, path), paths))


def measure_uncached(slide: ViewedSlide, paths: list[str]) -> None:
    """Print the table of tiles that are asked for the first time; half of them by each number of connections."""
    uncached(slide, slide.tiles(slide.view["levels"] - 3)[:4], 1)  # the readers have started
    print("\n| uncached, connections | tiles/s | ms, median | ms, 95th percentile |\n|---|---|---|---|")
    for connections, part in ((1, paths[::2]), (BROWSER_CONNECTIONS, paths[1::2])):
        start_s = time.perf_counter()
        spent_s = uncached(slide, part, connections)
        rate = len(part) / (time.perf_counter() - start_s)
        told = f"{1000 * statistics.median(spent_s):.1f} | {1000 * percentile(spent_s, 0.95):.1f}"
        print(f"| {connections} | {rate:.0f} | {told} |", flush=True)


def measure_cached(slide: ViewedSlide, paths: list[str], name: str, rounds: int, seconds: float) -> None:
    """Print how the tile endpoint compares with the static file server."""
    with tempfile.TemporaryDirectory() as folder_name, httpx.Client(base_url=slide.server.url) as client:
        folder = Path(folder_name)
        for path in paths:
            (folder / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (folder / path[1:]).write_bytes(client.get(path, headers=slide.headers).raise_for_status().content)
        sizes = [file.stat().st_size for file in folder.rglob("*.jpg")]
        port = httpx.URL(slide.server.url).port or 0
        with static_server(folder) as (static_port, static_process):
            service = Target(name, port, psutil.Process(slide.server.process.pid), paths, slide.headers)
            static = Target("static", static_port, static_process, paths, {})
            (static_rate, static_cpu), (rate, own_cpu) = in_turns([static, service], rounds, seconds)
    print(
        f"| {name} | {static_rate:.0f} | {rate:.0f} | {rate / static_rate:.2f} | {static_cpu:.2f} | {own_cpu:.2f} "
        f"| {statistics.median(sizes) / 1000:.1f} kB |",
        flush=True,
    )


def main() -> None:
    parser = arguments(argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    for accounts, name in ((False, "no sign-in"), (True, "session cookie")):
        with viewed_slide(options, accounts=accounts) as slide:
            paths = slide.tiles(slide.view["levels"])[:CACHED_TILES]
            if not accounts:
                measure_uncached(slide, paths)
                print("\n| cached | static files/s | tiles/s | ratio | CPU ms static | CPU ms tile | tile |")
                print("|---|---|---|---|---|---|---|")
            measure_cached(slide, paths, name, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
