"""``tamsoat retention``: delete what has been kept for long enough."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tamsoat.inference_service.cli.admin_database import administration_of
from tamsoat.inference_service.cli.progress import FieldProgress
from tamsoat.inference_service.operations import retention

app = typer.Typer(help="Delete what has been kept for long enough.", no_args_is_help=True)

KEPT = (
    "kept: results and orders without the person; the audit log, whole; images until somebody deletes them. "
    "Incomplete uploads are discarded by the service itself (TAMSOAT_UPLOAD_EXPIRY_H)."
)


@app.callback()
def _group() -> None:
    """Retention."""


@app.command()
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted")] = False,
    database_url: Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")] = None,
) -> None:
    """Delete what the settings allow to delete, for example every night; a second run finds nothing more to do."""
    with administration_of(database_url) as opened:
        wanted = retention.rules(opened.settings)
        with opened.database.read() as session:
            counts = {rule.name: rule.count(session) for rule in wanted}
        if not dry_run:
            done = 0
            with FieldProgress(sum(counts.values()), unit="rows") as progress:

                def advance(_: str, count: int) -> None:
                    nonlocal done
                    done += count
                    progress.reach(done)

                counts = retention.run(opened.database, wanted, advance)
    table = Table("rows", "would be deleted" if dry_run else "deleted", box=None)
    for rule in wanted:
        table.add_row(str(counts[rule.name]), rule.what)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(table)
    console.print(KEPT)
