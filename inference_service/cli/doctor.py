"""``tamsoat doctor``: what is wrong with this installation and what to do."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console

from tamsoat.inference_service.operations.doctor.finding import Level
from tamsoat.inference_service.operations.doctor.run import examine
from tamsoat.inference_service.settings import load_settings

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for monitoring.")] = False,
) -> None:
    """Check database, storage, model, keys, clock, certificates, disk, jobs, log and backups; exit 1 when one fails."""
    findings = examine(load_settings())
    counts = Counter(finding.level for finding in findings)
    worst = next((level for level in (Level.FAIL, Level.WARN) if counts[level]), Level.OK)
    if as_json:
        checks = [
            {"name": item.name, "level": item.level, "message": item.message, "action": item.action}
            for item in findings
        ]
        typer.echo(json.dumps({"worst": worst, "checks": checks}, ensure_ascii=False, indent=1))
    else:
        console = Console(soft_wrap=True, highlight=False)
        width = max(len(finding.name) for finding in findings)
        for item in findings:
            console.print(f"[{_COLOURS[item.level]}]{item.level:<4}[/]  {item.name:<{width}}  ", end="")
            console.print(item.message, markup=False)
            if item.action and item.level is not Level.OK:
                console.print(" " * (width + 8) + f"-> {item.action}", markup=False)
        console.print(f"{counts[Level.OK]} ok, {counts[Level.WARN]} warnings, {counts[Level.FAIL]} failures")
    if worst is Level.FAIL:
        raise typer.Exit(1)
