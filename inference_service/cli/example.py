"""``tamsoat example``: a made-up hospital to look at, in an empty data folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tamsoat.inference_service.cli.progress import FieldProgress
from tamsoat.inference_service.examples import content, people, service
from tamsoat.inference_service.examples.content import ExampleCase
from tamsoat.inference_service.examples.service import Made
from tamsoat.inference_service.runtime import open_runtime
from tamsoat.inference_service.settings import Settings, load_settings
from tamsoat.inference_service.transport import logs


def example(
    database_url: Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")] = None,
    model: Annotated[
        Path | None, typer.Option(help="Folder of the model bundle (TAMSOAT_MODEL); default: the one that ships")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Inference threads; 0: one per core (TAMSOAT_THREADS)")] = None,
) -> None:
    """Make the example facility: people, patients, orders, and cases in different states. May be repeated."""
    settings = load_settings(database_url=database_url, model=model, threads=threads)
    made = make(settings)
    sys.stdout.write("\nExample facility, for looking only: everything in it is made up. Sign in as\n")
    for person in content.PEOPLE:
        roles = ", ".join(role.value for role in person.roles) + (", in another facility" if person.elsewhere else "")
        sys.stdout.write(f"  {person.username:14}  {made.passwords.get(person.username, ''):24}  {roles}\n")
    sys.stdout.write(f"passwords: {settings.data_folder / people.PASSWORDS} (they end with the first real account)\n")


def make(settings: Settings, cases: Sequence[ExampleCase] = content.CASES) -> Made:
    """Make ``cases`` of the example with a worker of this process, showing progress and the time left."""
    logs.configure("warning", settings.log_format)
    runtime = open_runtime(settings)
    try:
        runtime.decoder.warm()
        runtime.jobs.start(runtime, settings.worker_concurrency)
        with FieldProgress(3 * len(cases), "steps") as progress:

            def tell(what: str, done: int, total: int) -> None:
                progress.reach(done)
                progress.note(f"example: {what} ({done} of {total})")

            return service.make(runtime, tell, cases)
    finally:
        runtime.close()
