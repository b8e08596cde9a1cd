"""``tamsoat admin``: facilities, accounts and the access review, on the service's own database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tamsoat.inference_service.accounts import repository, review, service
from tamsoat.inference_service.accounts.administration import Administrator
from tamsoat.inference_service.cli import admin_accounts, admin_clients
from tamsoat.inference_service.cli.admin_database import ACTOR, administration_of
from tamsoat.inference_service.errors import EXIT_OUTPUT, TamsoatError

app = typer.Typer(help="Facilities, accounts and the access review.", no_args_is_help=True)
facility = typer.Typer(help="Facilities: create, list, rename.", no_args_is_help=True)
app.add_typer(facility, name="facility")
app.add_typer(admin_accounts.app, name="account")
app.add_typer(admin_clients.app, name="client")

DatabaseUrl = Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")]
Code = Annotated[str, typer.Argument(help="MA_CSKCB, five capital letters or digits")]


class ReviewFileError(TamsoatError):
    """The file of the access review exists already."""

    title = "File exists"
    slug = "review-file"
    exit_code = EXIT_OUTPUT


@facility.command("create")
def create_facility(
    code: Code,
    name: Annotated[str, typer.Argument(help="Name of the hospital or laboratory")],
    database_url: DatabaseUrl = None,
) -> None:
    """Add a facility. Its rows are invisible to every other one."""
    with administration_of(database_url) as opened, opened.database.write() as session:
        created = service.create_facility(session, code, name, ACTOR)
    _print(f"facility {created.code} created: {created.name}")


@facility.command("list")
def list_facilities(database_url: DatabaseUrl = None) -> None:
    """List the facilities by code."""
    with administration_of(database_url) as opened, opened.database.read() as session:
        rows = repository.facilities(session)
        states = [review.state(session, opened.settings, row.id) for row in rows]
    table = Table("code", "name", "accounts reviewed", "next review", box=None)
    for row, state in zip(rows, states, strict=True):
        done = f"{state.done_at:%Y-%m-%d}" if state.done_at else "never"
        table.add_row(row.code, row.name, done, f"{state.due_at:%Y-%m-%d}" + (" OVERDUE" if state.overdue else ""))
    Console(soft_wrap=True, highlight=False, markup=False).print(table)


@facility.command("rename")
def rename_facility(
    code: Code, name: Annotated[str, typer.Argument(help="The new name")], database_url: DatabaseUrl = None
) -> None:
    """Give a facility another name; its code stays."""
    with administration_of(database_url) as opened, opened.database.write() as session:
        renamed = service.rename_facility(session, code, name, ACTOR)
    _print(f"facility {renamed.code} is called {renamed.name}")


@app.command("access-review")
def access_review(
    code: Annotated[str | None, typer.Option("--facility", help="Code of one facility; default: all")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; default: standard output")] = None,
    done: Annotated[bool, typer.Option("--done", help="Record that the review was done; needs --facility")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write who may do what as CSV, or record that somebody has gone through it."""
    if out is not None and out.exists():
        raise ReviewFileError(f"{out}: exists already; choose another name")
    with administration_of(database_url) as opened:
        facility_id = None
        if code is not None:
            with opened.database.read() as session:
                facility_id = service.find_facility(session, code).id
        if done:
            if facility_id is None:
                raise typer.BadParameter("--done needs --facility")
            state = review.confirm(opened.database, opened.settings, ACTOR, facility_id)
            _print(f"review of facility {code} recorded; the next one is due on {state.due_at:%Y-%m-%d}")
            return
        text = review.export(opened.database, opened.settings, Administrator(ACTOR, facility_id))
    if out is None:
        sys.stdout.write(text.removeprefix("\ufeff"))
        return
    out.write_text(text, encoding="utf-8", newline="")
    _print(f"written: {out}")


def _print(line: str) -> None:
    Console(soft_wrap=True, highlight=False, markup=False).print(line)
