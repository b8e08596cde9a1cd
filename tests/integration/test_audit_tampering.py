"""Random edits, deletions, insertions, swaps and rewrites behind the database's back: all found, the first named.

``python -m pytest -m long -s tests/integration/test_audit_tampering.py`` makes 1,000 of them and prints the row.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import audit_tampering as tampering
import pytest
from audit_log import open_without_triggers

from tamsoat.inference_service.audit import notes
from tamsoat.inference_service.audit.rows import Row, content_hash
from tamsoat.inference_service.db.keyring import Keyring


@pytest.fixture(scope="module")
def signed_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Keyring]:
    path = tmp_path_factory.mktemp("audit") / "signed.db"
    return path, tampering.write_signed_log(path)


def attempts(log: tuple[Path, Keyring], folder: Path, count: int, seed: int) -> Counter[str]:
    """Make ``count`` changes, each to a copy of its own; every one must be found and named."""
    path, keyring = log
    chance, made = random.Random(seed), Counter[str]()
    while made.total() < count:
        tamper = tampering.KINDS[made.total()] if made.total() < len(tampering.KINDS) else tampering.choose(chance)
        copy = folder / "copy.db"
        for old in folder.glob("copy.db*"):
            old.unlink()
        shutil.copy(path, copy)
        connection = open_without_triggers(copy)
        expected = tamper(connection, chance)
        connection.close()
        if expected is None:
            continue
        outcome = tampering.check(copy, keyring)
        assert not outcome.whole, (tamper.__name__, seed, made.total())
        assert outcome.first_bad_sequence == expected, (tamper.__name__, seed, made.total(), outcome)
        made[tamper.__name__] += 1
    return made


def test_sixty_changes_are_found_and_the_first_bad_entry_named(
    signed_log: tuple[Path, Keyring], tmp_path: Path
) -> None:
    made = attempts(signed_log, tmp_path, 60, seed=1)
    assert set(made) == {kind.__name__ for kind in tampering.KINDS}


@pytest.mark.long
def test_a_thousand_changes_are_found_and_the_first_bad_entry_named(
    signed_log: tuple[Path, Keyring], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = attempts(signed_log, tmp_path, 1000, seed=2)
    with capsys.disabled():
        print(f"\n{tampering.summary(signed_log[0])}")
        print("| random single changes | found | first bad entry named exactly | by kind |\n|---|---|---|---|")
        print(f"| {made.total()} | {made.total()} | {made.total()} | {json.dumps(dict(made.most_common()))} |")


@pytest.mark.parametrize("begin", [1, 2, 300, 580])
def test_a_log_rewritten_from_some_entry_on_contradicts_its_checkpoints(
    signed_log: tuple[Path, Keyring], tmp_path: Path, begin: int
) -> None:
    """Every hash, link and the head are made right again; only the checkpoints remember."""
    path, keyring = signed_log
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    connection = open_without_triggers(copy)
    columns = ", ".join(Row._fields)
    query = f"SELECT {columns} FROM audit_entries WHERE sequence >= ? ORDER BY sequence"
    rows = [list(row) for row in connection.execute(query, (begin,))]
    last_hash = rows[0][8]
    for row in rows:
        if row[0] == begin:
            row[2] = "account:someone-else"
        row[8] = last_hash
        row[9] = last_hash = content_hash(Row(*row))
        connection.execute(
            "UPDATE audit_entries SET actor=?, previous_hash=?, entry_hash=? WHERE sequence=?",
            (row[2], row[8], row[9], row[0]),
        )
    connection.execute("UPDATE audit_head SET entry_hash = ?", (last_hash,))
    outcome = tampering.check(copy, keyring)
    sizes = [0, *(size for (size,) in connection.execute("SELECT size FROM audit_checkpoints ORDER BY size"))]
    proven = max(size for size in sizes if size < begin)
    assert outcome.first_bad_sequence is not None
    assert proven < outcome.first_bad_sequence <= begin, outcome
    assert "rewritten after the checkpoint" in outcome.reason

    # The last resort of whoever can write everything: remove what was signed. A checkpoint kept elsewhere remains.
    kept = notes.read(connection.execute("SELECT note FROM audit_checkpoints ORDER BY size DESC").fetchone()[0])
    for table in ("audit_checkpoints", "audit_subtrees"):
        connection.execute(f"DELETE FROM {table}")
    connection.close()
    assert not tampering.check(copy, keyring, kept).whole
