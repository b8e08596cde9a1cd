"""A large upload over a line that breaks: does it arrive whole, how much is sent twice, how much memory does it take?

    python benchmarks/resumable_upload.py [--mb 300] [--cuts 20] [--kills 2] [--client python|node|both]

A TCP proxy between client and server resets the connection at random places; in between the server is killed with
SIGKILL and started again. Prints one row per client. Target: the file arrives whole, and at most two parts (chunks)
are sent again per interruption. Everything on loopback; client and server share the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from cutting_proxy import CuttingProxy, cut_points
from service_process import ServerProcess
from tus_client import ResumingClient

from tamsoat.models.bundle import default_bundle

ROOT = Path(__file__).resolve().parent.parent
MB = 1_000_000
MIB = 2**20


class Watched:
    """The server, killed and started again when the proxy has seen so many bytes; samples its memory."""

    def __init__(self, start: Callable[[int], ServerProcess], kills: list[int]) -> None:
        self._start, self._kills = start, list(kills)
        self.server = start(0)
        self.port = httpx.URL(self.server.url).port or 0
        self.killed, self.rss_mib = 0, [self._rss()]
        self.proxy: CuttingProxy | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def watch(self, proxy: CuttingProxy) -> None:
        self.proxy = proxy
        self._thread.start()

    def _rss(self) -> float:
        return float(psutil.Process(self.server.process.pid).memory_info().rss) / MIB

    def _watch(self) -> None:
        assert self.proxy is not None
        while not self._ended.wait(0.05):
            if self._kills and self.proxy.up_bytes >= self._kills[0]:
                self._kills.pop(0)
                self.server.stop(signal.SIGKILL)
                self.server = self._start(self.port)
                self.killed += 1
            self.rss_mib.append(self._rss())

    def close(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(60)
        self.server.stop()


def run(client: str, file: Path, digest: str, options: argparse.Namespace) -> tuple[bool, str]:
    """Upload once; returns whether the target is met, and the row."""
    length, chunk = file.stat().st_size, options.chunk_mib * MIB
    kills = [length * (n + 1) // (options.kills + 1) for n in range(options.kills)]
    with tempfile.TemporaryDirectory() as folder:

        def start(port: int) -> ServerProcess:
            return ServerProcess(
                options.model or default_bundle(), Path(folder) / "a.db", data_dir=folder, threads=1, port=port,
                run_worker="false",
            )  # fmt: skip

        watched = Watched(start, kills)
        try:
            with CuttingProxy(watched.port, cut_points(length, options.cuts, options.seed)) as proxy:
                watched.watch(proxy)
                begin_s = time.monotonic()
                analysis = upload(client, proxy.url, file, chunk)
                wall_s = time.monotonic() - begin_s
                sent, cuts = proxy.up_bytes, proxy.done
            with httpx.Client(base_url=watched.server.url) as direct:
                (slide,) = direct.get("/api/v1/slides").json()["items"]
        finally:
            watched.close()
    interruptions = cuts + watched.killed
    again = max(0, sent - length)
    whole = slide["sha256"] == digest and slide["analysis_id"] == analysis
    ok = whole and cuts == options.cuts and watched.killed == options.kills and again <= 2 * chunk * interruptions
    grown = max(watched.rss_mib) - watched.rss_mib[0]
    return ok, (
        f"| {client} | {length / MB:.0f} | {cuts} | {watched.killed} | {'yes' if whole else 'NO'} | {again / MB:.1f} | "
        f"{again / chunk / max(1, interruptions):.2f} | {wall_s:.1f} | {length / MB / wall_s:.1f} | "
        f"{watched.rss_mib[0]:.0f} | {max(watched.rss_mib):.0f} (+{grown:.0f}) | {'met' if ok else 'MISSED'} |"
    )


def upload(client: str, url: str, file: Path, chunk: int) -> str:
    """Upload by one of the clients; returns the analysis that it was told."""
    if client == "python":
        with file.open("rb") as source:
            return ResumingClient(url, chunk, give_up_s=120).upload(source, file.stat().st_size).analysis_id
    done = subprocess.run(
        ["node", str(ROOT / "benchmarks/tus_upload.mjs"), url, str(file), str(chunk)],
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"tus-js-client gave up: {done.stderr}")
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=300, help="size of the file, MB")
    parser.add_argument("--cuts", type=int, default=20, help="resets of the line")
    parser.add_argument("--kills", type=int, default=2, help="kills of the server")
    parser.add_argument("--chunk-mib", type=int, default=4, help="bytes per request, MiB (the web page sends 4)")
    parser.add_argument("--client", choices=("python", "node", "both"), default="both")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--model", type=Path, help="bundle folder (default: the one that ships)")
    options = parser.parse_args()
    clients = ("python", "node") if options.client == "both" else (options.client,)
    if "node" in clients and not (ROOT / "node_modules/tus-js-client").is_dir():
        print("tus-js-client is not installed (make assets): measuring the Python client alone", file=sys.stderr)
        clients = ("python",)
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        digest = hashlib.sha256()
        for count in range(int(options.mb)):
            block = (b"\xff\xd8\xff\xe0" if count == 0 else b"") + os.urandom(MB - (4 if count == 0 else 0))
            digest.update(block)
            file.write(block)
        file.flush()
        print("| client | MB | cuts | kill -9 | whole | sent again, MB | chunks again per interruption | s | MB/s | "
              "server MiB before | most MiB | target |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|---|---|---|---|")
        results = []
        for client in clients:
            ok, row = run(client, Path(file.name), digest.hexdigest(), options)
            results.append(ok)
            print(row, flush=True)
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
