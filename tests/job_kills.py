"""Kill -9 of server and worker at random moments under load."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from job_processes import (
    Load,
    Program,
    Starter,
    Verdict,
    examine,
    free_port,
    listen_by_webhook,
    open_jobs,
    wait_until_done,
)

from tamsoat.inference_service.db.session import Database


@dataclass(frozen=True)
class Campaign:
    """The outcome of ``kills`` kills in ``wall_s`` seconds; ``start_s`` is the median time of a start."""

    database: str
    kills: int
    verdict: Verdict
    wall_s: float
    start_s: float

    HEADER = (
        "| database | kills | accepted jobs | completed | lost | results ≠ 1 | audit entries ≠ 1 | events ≠ 1 "
        "| begun again | audit whole | start s | total s |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    )

    def row(self) -> str:
        """One line of a Markdown table."""
        seen = self.verdict
        cells = (
            self.database, self.kills, seen.accepted, seen.completed, seen.lost, seen.results_not_one,
            seen.audit_entries_not_one, seen.events_not_one, seen.begun_again, "yes" if seen.audit_whole else "NO",
            f"{self.start_s:.1f}", f"{self.wall_s:.0f}",
        )  # fmt: skip
        return "| " + " | ".join(str(cell) for cell in cells) + " |"


def run_campaign(
    bundle: Path,
    folder: Path,
    database_url: str,
    images: list[bytes],
    kills: int,
    seed: int,
    report: Callable[[int, float], None] = lambda _kills, _seconds: None,
) -> Campaign:
    """Kill the server or the worker, whichever chance says, ``kills`` times; then let everything finish and count.

    ``report`` is told how many kills are done after how many seconds.
    """
    chance = random.Random(seed)
    port = free_port()
    settings = {
        "model": bundle, "database_url": database_url, "data_dir": folder, "threads": 1, "port": port,
        "webhook_networks": "127.0.0.0/8", "decode_workers": 1, "database_wait_s": 60,
    }  # fmt: skip
    began_s = time.monotonic()
    starter = Starter()
    server = Program(starter, "serve", folder / "server.log", **settings).start()
    worker = Program(starter, "worker", folder / "worker.log", **settings)
    database = Database(database_url)
    stop = threading.Event()
    url = f"http://127.0.0.1:{port}"
    listen_by_webhook(url)
    worker.start()
    try:
        with Load(url, images) as load:
            counter = threading.Thread(target=count_open, args=(database, load, stop), daemon=True)
            counter.start()
            for number in range(1, kills + 1):
                target = chance.choice((server, worker))
                time.sleep(chance.uniform(0.05, 1.0))
                target.kill()
                target.start()
                report(number, time.monotonic() - began_s)
        wait_until_done(database, 120)
        verdict = examine(database, load.accepted)
    finally:
        stop.set()
        for program in (server, worker):
            program.kill()
        starter.close()
        database.close()
    return Campaign(
        database=database_url.partition(":")[0],
        kills=kills,
        verdict=verdict,
        wall_s=time.monotonic() - began_s,
        start_s=statistics.median([*server.starts_s, *worker.starts_s]),
    )


def count_open(database: Database, load: Load, stop: threading.Event) -> None:
    """Tell the load how many jobs ended, until ``stop``."""
    while not stop.wait(0.1):
        left = open_jobs(database)
        if left is not None:
            load.finished = max(0, len(load.accepted) - left)
