"""What a check says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from tamsoat.inference_service.db.keyring import Keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """``message``: what was found and what it means; ``action``: what to do, "" where nothing is."""

    name: str
    level: Level
    message: str
    action: str = ""


@dataclass(frozen=True)
class Context:
    """What checks look at. ``database`` and ``keyring`` are None where their own check failed."""

    settings: Settings
    database: Database | None
    keyring: Keyring | None


def ok(name: str, message: str) -> Finding:
    """All is well."""
    return Finding(name, Level.OK, message)


def warn(name: str, message: str, action: str) -> Finding:
    """Works, but not for long or not as it should."""
    return Finding(name, Level.WARN, message, action)


def fail(name: str, message: str, action: str) -> Finding:
    """Does not work, or endangers the data."""
    return Finding(name, Level.FAIL, message, action)


def graded(name: str, message: str, action: str, *, failing: bool, warning: bool) -> Finding:
    """The same message, as bad as the conditions say."""
    if failing:
        return fail(name, message, action)
    return warn(name, message, action) if warning else ok(name, message)


def days_since(moment: datetime) -> float:
    """Days between ``moment`` and now."""
    return (datetime.now(UTC) - moment).total_seconds() / 86400


def reading(context: Context, look: Callable[[Session], list[Finding]]) -> list[Finding]:
    """What ``look`` finds in the database; nothing where there is none (its own check has said so)."""
    if context.database is None:
        return []
    with context.database.read() as session:
        return look(session)
