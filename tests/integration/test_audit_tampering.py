"""Random edits, deletions, insertions, swaps and rewrites behind the database's back: all found, the first named."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_log import ENTRIES, check, open_without_triggers

from tamsoat.inference_service.audit.schemas import entry_hash

COLUMNS = ("occurred_at", "actor", "action", "subject", "digests", "previous_hash", "entry_hash")


def edit(connection: sqlite3.Connection, chance: random.Random) -> set[int]:
    sequence, column = chance.randint(1, ENTRIES), chance.choice(COLUMNS)
    old = connection.execute(f"SELECT {column} FROM audit_entries WHERE sequence = ?", (sequence,)).fetchone()[0]
    at = chance.randrange(len(old))
    changes = [
        old[:at] + chr((ord(old[at]) + chance.randint(1, 90)) % 127) + old[at + 1 :],
        old[:at] + old[at + 1 :],
        old[:at] + " " + old[at:],
        old.upper() if old.upper() != old else old + "x",
        "",
    ]
    connection.execute(f"UPDATE audit_entries SET {column} = ? WHERE sequence = ?", (chance.choice(changes), sequence))
    return {sequence}


def delete(connection: sqlite3.Connection, chance: random.Random) -> set[int]:
    sequence = chance.randint(1, ENTRIES)
    connection.execute("DELETE FROM audit_entries WHERE sequence = ?", (sequence,))
    if chance.random() < 0.5:  # close the gap
        connection.execute("UPDATE audit_entries SET sequence = -sequence WHERE sequence > ?", (sequence,))
        connection.execute("UPDATE audit_entries SET sequence = -sequence - 1 WHERE sequence < 0")
    return {sequence}


def insert(connection: sqlite3.Connection, chance: random.Random) -> set[int]:
    """Make room at a random place and put a copy, or an entry with correct links and hash, there."""
    sequence = chance.randint(1, ENTRIES)
    connection.execute("UPDATE audit_entries SET sequence = -sequence WHERE sequence >= ?", (sequence,))
    connection.execute("UPDATE audit_entries SET sequence = -sequence + 1 WHERE sequence < 0")
    model = chance.choice([number for number in range(1, ENTRIES + 2) if number != sequence])
    row = list(connection.execute("SELECT * FROM audit_entries WHERE sequence = ?", (model,)).fetchone())
    row[0] = sequence
    if chance.random() < 0.5:
        before = connection.execute(
            "SELECT entry_hash FROM audit_entries WHERE sequence = ?", (sequence - 1,)
        ).fetchone()
        row[6] = before[0] if before else "0" * 64
        row[7] = rehash(row)
    connection.execute("INSERT INTO audit_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return {sequence}


def append(connection: sqlite3.Connection, chance: random.Random) -> set[int]:
    row = list(connection.execute("SELECT * FROM audit_entries WHERE sequence = ?", (ENTRIES,)).fetchone())
    row[0], row[6] = ENTRIES + 1, row[7]
    row[7] = rehash(row)
    connection.execute("INSERT INTO audit_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return {ENTRIES + 1}


def swap(connection: sqlite3.Connection, chance: random.Random) -> set[int]:
    one, other = chance.sample(range(1, ENTRIES + 1), 2)
    connection.execute("UPDATE audit_entries SET sequence = -1 WHERE sequence = ?", (one,))
    connection.execute("UPDATE audit_entries SET sequence = ? WHERE sequence = ?", (one, other))
    connection.execute("UPDATE audit_entries SET sequence = ? WHERE sequence = -1", (other,))
    return {min(one, other)}


def rewrite(connection: sqlite3.Connection, chance: random.Random) -> set[int]:
    """Change an entry and give it the right hash for its new content."""
    sequence = chance.randint(1, ENTRIES)
    row = list(connection.execute("SELECT * FROM audit_entries WHERE sequence = ?", (sequence,)).fetchone())
    row[4] = f"analysis:forged-{chance.random()}"
    row[7] = rehash(row)
    connection.execute(
        "UPDATE audit_entries SET subject = ?, entry_hash = ? WHERE sequence = ?", (row[4], row[7], sequence)
    )
    return {sequence}


def rehash(row: list[object]) -> str:
    names = ("sequence", "occurred_at", "actor", "action", "subject", "digests", "previous_hash")
    fields = dict(zip(names, row, strict=False))
    return entry_hash(**{**fields, "digests": json.loads(str(fields["digests"]))})  # type: ignore[arg-type]


@pytest.mark.parametrize("tamper", [edit, delete, insert, append, swap, rewrite])
def test_tampering_is_found_and_the_first_bad_entry_named(
    written_log: Path, tmp_path: Path, tamper: Callable[[sqlite3.Connection, random.Random], set[int]]
) -> None:
    for seed in range(25):
        chance = random.Random(seed)
        copy = tmp_path / f"{seed}.db"
        shutil.copy(written_log, copy)
        connection = open_without_triggers(copy)
        expected = tamper(connection, chance)
        connection.close()
        outcome = check(copy)
        assert not outcome.whole, (tamper.__name__, seed)
        assert outcome.first_bad_sequence in expected, (tamper.__name__, seed, outcome)
