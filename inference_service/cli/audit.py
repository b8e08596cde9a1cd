"""``tamsoat audit``: prove that the log, and what it vouches for, is whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.console import Console

from tamsoat.inference_service.audit import checkpoints, notes, proofs, repository, verification
from tamsoat.inference_service.audit.schemas import Verification
from tamsoat.inference_service.cli.audit_export import export
from tamsoat.inference_service.cli.output import text_output
from tamsoat.inference_service.cli.progress import FieldProgress
from tamsoat.inference_service.db import encryption, migrations
from tamsoat.inference_service.db.keyring import read_keyring
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import EXIT_INPUT, EXIT_USAGE, TamsoatError
from tamsoat.inference_service.settings import Settings, load_settings

if TYPE_CHECKING:
    from tamsoat.inference_service.audit.deep import Comparison

app = typer.Typer(help="The audit log.", no_args_is_help=True)
DatabaseUrl = Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")]
PublicKey = Annotated[Path | None, typer.Option(help="Public key of the log; default: that of this installation")]
FIRST_REVISION = "0009"
"""The first schema with checkpoints."""
console = Console(soft_wrap=True, highlight=False)


@app.callback()
def _group() -> None:
    """The audit log."""


class NothingToVerifyError(TamsoatError):
    """The database holds no audit log, or one of an older version."""

    title = "No audit log"
    slug = "audit-missing"
    exit_code = 1


class NoKeyError(TamsoatError):
    """Signatures cannot be checked without a key."""

    title = "No key"
    slug = "audit-no-key"
    exit_code = EXIT_USAGE


class FileUnreadableError(TamsoatError):
    """A checkpoint, proof or key file cannot be read."""

    title = "File cannot be read"
    slug = "audit-file-unreadable"
    exit_code = EXIT_INPUT


@app.command()
def verify(
    database_url: DatabaseUrl = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint that was kept elsewhere")] = None,
    public_key: PublicKey = None,
    deep_check: Annotated[bool, typer.Option("--deep", help="Also compare stored analyses and readings")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as one JSON object")] = False,
) -> None:
    """Read the whole log: exit 0 when it is whole, otherwise 1 and the first bad sequence number."""
    settings = load_settings(database_url=database_url)
    key = _key(public_key, settings)
    if checkpoint is not None and key is None:
        raise NoKeyError("a kept checkpoint is checked with the public key of the log: name it with --public-key")
    kept = notes.verify(_text(checkpoint), key) if checkpoint is not None and key is not None else None
    analyses = None
    with _database(settings) as database:
        with database.read() as session:
            head = repository.read_head(session)
        with FieldProgress(head.sequence if head else 0, "entries") as progress, database.read() as session:
            outcome = verification.verify(session, verification.Options(key, kept, progress.reach))
            progress.reach(outcome.entries)
        if deep_check and outcome.whole:
            analyses = _deep(database, settings)
            if analyses.first_bad_sequence is not None:
                outcome = Verification(outcome.entries, analyses.first_bad_sequence, analyses.reason)
    if key is None and outcome.checkpoints:
        sys.stderr.write(f"signatures of {outcome.checkpoints} checkpoints not checked: name a --public-key\n")
    _report(outcome, analyses, as_json)
    if not outcome.whole:
        raise typer.Exit(1)


@app.command("checkpoint")
def make_checkpoint(
    out: Annotated[Path | None, typer.Option(help="File to write the signed checkpoint to; default: print it")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Sign the log as it is now (the newest checkpoint where nothing was added since)."""
    settings = load_settings(database_url=database_url)
    with _database(settings) as database:
        stored = checkpoints.make(database, read_keyring(settings.keys_path), settings)
        if settings.audit_checkpoint_dir is not None:
            checkpoints.keep_elsewhere(database, settings.audit_checkpoint_dir)
    if stored is None:
        raise NothingToVerifyError("the audit log is empty: there is nothing to sign")
    with text_output(out) as stream:
        stream.write(stored.note)


