"""Single changes that someone with access to the database file can make, each with the entry that must be named."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tamsoat.inference_service.audit import checkpoints, notes, repository, service, verification
from tamsoat.inference_service.audit.rows import Row, content_hash
from tamsoat.inference_service.audit.schemas import Action, Event, Verification
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.keyring import Keyring, generate
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

ENTRIES = 600
CHECKPOINTS = (1, 7, 100, 256, 258, 400, 512, 590)
"""Written after about so many entries each."""
Tamper = Callable[[sqlite3.Connection, random.Random], int | None]
"""Changes something and returns the number to be named; None where chance chose something that cannot be done."""

_ROW = ", ".join(Row._fields)
_PLACES = ", ".join("?" * len(Row._fields))


def write_signed_log(path: Path) -> Keyring:
    """A database whose log has :data:`ENTRIES` entries and several checkpoints; the keys that signed them."""
    chance, keyring, settings = random.Random(11), generate(), Settings()
    database = Database(f"sqlite:///{path}")
    migrations.upgrade(database)
    wanted, written = list(CHECKPOINTS), 0
    while written < ENTRIES:
        with database.write() as session:
            head = repository.read_head(session)
            assert head is not None
            until = min(wanted[0] if wanted else ENTRIES, head.sequence + chance.randint(1, 9), ENTRIES)
            written = service.append_all(session, [_event(chance) for _ in range(until - head.sequence)])
        if wanted and written >= wanted[0]:
            wanted.pop(0)
            assert checkpoints.make(database, keyring, settings) is not None
            written += 1
    with database.read() as session:
        outcome = verification.verify(session, verification.Options(key=keyring.signing.public_key()))
    assert outcome == Verification(ENTRIES, checkpoints=len(CHECKPOINTS))
    database.close()
    return keyring


def _event(chance: random.Random) -> Event:
    number = chance.randint(1, 10**9)
    return Event(
        f"account:{number % 7}",
        chance.choice([Action.PATIENT_READ, Action.ORDER_CREATE, Action.ANALYSIS_CREATE]),
        f"order:{number}",
        {"image": f"{number:064x}", "result": f"{number * 3:064x}"} if number % 2 else {},
        chance.choice([None, "facility-1", "facility-2"]),
        {"priority": "stat", "found": number} if number % 3 else {},
    )


def check(path: Path, keyring: Keyring, kept: notes.Checkpoint | None = None) -> Verification:
    """Verify with signatures."""
    database = Database(f"sqlite:///{path}")
    try:
        with database.read() as session:
            return verification.verify(session, verification.Options(keyring.signing.public_key(), kept))
    finally:
        database.close()


def _get(connection: sqlite3.Connection, sequence: int) -> list[object]:
    query = f"SELECT {_ROW} FROM audit_entries WHERE sequence = ?"
    return list(connection.execute(query, (sequence,)).fetchone())


def _put(connection: sqlite3.Connection, row: list[object]) -> None:
    connection.execute(f"INSERT INTO audit_entries ({_ROW}) VALUES ({_PLACES})", row)


def _rehashed(row: list[object]) -> list[object]:
    return [*row[:-1], content_hash(Row(*row))]  # type: ignore[arg-type]


def _altered(value: object, chance: random.Random) -> object:
    """Some other value of a column, never an equal one."""
    if isinstance(value, int):
        return value + chance.choice([-1, 1, 1000])
    if value is None:
        return chance.choice(["facility-1", "{}", '{"a":1}', ""])
    text = str(value)
    at = chance.randrange(len(text)) if text else 0
    choices: list[object] = [
        text[:at] + chr((ord(text[at]) + chance.randint(1, 90)) % 127) + text[at + 1 :] if text else "x",
        text[:at] + text[at + 1 :] if text else " ",
        text[:at] + " " + text[at:],
        text + "\n",
        text.upper() if text.upper() != text else text + "x",
        "" if text else "0",
        b"\xff\xfe" + text.encode(),
    ]
    return chance.choice(choices)


def edit_entry(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    sequence, column = chance.randint(1, ENTRIES), chance.choice(Row._fields[1:])
    (old,) = connection.execute(f"SELECT {column} FROM audit_entries WHERE sequence = ?", (sequence,)).fetchone()
    new = _altered(old, chance)
    if isinstance(new, bytes):  # text that is not UTF-8, or a value of another type
        cast = chance.choice(["CAST(? AS TEXT)", "?"])
        connection.execute(f"UPDATE audit_entries SET {column} = {cast} WHERE sequence = ?", (new, sequence))
    else:
        connection.execute(f"UPDATE audit_entries SET {column} = ? WHERE sequence = ?", (new, sequence))
    return sequence


def rewrite_entry(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    """Change an entry and give it the right hash for its new content."""
    sequence = chance.randint(1, ENTRIES)
    row = _get(connection, sequence)
    row[chance.choice([1, 2, 4])] = f"forged:{chance.random()}"
    connection.execute("DELETE FROM audit_entries WHERE sequence = ?", (sequence,))
    _put(connection, _rehashed(row))
    return sequence


def delete_entry(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    sequence = chance.randint(1, ENTRIES)
    connection.execute("DELETE FROM audit_entries WHERE sequence = ?", (sequence,))
    if chance.random() < 0.5:  # close the gap
        connection.execute("UPDATE audit_entries SET sequence = -sequence WHERE sequence > ?", (sequence,))
        connection.execute("UPDATE audit_entries SET sequence = -sequence - 1 WHERE sequence < 0")
    return sequence


def insert_entry(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    """Make room at a random place and put a copy, or an entry with correct links and hash, there."""
    sequence = chance.randint(1, ENTRIES)
    connection.execute("UPDATE audit_entries SET sequence = -sequence WHERE sequence >= ?", (sequence,))
    connection.execute("UPDATE audit_entries SET sequence = -sequence + 1 WHERE sequence < 0")
    row = _get(connection, chance.choice([number for number in range(1, ENTRIES + 2) if number != sequence]))
    row[0] = sequence
    if chance.random() < 0.5:
        row[8] = _get(connection, sequence - 1)[9] if sequence > 1 else "0" * 64
        row = _rehashed(row)
    _put(connection, row)
    return sequence


def append_entry(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    row = _get(connection, ENTRIES)
    row[0], row[8] = ENTRIES + 1, row[9]
    _put(connection, _rehashed(row))
    return ENTRIES + 1


def swap_entries(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    one, other = chance.sample(range(1, ENTRIES + 1), 2)
    connection.execute("UPDATE audit_entries SET sequence = -1 WHERE sequence = ?", (one,))
    connection.execute("UPDATE audit_entries SET sequence = ? WHERE sequence = ?", (one, other))
    connection.execute("UPDATE audit_entries SET sequence = ? WHERE sequence = -1", (other,))
    return min(one, other)


def edit_head(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    if chance.random() < 0.5:
        sequence = chance.choice([number for number in range(ENTRIES + 50) if number != ENTRIES])
        connection.execute("UPDATE audit_head SET sequence = ?", (sequence,))
        return min(sequence, ENTRIES) + 1
    (old,) = connection.execute("SELECT entry_hash FROM audit_head").fetchone()
    new = _altered(old, chance)
    connection.execute("UPDATE audit_head SET entry_hash = ?", (new.hex() if isinstance(new, bytes) else new,))
    return ENTRIES


def delete_head(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    connection.execute("DELETE FROM audit_head")
    return ENTRIES + 1


def _sizes(connection: sqlite3.Connection) -> list[int]:
    return [size for (size,) in connection.execute("SELECT size FROM audit_checkpoints")]


def edit_checkpoint(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    size, column = chance.choice(_sizes(connection)), chance.choice(["size", "root", "created_at", "note"])
    (old,) = connection.execute(f"SELECT {column} FROM audit_checkpoints WHERE size = ?", (size,)).fetchone()
    new = chance.randint(1, ENTRIES + 9) if column == "size" else _altered(old, chance)
    if isinstance(new, bytes) or new in _sizes(connection):
        return None
    connection.execute(f"UPDATE audit_checkpoints SET {column} = ? WHERE size = ?", (new, size))
    return min(size, new) if isinstance(new, int) else size


def delete_checkpoint(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    size = chance.choice(_sizes(connection))
    connection.execute("DELETE FROM audit_checkpoints WHERE size = ?", (size,))
    return size


def insert_checkpoint(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    """A copy under another size, or one signed with another key whose content is right."""
    model, size = chance.choice(_sizes(connection)), chance.randint(1, ENTRIES + 9)
    if size in _sizes(connection):
        return None
    root, created_at, note = connection.execute(
        "SELECT root, created_at, note FROM audit_checkpoints WHERE size = ?", (model,)
    ).fetchone()
    if chance.random() < 0.5:
        forged = notes.Checkpoint("tamsoat.local", size, bytes.fromhex(root), created_at)
        note = notes.sign(forged, generate().signing)
    connection.execute("INSERT INTO audit_checkpoints VALUES (?, ?, ?, ?)", (size, root, created_at, note))
    return min(size, ENTRIES + 1)


def swap_checkpoints(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    one, other = chance.sample(_sizes(connection), 2)
    rows = {size: connection.execute("SELECT root, created_at, note FROM audit_checkpoints WHERE size = ?", (size,))
            .fetchone() for size in (one, other)}  # fmt: skip
    for size, row in ((one, rows[other]), (other, rows[one])):
        connection.execute("UPDATE audit_checkpoints SET root=?, created_at=?, note=? WHERE size=?", (*row, size))
    return min(one, other)


def tamper_subtree(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    """Change, remove, add or exchange stored hashes of the tree."""
    (position, digest) = chance.choice(connection.execute("SELECT position, hash FROM audit_subtrees").fetchall())
    kind = chance.choice(["edit", "delete", "insert", "swap"])
    if kind == "edit":
        connection.execute("UPDATE audit_subtrees SET hash = ? WHERE position = ?", (f"{digest[:-1]}g", position))
    elif kind == "delete":
        connection.execute("DELETE FROM audit_subtrees WHERE position = ?", (position,))
    elif kind == "insert":
        level, position = chance.choice([(3, 5), (8, 2), (16, 0), (24, 1)])
        connection.execute("INSERT INTO audit_subtrees VALUES (?, ?, ?)", (level, position, digest))
        return min((position << level) + 1, ENTRIES)
    else:
        hashes = dict(connection.execute("SELECT position, hash FROM audit_subtrees").fetchall())
        for to, digest in ((0, hashes[1]), (1, hashes[0])):
            connection.execute("UPDATE audit_subtrees SET hash = ? WHERE position = ?", (digest, to))
        return 1
    return (position << 8) + 1


KINDS: tuple[Tamper, ...] = (
    edit_entry, rewrite_entry, delete_entry, insert_entry, append_entry, swap_entries, edit_head, delete_head,
    edit_checkpoint, delete_checkpoint, insert_checkpoint, swap_checkpoints, tamper_subtree,
)  # fmt: skip


def choose(chance: random.Random) -> Tamper:
    """Most are made to entries, the others to any table of the log."""
    if chance.random() < 0.6:
        return chance.choice([edit_entry, rewrite_entry, delete_entry, insert_entry, swap_entries])
    return chance.choice(KINDS)


def summary(path: Path) -> str:
    """What is in the log, for the printed row."""
    connection = sqlite3.connect(path)
    entries = connection.execute("SELECT count(*) FROM audit_entries").fetchone()[0]
    stored = connection.execute("SELECT count(*) FROM audit_subtrees").fetchone()[0]
    connection.close()
    return json.dumps({"entries": entries, "checkpoints": len(CHECKPOINTS), "stored hashes": stored})
