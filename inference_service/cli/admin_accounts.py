"""``tamsoat admin account``: the accounts of people."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tamsoat.inference_service.accounts import administration, repository, service
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.administration import Administrator
from tamsoat.inference_service.accounts.schemas import second_factor_state
from tamsoat.inference_service.cli.admin_database import ACTOR, Opened, administration_of

app = typer.Typer(help="Accounts: create, list, disable, enable, unlock, reset, roles.", no_args_is_help=True)

DatabaseUrl = Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")]
Username = Annotated[str, typer.Argument(help="Sign-in name")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")]
Roles = Annotated[list[Role], typer.Option("--role", help="Role; repeat the option for several")]
WHO = Administrator(ACTOR, None)


@app.command("create")
def create(
    username: Username,
    facility: Annotated[str, typer.Option(help="Code of the facility")],
    name: Annotated[str, typer.Option(help="The person's name")],
    role: Roles,
    database_url: DatabaseUrl = None,
) -> None:
    """Create an account and print its one-time password, once."""
    with administration_of(database_url) as opened, opened.database.write() as session:
        created = service.create_account(
            session,
            opened.settings,
            facility_id=service.find_facility(session, facility).id,
            username=username,
            display_name=name,
            roles=role,
            actor=ACTOR,
        )
    _print(f"account {created.account.username} created in facility {facility}")
    _print_password(created.one_time_password or "", opened)


@app.command("list")
def list_accounts(
    facility: Annotated[str | None, typer.Option(help="Code of one facility; default: all")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """List the accounts by sign-in name."""
    table = Table("sign-in name", "facility", "name", "roles", "state", "second factor", "last active (UTC)", box=None)
    with administration_of(database_url) as opened, opened.database.read() as session:
        facility_id = service.find_facility(session, facility).id if facility else None
        rows = repository.page(session, facility_id)
        for row in rows:
            state = f"disabled ({row.disabled_reason})" if row.disabled_reason else row.status
            active = f"{row.last_active_at:%Y-%m-%d %H:%M}" if row.last_active_at else "never"
            roles = ", ".join(sorted(item.role for item in row.role_rows))
            factor = second_factor_state(row, opened.settings)
            table.add_row(row.username, row.facility.code, row.display_name, roles, state, factor, active)
    if rows:
        Console(soft_wrap=True, highlight=False, markup=False).print(table)
    else:
        _print("no accounts yet: tamsoat admin account create")


@app.command("disable")
def disable(username: Username, yes: Yes = False, database_url: DatabaseUrl = None) -> None:
    """Refuse further sign-ins and end every session of an account."""
    _confirm(yes, f"Disable {username} and end their sessions?")
    with administration_of(database_url) as opened:
        administration.switch_off(opened.database, WHO, _find(opened, username))
    _print(f"account {username} disabled")


@app.command("enable")
def enable(username: Username, database_url: DatabaseUrl = None) -> None:
    """Let an account sign in again."""
    with administration_of(database_url) as opened:
        administration.switch_on(opened.database, WHO, _find(opened, username))
    _print(f"account {username} enabled")


@app.command("unlock")
def unlock(username: Username, database_url: DatabaseUrl = None) -> None:
    """Forget the failed sign-ins of an account."""
    with administration_of(database_url) as opened:
        administration.unlock(opened.database, WHO, _find(opened, username))
    _print(f"account {username} unlocked")


@app.command("reset-password")
def reset_password(username: Username, yes: Yes = False, database_url: DatabaseUrl = None) -> None:
    """Give an account a one-time password, print it once, and end the account's sessions."""
    _confirm(yes, f"Replace the password of {username} and end their sessions?")
    with administration_of(database_url) as opened:
        _, password = administration.reset_password(opened.database, opened.settings, WHO, _find(opened, username))
    _print_password(password, opened)


@app.command("reset-totp")
def reset_totp(username: Username, yes: Yes = False, database_url: DatabaseUrl = None) -> None:
    """Take the second factor of an account away (lost telephone) and end its sessions."""
    _confirm(yes, f"Take the second factor of {username} away? Be sure that it is really they who ask.")
    with administration_of(database_url) as opened:
        administration.reset_second_factor(opened.database, WHO, _find(opened, username))
    _print(f"second factor of {username} removed")


@app.command("roles")
def roles(username: Username, role: Roles, database_url: DatabaseUrl = None) -> None:
    """Replace the roles of an account."""
    with administration_of(database_url) as opened:
        account = administration.update(opened.database, WHO, _find(opened, username), roles=role)
    _print(f"roles of {username}: " + ", ".join(sorted(item.role for item in account.role_rows)))


def _find(opened: Opened, username: str) -> str:
    with opened.database.read() as session:
        return administration.find_named(session, WHO, username).id


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        typer.confirm(question, abort=True)


def _print_password(password: str, opened: Opened) -> None:
    _print(f"one-time password: {password}")
    _print(f"valid for {opened.settings.one_time_password_h} h; it is not shown again and is changed at first sign-in")


def _print(line: str) -> None:
    Console(soft_wrap=True, highlight=False, markup=False).print(line)