@app.command()
def prove(
    entry: Annotated[int, typer.Argument(help="Sequence number of the entry", min=1)],
    out: Annotated[Path | None, typer.Option(help="File to write the proof to; default: print it")] = None,
    since: Annotated[Path | None, typer.Option(help="Also prove that this older checkpoint belongs to the log")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the proof that an entry is in the log; where no checkpoint covers it yet, one is made."""
    settings = load_settings(database_url=database_url)
    older = None if since is None else _text(since)
    with _database(settings) as database:
        with database.read() as session:
            newest = repository.newest_checkpoint(session)
        if newest is None or newest.size < entry:
            checkpoints.make(database, read_keyring(settings.keys_path), settings)
        with database.read() as session:
            proof = proofs.prove(session, entry, since=older)
    with text_output(out) as stream:
        stream.write(proof.model_dump_json(indent=2) + "\n")


@app.command("check-proof")
def check_proof(
    file: Annotated[Path, typer.Argument(help="The proof")],
    public_key: Annotated[Path, typer.Option(help="Public key of the log, from /.well-known/tamsoat-audit-key")],
) -> None:
    """Check a proof without the database: exit 0 when the entry is in the signed log, otherwise not 0."""
    proof, checkpoint = proofs.check(_text(file), notes.read_public_key(_text(public_key)))
    entry = proof.entry
    console.print(f"entry {entry.sequence} is in the log {checkpoint.origin} of {checkpoint.size} entries")
    console.print(f"  {entry.occurred_at} {entry.actor} {entry.action} {entry.subject}")
    console.print(f"  signed {checkpoint.created_at}, root {checkpoint.root.hex()}")
    if proof.consistency is not None:
        older = notes.read(proof.consistency.checkpoint)
        console.print(f"  the checkpoint of {older.size} entries belongs to the same log")


@app.command("public-key")
def public_key_line(out: Annotated[Path | None, typer.Option(help="File; default: print it")] = None) -> None:
    """Write the public key that checks checkpoints and proofs of this installation."""
    settings = load_settings()
    key = read_keyring(settings.keys_path).signing.public_key()
    with text_output(out) as stream:
        stream.write(notes.public_key_line(checkpoints.origin(settings), key))


app.command()(export)


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url, wait_s=settings.database_wait_s, must_exist=True)
    try:
        revision = migrations.current_revision(database)
        if revision is None:
            raise NothingToVerifyError("the database holds no audit log; check TAMSOAT_DATABASE_URL")
        if revision < FIRST_REVISION:
            raise NothingToVerifyError(f"the database has schema revision {revision}: run `tamsoat db upgrade` first")
        yield database
    finally:
        database.close()


def _key(path: Path | None, settings: Settings) -> Ed25519PublicKey | None:
    """The key to check signatures with; None where neither a file was named nor this installation has keys."""
    if path is not None:
        return notes.read_public_key(_text(path))
    return read_keyring(settings.keys_path).signing.public_key() if settings.keys_path.exists() else None


def _deep(database: Database, settings: Settings) -> Comparison:
    from tamsoat.inference_service.audit import deep  # brings the engine along, which only this option needs

    keys = settings.keys_path.exists()
    if keys:
        encryption.install(read_keyring(settings.keys_path))
    else:
        sys.stderr.write("signed readings not compared: they are encrypted, and the keys are not here\n")
    with database.read() as session:
        total = deep.stored_analyses(session)
    with FieldProgress(total, "analyses") as progress, database.read() as session:
        return deep.compare(session, progress.reach, with_readings=keys)


def _report(outcome: Verification, compared: Comparison | None, as_json: bool) -> None:
    if as_json:
        told: dict[str, object] = {
            "whole": outcome.whole,
            "entries": outcome.entries,
            "checkpoints": outcome.checkpoints,
        }
        told |= {"analyses": compared and compared.analyses, "readings": compared and compared.readings}
        told |= {"first_bad_sequence": outcome.first_bad_sequence, "reason": outcome.reason}
        sys.stdout.write(json.dumps(told) + "\n")
    elif outcome.whole:
        further = f", {compared.analyses} analyses and {compared.readings} readings as recorded" if compared else ""
        console.print(f"audit log whole: {outcome.entries} entries, {outcome.checkpoints} checkpoints{further}")
    else:
        console.print(f"audit log broken at sequence {outcome.first_bad_sequence}: {outcome.reason}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadableError(f"{path}: cannot be read") from error
