"""``tamsoat admin client``: the hospital systems that call the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tamsoat.inference_service.accounts import client_repository, client_service, service
from tamsoat.inference_service.accounts.public_keys import PublicKeysError
from tamsoat.inference_service.cli.admin_database import ACTOR, administration_of

app = typer.Typer(help="Machine clients: create, list, disable, rotate.", no_args_is_help=True)

DatabaseUrl = Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")]
ClientId = Annotated[str, typer.Argument(help="Identifier of the client, from `tamsoat admin client list`")]
KeysUrl = Annotated[str | None, typer.Option(help="https address of the client's public keys (JWKS)")]
KeysFile = Annotated[Path | None, typer.Option("--jwks", help="File with the client's public keys (JWKS)")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the client is called in lists")],
    facility: Annotated[str, typer.Option(help="Code of the facility that it works for")],
    scope: Annotated[list[str], typer.Option(help="For example system/ServiceRequest.cr; repeat for several")],
    jwks_url: KeysUrl = None,
    jwks: KeysFile = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Register a client by its public keys and print its identifier."""
    keys = _read(jwks)
    with administration_of(database_url) as opened, opened.database.write() as session:
        client = client_service.create(
            session,
            opened.settings,
            facility_id=service.find_facility(session, facility).id,
            name=name,
            scopes=scope,
            jwks_url=jwks_url,
            jwks=keys,
            actor=ACTOR,
        )
    _print(f"client {client.id} created in facility {facility}: {' '.join(client.scopes)}")


@app.command("list")
def list_clients(
    facility: Annotated[str | None, typer.Option(help="Code of one facility; default: all")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the clients, oldest first."""
    table = Table("client", "name", "state", "keys", "scopes", box=None)
    with administration_of(database_url) as opened, opened.database.read() as session:
        facility_id = service.find_facility(session, facility).id if facility else None
        rows = client_repository.list_of_facility(session, facility_id)
    for row in rows:
        keys = row.jwks_url or f"{len((row.jwks or {}).get('keys', []))} stored"
        table.add_row(row.id, row.name, "disabled" if row.disabled_at else "enabled", keys, " ".join(row.scopes))
    if rows:
        Console(soft_wrap=True, highlight=False, markup=False, width=240).print(table)
    else:
        _print("no clients yet: tamsoat admin client create")


@app.command("disable")
def disable(client_id: ClientId, database_url: DatabaseUrl = None) -> None:
    """Refuse a client for good; tokens that it holds end within five seconds."""
    with administration_of(database_url) as opened, opened.database.write() as session:
        client_service.disable(session, client_service.get(session, None, client_id, lock=True), actor=ACTOR)
    _print(f"client {client_id} disabled")


@app.command("rotate")
def rotate(
    client_id: ClientId, jwks_url: KeysUrl = None, jwks: KeysFile = None, database_url: DatabaseUrl = None
) -> None:
    """Replace a client's public keys, or their address; assertions signed with the old ones are refused at once."""
    keys = _read(jwks)
    if jwks_url is None and keys is None:
        raise PublicKeysError("state exactly one of --jwks-url and --jwks")
    with administration_of(database_url) as opened, opened.database.write() as session:
        client = client_service.get(session, None, client_id, lock=True)
        client_service.update(session, opened.settings, client, jwks_url=jwks_url, jwks=keys, actor=ACTOR)
    _print(f"client {client_id} has new keys")


def _read(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PublicKeysError(f"{path}: not a readable JSON file") from error
    if not isinstance(content, dict):
        raise PublicKeysError(f"{path}: not a JSON Web Key Set")
    return content


def _print(line: str) -> None:
    Console(soft_wrap=True, highlight=False, markup=False).print(line)
