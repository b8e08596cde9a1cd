"""The accounts of the example facility and the file of their passwords."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import passwords, repository, service
from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.accounts.tables import LOCAL_FACILITY, Account, Facility
from tamsoat.inference_service.examples.content import (
    FACILITY_NAME,
    OTHER_FACILITY_CODE,
    OTHER_FACILITY_NAME,
    PEOPLE,
    Person,
)
from tamsoat.inference_service.settings import Settings

ACTOR = "local"
PASSWORDS = "example-passwords.json"
"""In the data folder, readable by its owner alone."""


def make(session: Session, settings: Settings) -> dict[str, str]:
    """Make the people who are missing; returns the passwords of those made now, by sign-in name."""
    _name_facility(session)
    made: dict[str, str] = {}
    for person in PEOPLE:
        if repository.by_username(session, person.username) is None:
            made[person.username] = _make(session, settings, person)
    return made


def principal(session: Session, person: Person) -> Principal:
    """Who acts for the example."""
    account = session.scalar(select(Account).where(Account.username == person.username, Account.example))
    assert account is not None
    return Principal(f"account:{account.id}", "account", account.facility_id, frozenset(person.roles))


def keep_passwords(folder: Path, made: dict[str, str]) -> Path:
    """Add passwords to the file of the data folder (mode 0600) and return its path."""
    path = folder / PASSWORDS
    known = known_passwords(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump({**known, **made}, stream, indent=2)
        stream.write("\n")
    scratch.replace(path)
    return path


def known_passwords(folder: Path) -> dict[str, str]:
    """The passwords in the file, by sign-in name; empty where there is none."""
    path = folder / PASSWORDS
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _name_facility(session: Session) -> None:
    facility = session.get(Facility, LOCAL_FACILITY)
    if facility is not None and facility.name != FACILITY_NAME:
        service.rename_facility(session, facility.code, FACILITY_NAME, ACTOR)


def _make(session: Session, settings: Settings, person: Person) -> str:
    facility_id = _elsewhere(session) if person.elsewhere else LOCAL_FACILITY
    created = service.create_account(
        session, settings, facility_id=facility_id, username=person.username, display_name=person.display_name,
        roles=person.roles, actor=ACTOR, example=True,
    )  # fmt: skip
    password = passwords.one_time_password()
    account = created.account
    account.password_hash = passwords.hasher(settings).hash(password)
    account.must_change_password, account.password_expires_at = False, None
    session.flush()
    return password


def _elsewhere(session: Session) -> str:
    found = repository.facility_by_code(session, OTHER_FACILITY_CODE)
    if found is None:
        found = service.create_facility(session, OTHER_FACILITY_CODE, OTHER_FACILITY_NAME, ACTOR)
    return found.id
