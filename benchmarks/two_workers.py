"""Two workers on one PostgreSQL share images, one of them is killed half-way for good; against one worker alone.

    python benchmarks/two_workers.py [--images 200] [--fields FOLDER | --data FOLDER] [--model BUNDLE]

Every worker has one inference thread and one image at once, so that two of them are twice the machine of one (given
two free cores). The images wait in the queue before the first worker starts. Prints who did what and the seconds from
the first start of a worker to the last result. Without a folder synthetic fields are generated.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from job_processes import Program, Starter, Verdict, examine, free_port, listen_by_webhook, send
from postgresql_cluster import Cluster, programs, running_cluster

from tamsoat.datasets.synthetic import make_field
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.screening.tables import COMPLETED, Screening
from tamsoat.models.bundle import default_bundle

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class Shared:
    """One run: results per worker, those that a dead worker had begun and another one did."""

    name: str
    seconds: float
    by_worker: dict[str, int]
    taken_over: int
    verdict: Verdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--fields", "--data", type=Path, help="folder of field images (or one with a subfolder fields)")
    parser.add_argument("--model", type=Path, help="bundle folder (default: the one that ships)")
    options = parser.parse_args()
    folder = programs()
    if folder is None:
        raise SystemExit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    images = list(itertools.islice(itertools.cycle(_images(options.fields)), options.images))
    bundle = options.model or default_bundle()
    with running_cluster(folder, durable=True) as cluster:
        runs = [
            _run("one worker", bundle, cluster, images, names="a", kill=None),
            _run("two workers", bundle, cluster, images, names="ab", kill=None),
            _run("two workers, a killed half-way", bundle, cluster, images, names="ab", kill="a"),
        ]
    print(
        "| run | images | seconds | against one | results by worker | begun again | lost | results ≠ 1 | audit whole |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for run in runs:
        shares = ", ".join(f"{name}: {count}" for name, count in sorted(run.by_worker.items()))
        seen = run.verdict
        print(
            f"| {run.name} | {seen.completed} | {run.seconds:.1f} | {runs[0].seconds / run.seconds:.2f} x | {shares} "
            f"| {run.taken_over} | {seen.lost} | {seen.results_not_one} | {'yes' if seen.audit_whole else 'NO'} |"
        )
    raise SystemExit(0 if all(run.verdict.clean for run in runs) else 1)


def _run(name: str, bundle: Path, cluster: Cluster, images: list[bytes], names: str, kill: str | None) -> Shared:
    url, port = cluster.new_database(), free_port()
    with tempfile.TemporaryDirectory() as folder_name, Starter() as starter:
        folder = Path(folder_name)
        settings: dict[str, object] = {
            "model": bundle, "database_url": url, "threads": 1, "worker_concurrency": 1, "decode_workers": 1,
            "storage_url": f"file://{folder}/files", "keys_file": folder / "keys.json", "worker_timeout_s": 5,
            "worker_heartbeat_s": 1, "webhook_networks": "127.0.0.0/8",
        }  # fmt: skip
        with Program(
            starter, "serve", folder / "serve.log", port=port, run_worker="false", data_dir=folder / "serve", **settings
        ):
            listen_by_webhook(f"http://127.0.0.1:{port}")
            accepted = _submit(port, images)
        database = Database(url)
        workers = {
            each: Program(starter, "worker", folder / f"{each}.log", worker_id=each, data_dir=folder / each, **settings)
            for each in names
        }
        try:
            began_s = time.monotonic()
            for worker in workers.values():
                worker.start()
            if kill is not None:
                while _done(database) < len(images) // 2:
                    time.sleep(0.05)
                workers[kill].kill()
            while _done(database) < len(images):
                time.sleep(0.05)
            seconds = time.monotonic() - began_s
        finally:
            for worker in workers.values():
                if worker.pid:
                    worker.kill()
        with database.read() as session:
            by_worker = Counter(session.scalars(select(Screening.executor)))
        verdict = examine(database, accepted)
        database.close()
    return Shared(name, seconds, {str(each): count for each, count in by_worker.items()}, verdict.begun_again, verdict)


def _submit(port: int, images: list[bytes]) -> list[str]:
    accepted = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        for number, image in enumerate(images):
            answer = send(client, image + b"%d" % number)  # another file with the same picture
            assert answer.status_code == 202, answer.text
            accepted.append(answer.json()["analysis_id"])
    return accepted


def _done(database: Database) -> int:
    with database.read() as session:
        query = select(func.count()).select_from(Screening).where(Screening.state == COMPLETED)
        return session.scalar(query) or 0


def _images(folder: Path | None) -> list[bytes]:
    if folder is not None:
        inside = folder / "fields" if (folder / "fields").is_dir() else folder
        found = sorted(path for path in inside.iterdir() if path.suffix.lower() in SUFFIXES)
        if not found:
            raise SystemExit(f"{inside}: no images")
        return [path.read_bytes() for path in found]
    made = []
    for seed in range(20):
        stream = io.BytesIO()
        Image.fromarray(make_field(seed=seed, width_px=1376, height_px=1020, n_nuclei=80).image).save(stream, "JPEG")
        made.append(stream.getvalue())
    return made


if __name__ == "__main__":
    main()
