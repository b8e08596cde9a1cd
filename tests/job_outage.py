"""PostgreSQL goes away under load and comes back."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from job_kills import count_open
from job_processes import Load, Program, Starter, Verdict, examine, free_port, listen_by_webhook, wait_until_done
from postgresql_cluster import Cluster
from waiting import wait_until

from tamsoat.inference_service.db.session import Database


@dataclass(frozen=True)
class Outage:
    """What an outage of ``outage_s`` seconds did: ``unclear`` counts the answers in it that were neither 202 nor a 503
    with ``Retry-After`` and a problem document; seconds until the first job was accepted and all were done after it."""

    outage_s: float
    verdict: Verdict
    answered_503: int
    unclear: int
    accepted_after_s: float
    done_after_s: float
    restarts: int

    HEADER = (
        "| outage s | accepted jobs | completed | lost | results ≠ 1 | events ≠ 1 | audit whole | answers 503 with "
        "Retry-After | other answers | accepted again after s | all done after s | restarts |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|"
    )

    def row(self) -> str:
        """One line of a Markdown table."""
        seen = self.verdict
        cells = (
            f"{self.outage_s:g}", seen.accepted, seen.completed, seen.lost, seen.results_not_one, seen.events_not_one,
            "yes" if seen.audit_whole else "NO", self.answered_503, self.unclear, f"{self.accepted_after_s:.1f}",
            f"{self.done_after_s:.1f}", self.restarts,
        )  # fmt: skip
        return "| " + " | ".join(str(cell) for cell in cells) + " |"


def run_outage(bundle: Path, folder: Path, cluster: Cluster, images: list[bytes], outage_s: float) -> Outage:
    """Stop PostgreSQL as a crash would, start it again after ``outage_s``, and see what became of the jobs."""
    database_url, port = cluster.new_database(), free_port()
    settings = {
        "model": bundle, "database_url": database_url, "data_dir": folder, "threads": 1, "port": port,
        "webhook_networks": "127.0.0.0/8", "decode_workers": 1,
    }  # fmt: skip
    database, stop = Database(database_url), threading.Event()
    with (
        Starter() as starter,
        Program(starter, "serve", folder / "server.log", **settings) as server,
        Program(starter, "worker", folder / "worker.log", **settings) as worker,
    ):
        listen_by_webhook(f"http://127.0.0.1:{port}")
        with Load(f"http://127.0.0.1:{port}", images) as load:
            threading.Thread(target=count_open, args=(database, load, stop), daemon=True).start()
            _wait_for_more(load, 10)
            cluster.stop()
            time.sleep(outage_s)
            wait_until(lambda: load.refused, what=lambda: load.statuses)
            cluster.start(durable=True)
            began_s = time.monotonic()
            _wait_for_more(load, 1)
            accepted_after_s = time.monotonic() - began_s
            _wait_for_more(load, 10)
        wait_until_done(database, 120 + 2 * outage_s)
        done_after_s = time.monotonic() - began_s
        stop.set()
        died = [program.command for program in (server, worker) if not program.alive]
        verdict = examine(database, load.accepted)
    database.close()
    clear = [
        answer
        for answer in load.refused
        if answer.status_code == 503 and "retry-after" in answer.headers and answer.json()["type"]
    ]
    return Outage(
        outage_s, verdict, len(clear), len(load.refused) - len(clear), accepted_after_s, done_after_s, len(died)
    )


def _wait_for_more(load: Load, count: int) -> None:
    wanted = len(load.accepted) + count
    wait_until(lambda: len(load.accepted) >= wanted, what=lambda: load.statuses)
