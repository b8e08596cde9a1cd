"""Kill -9 of server and worker at random moments under load, on SQLite and on PostgreSQL.

    python benchmarks/kill.py [--kills 100] [--database sqlite|postgresql]

Prints one row per database. Exits with 1 where a job was lost or something is visible twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from bad_inputs import good_jpeg
from job_kills import Campaign, run_campaign
from postgresql_cluster import programs, running_cluster

from tamsoat.models.bundle import default_bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="default: both")
    parser.add_argument("--model", type=Path, help="bundle folder (default: the one that ships)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bundle = options.model or default_bundle()
    print(Campaign.HEADER, flush=True)
    clean = True

    def report(done: int, seconds: float) -> None:
        left_s = seconds / done * (options.kills - done)
        if done % 10 == 0:
            print(f"{done} of {options.kills} kills, about {left_s:.0f} s left", file=sys.stderr, flush=True)

    if options.database != "postgresql":
        with tempfile.TemporaryDirectory() as name:
            url = f"sqlite:///{name}/tamsoat.db"
            clean &= _print(run_campaign(bundle, Path(name), url, [good_jpeg()], options.kills, options.seed, report))
    if options.database != "sqlite":
        folder = programs()
        if folder is None:
            raise SystemExit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        with running_cluster(folder, durable=True) as cluster, tempfile.TemporaryDirectory() as name:
            url = cluster.new_database()
            clean &= _print(run_campaign(bundle, Path(name), url, [good_jpeg()], options.kills, options.seed, report))
    raise SystemExit(0 if clean else 1)


def _print(campaign: Campaign) -> bool:
    print(campaign.row(), flush=True)
    return campaign.verdict.clean


if __name__ == "__main__":
    main()
