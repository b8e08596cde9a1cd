"""PostgreSQL away for a while under load: what the API answers, and what becomes of the jobs.

    python benchmarks/outage.py [--seconds 30] [--model BUNDLE]

Prints one row. Exits with 1 where anything was lost, visible twice, answered unclearly or needed a restart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from bad_inputs import good_jpeg
from job_outage import Outage, run_outage
from postgresql_cluster import programs, running_cluster

from tamsoat.models.bundle import default_bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--model", type=Path, help="bundle folder (default: the one that ships)")
    options = parser.parse_args()
    folder = programs()
    if folder is None:
        raise SystemExit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with running_cluster(folder, durable=True) as cluster, tempfile.TemporaryDirectory() as name:
        outage = run_outage(
            options.model or default_bundle(), Path(name), cluster, [good_jpeg()], options.seconds
        )  # fmt: skip
    print(f"{Outage.HEADER}\n{outage.row()}")
    raise SystemExit(0 if outage.verdict.clean and not outage.unclear and not outage.restarts else 1)


if __name__ == "__main__":
    main()
