"""``tamsoat worker``: a process that works on jobs and answers nobody."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tamsoat.inference_service.runtime import open_runtime
from tamsoat.inference_service.settings import load_settings
from tamsoat.inference_service.transport import logs


def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="Images screened at once (TAMSOAT_WORKER_CONCURRENCY)")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Folder of the model bundle (TAMSOAT_MODEL); default: the one that ships")
    ] = None,
    database_url: Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")] = None,
    threads: Annotated[int | None, typer.Option(help="Inference threads; 0: one per core (TAMSOAT_THREADS)")] = None,
) -> None:
    """Work on screening jobs until stopped; Ctrl-C or SIGTERM finishes the running ones or hands them back."""
    settings = load_settings(
        worker_concurrency=concurrency, model=model, database_url=database_url, threads=threads
    )  # fmt: skip
    logs.configure(settings.log_level, settings.log_format)
    stop = threading.Event()
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, lambda *_: stop.set())
    runtime = open_runtime(settings)
    try:
        runtime.decoder.warm()
        runtime.jobs.start(runtime, settings.worker_concurrency)
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(f"tamsoat worker {runtime.jobs.executor_id}, {settings.worker_concurrency} images at once")
        console.print(f"  model     {runtime.bundle.folder} (digest {runtime.bundle.digest[:16]})")
        console.print(f"  provider  {runtime.engine.provider}")
        console.print(f"  database  {runtime.database.engine.url.render_as_string(hide_password=True)}")
        stop.wait()
    finally:
        runtime.close()
