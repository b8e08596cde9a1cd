"""Signed checkpoints of the audit log, its Merkle tree, and triggers that let entries be added in batches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# An entry is added directly behind the head, or behind another entry that was added in the same transaction.
SQLITE_TRIGGERS = (
    "DROP TRIGGER audit_entries_in_order",
    "DROP TRIGGER audit_head_forward",
    """CREATE TRIGGER audit_entries_in_order BEFORE INSERT ON audit_entries
       WHEN EXISTS (SELECT 1 FROM audit_entries WHERE sequence >= NEW.sequence)
         OR NOT EXISTS (SELECT 1 FROM audit_head
                        WHERE sequence + 1 = NEW.sequence AND entry_hash = NEW.previous_hash)
            AND NOT EXISTS (SELECT 1 FROM audit_entries e, audit_head h
                            WHERE e.sequence = NEW.sequence - 1 AND e.entry_hash = NEW.previous_hash
                              AND h.sequence < e.sequence)
       BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only: not the next entry'); END""",
    """CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head
       WHEN NEW.id IS NOT OLD.id OR NEW.sequence <= OLD.sequence
         OR NEW.sequence IS NOT (SELECT max(sequence) FROM audit_entries)
         OR NEW.entry_hash IS NOT (SELECT entry_hash FROM audit_entries WHERE sequence = NEW.sequence)
       BEGIN SELECT RAISE(ABORT, 'audit_head only moves to the newest entry'); END""",
    *(
        f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}
            BEGIN SELECT RAISE(ABORT, '{table} is append-only: no {verb}'); END"""
        for table in ("audit_checkpoints", "audit_subtrees")
        for verb in ("update", "delete")
    ),
    *(
        f"""CREATE TRIGGER {table}_once BEFORE INSERT ON {table} WHEN EXISTS ({same})
            BEGIN SELECT RAISE(ABORT, '{table} is append-only: exists already'); END"""
        for table, same in (
            ("audit_checkpoints", "SELECT 1 FROM audit_checkpoints WHERE size >= NEW.size"),
            ("audit_subtrees", "SELECT 1 FROM audit_subtrees WHERE level = NEW.level AND position >= NEW.position"),
        )
    ),
)

# Plain look-ups by key: for a join or a range, a plan made while the log was short reads it from the start ever after.
POSTGRESQL_TRIGGERS = (
    """CREATE OR REPLACE FUNCTION tamsoat_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
       DECLARE
         last_sequence bigint;
         last_hash text;
       BEGIN
         IF TG_OP = 'INSERT' AND TG_TABLE_NAME = 'audit_entries' THEN
           SELECT sequence, entry_hash INTO last_sequence, last_hash FROM audit_head;
           IF NEW.sequence > last_sequence + 1 THEN
             last_sequence := NEW.sequence - 1;
             SELECT entry_hash INTO last_hash FROM audit_entries WHERE sequence = last_sequence;
           END IF;
           IF NEW.sequence = last_sequence + 1 AND NEW.previous_hash = last_hash THEN
             RETURN NEW;
           END IF;
         ELSIF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_head' THEN
           IF NEW.id = OLD.id AND NEW.sequence > OLD.sequence
              AND NEW.sequence = (SELECT max(sequence) FROM audit_entries)
              AND NEW.entry_hash = (SELECT entry_hash FROM audit_entries WHERE sequence = NEW.sequence) THEN
             RETURN NEW;
           END IF;
         ELSIF TG_OP = 'INSERT' AND TG_TABLE_NAME = 'audit_checkpoints' THEN
           IF NEW.size > (SELECT coalesce(max(size), 0) FROM audit_checkpoints) THEN
             RETURN NEW;
           END IF;
         ELSIF TG_OP = 'INSERT' AND TG_TABLE_NAME = 'audit_subtrees' THEN
           RETURN NEW;
         END IF;
         RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP;
       END $$""",
    *(
        f"""CREATE TRIGGER {table}_guard BEFORE INSERT OR UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION tamsoat_audit_guard()"""
        for table in ("audit_checkpoints", "audit_subtrees")
    ),
    *(
        f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION tamsoat_audit_guard()"""
        for table in ("audit_checkpoints", "audit_subtrees")
    ),
)


def upgrade() -> None:
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", _KEY, primary_key=True, autoincrement=False),
        sa.Column("root", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
    )
    op.create_table(
        "audit_subtrees",
        sa.Column("level", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("position", _KEY, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_entries_facility_sequence", "audit_entries", ["facility", "sequence"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_TRIGGERS if sqlite else POSTGRESQL_TRIGGERS:
        op.execute(statement)
