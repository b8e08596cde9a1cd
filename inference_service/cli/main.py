"""The ``tamsoat`` command."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated, ClassVar

import structlog
import typer

from tamsoat.inference_service.cli.classify_cells import classify_cells
from tamsoat.inference_service.cli.failures import report
from tamsoat.inference_service.cli.lazy import LazyCommand, LazyGroup
from tamsoat.inference_service.cli.render import render
from tamsoat.inference_service.cli.screen import screen


class _Commands(LazyGroup):
    lazy: ClassVar[dict[str, LazyCommand]] = {
        "demo": LazyCommand(
            "tamsoat.inference_service.cli.demo", "demo", "Screen a generated field and name the files written."
        ),
        "example": LazyCommand(
            "tamsoat.inference_service.cli.example", "example", "Make a made-up hospital in an empty data folder."
        ),
        "serve": LazyCommand(
            "tamsoat.inference_service.cli.serve", "serve", "Answer screening requests over HTTP until stopped."
        ),
        "worker": LazyCommand(
            "tamsoat.inference_service.cli.worker", "worker", "Work on screening jobs until stopped."
        ),
        "audit": LazyCommand("tamsoat.inference_service.cli.audit", "app", "The audit log: verify that it is whole."),
        "admin": LazyCommand(
            "tamsoat.inference_service.cli.admin", "app", "Facilities, accounts and the access review."
        ),
        "patient": LazyCommand("tamsoat.inference_service.cli.patient", "app", "One patient's data: export, erase."),
        "keys": LazyCommand(
            "tamsoat.inference_service.cli.keys", "app", "The keys that encrypt personal data: rotate."
        ),
        "retention": LazyCommand(
            "tamsoat.inference_service.cli.retention", "app", "Delete what has been kept for long enough."
        ),
        "db": LazyCommand("tamsoat.inference_service.cli.db", "app", "The database: bring its schema up to date."),
        "backup": LazyCommand(
            "tamsoat.inference_service.cli.backup", "app", "Copy database, files and keys; check such a copy."
        ),
        "restore": LazyCommand(
            "tamsoat.inference_service.cli.restore", "restore", "Bring a backup back to life in an empty place."
        ),
        "doctor": LazyCommand(
            "tamsoat.inference_service.cli.doctor", "doctor", "What is wrong with this installation and what to do."
        ),
        "data": LazyCommand("tamsoat.datasets.cli", "app", "Datasets: validate, split, generate, import.", "train"),
        "model": LazyCommand("tamsoat.models.cli", "app", "Model bundles: show, verify, export.", "train"),
        "train": LazyCommand("tamsoat.training.cli", "app", "Train models.", "train"),
        "evaluation": LazyCommand("tamsoat.evaluation.cli", "app", "Measure and compare models.", "train"),
    }


app = typer.Typer(
    name="tamsoat",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Finds and grades abnormal cells in cervical cytology images. An aid: no result without a pathologist.",
)
app.command()(screen)
app.command("classify-cells")(classify_cells)
app.command()(render)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tamsoat {version('tamsoat')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Standard output belongs to results: logs go to stderr, and only warnings."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> None:
    """Run the command line; the process ends with the command's exit code."""
    try:
        app()
    except BrokenPipeError:
        # The reader of our output went away (``| head``): end quietly, as other tools do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost frame: one line, never a traceback
        sys.exit(report(error))
