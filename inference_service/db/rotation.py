"""Re-encrypt every encrypted column under the active key, in small transactions, while the service runs.

Rows are found by the name of the key in front of each value, so an interrupted run simply goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    ColumnElement,
    Table,
    Text,
    and_,
    bindparam,
    func,
    not_,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from tamsoat.inference_service.db.base import Base
from tamsoat.inference_service.db.encryption import EncryptedText, decrypt, encrypt
from tamsoat.inference_service.db.session import Database

BATCH_ROWS = 500
"""Rows re-encrypted in one transaction; on SQLite others wait for it."""


@dataclass(frozen=True)
class Encrypted:
    """A table and its encrypted columns."""

    table: Table
    columns: tuple[Column[str], ...]


def encrypted_tables() -> list[Encrypted]:
    """Every table of the service that has encrypted columns, by name."""
    found = []
    for table in sorted(Base.metadata.tables.values(), key=lambda table: table.name):
        columns = tuple(column for column in table.columns if isinstance(column.type, EncryptedText))
        if columns:
            found.append(Encrypted(table, columns))
    return found


def count_outdated(session: Session, active: str) -> int:
    """How many rows hold a value under another key than ``active``."""
    counts = (
        select(func.count()).select_from(part.table).where(_outdated(part, active)) for part in encrypted_tables()
    )
    return sum(session.execute(query).scalar_one() for query in counts)


def re_encrypt(database: Database, active: str) -> Iterator[int]:
    """Bring every row under the installed active key; yields the number of rows after each transaction.

    A row that somebody changes meanwhile keeps that change. Call again until :func:`count_outdated` says 0.

    Raises:
        DecryptionError: a stored value cannot be read; what was done until then stays.
    """
    for part in encrypted_tables():
        last: tuple[object, ...] | None = None
        while True:
            with database.write() as session:
                rows = _next_rows(session, part, active, last)
                for row in rows:
                    _re_encrypt_row(session, part, row, active)
            if not rows:
                break
            last = tuple(rows[-1][: len(part.table.primary_key.columns)])
            yield len(rows)


def _next_rows(
    session: Session, part: Encrypted, active: str, last: tuple[object, ...] | None
) -> list[tuple[object, ...]]:
    """The next rows by primary key: its columns, then the encrypted ones as they are stored."""
    keys = list(part.table.primary_key.columns)
    query = select(*keys, *(type_coerce(column, Text) for column in part.columns)).where(_outdated(part, active))
    if last is not None:
        query = query.where(tuple_(*keys) > tuple_(*last))
    return [tuple(row) for row in session.execute(query.order_by(*keys).limit(BATCH_ROWS))]


def _re_encrypt_row(session: Session, part: Encrypted, row: tuple[object, ...], active: str) -> None:
    keys = list(part.table.primary_key.columns)
    same_row = and_(*(key == value for key, value in zip(keys, row, strict=False)))
    for column, stored in zip(part.columns, row[len(keys) :], strict=True):
        if not isinstance(stored, str) or stored.startswith(f"{active}:"):
            continue
        assert isinstance(column.type, EncryptedText)
        renewed = encrypt(decrypt(stored, column.type.context), column.type.context)
        unchanged = type_coerce(column, Text) == bindparam("stored", stored, Text)
        session.execute(
            update(part.table)
            .where(same_row, unchanged)
            .values({column: type_coerce(bindparam("renewed", renewed, Text), Text)})
        )


def _outdated(part: Encrypted, active: str) -> ColumnElement[bool]:
    return or_(
        *(
            and_(column.is_not(None), not_(type_coerce(column, Text).startswith(f"{active}:", autoescape=True)))
            for column in part.columns
        )
    )
