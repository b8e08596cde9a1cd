"""``tamsoat patient``: export everything about one patient, or erase what identifies her."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cli.admin_database import ACTOR, administration_of
from tamsoat.inference_service.errors import EXIT_OUTPUT, EXIT_USAGE, TamsoatError
from tamsoat.inference_service.patients import erasure, export
from tamsoat.inference_service.patients.errors import PatientNotFoundError
from tamsoat.inference_service.patients.tables import Patient
from tamsoat.inference_service.patients.vocabulary import EraseReason
from tamsoat.inference_service.storage.store import open_store

app = typer.Typer(help="One patient's data: export, erase.", no_args_is_help=True)

DatabaseUrl = Annotated[str | None, typer.Option(help="SQLAlchemy URL (TAMSOAT_DATABASE_URL)")]
PatientId = Annotated[str, typer.Argument(help="The patient's id, as the API answers it")]


class ExportFileError(TamsoatError):
    """The file of the export exists already."""

    title = "File exists"
    slug = "export-file"
    exit_code = EXIT_OUTPUT


class NotConfirmedError(TamsoatError):
    """The erasure was not confirmed."""

    title = "Not confirmed"
    slug = "not-confirmed"
    exit_code = EXIT_USAGE


@app.callback()
def _group() -> None:
    """One patient's data."""


@app.command("export")
def export_patient(
    patient_id: PatientId,
    out: Annotated[Path, typer.Option(help="New file: .json, or .zip with the images too")],
    database_url: DatabaseUrl = None,
) -> None:
    """Write everything that is stored about one patient: identifiers, orders, results, images, who read them."""
    if out.exists():
        raise ExportFileError(f"{out}: exists already; name a new file")
    with administration_of(database_url) as opened:
        with opened.database.read() as session:
            facility_id = _facility_of(session, patient_id)
            document = export.collect(session, facility_id, patient_id)
        with opened.database.write() as session:
            audit.append(session, Event(ACTOR, Action.PATIENT_EXPORT, f"patient:{patient_id}", facility=facility_id))
        out.touch(mode=0o600)
        if out.suffix == ".zip":
            images = export.write_zip(out, document, open_store(opened.settings))
        else:
            out.write_text(export.to_json(document), encoding="utf-8")
            images = 0
    _say(f"{out}: {len(document['orders'])} orders, {len(document['analyses'])} results, {images} images")


@app.command("erase")
def erase_patient(
    patient_id: PatientId,
    reason: Annotated[EraseReason, typer.Option(help="Recorded in the audit log")],
    confirm: Annotated[
        str | None, typer.Option(help="The patient's id again, instead of being asked for it on the terminal")
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Erase name, contacts, identifiers and free text for ever; results stay, pseudonymous.

    Refused while an order is open, under a legal hold, or where the reason does not fit (docs/privacy.md).
    """
    if confirm is None and sys.stdin.isatty():
        confirm = typer.prompt("This cannot be undone. Type the patient's id again", err=True)
    if confirm != patient_id:
        raise NotConfirmedError("nothing was erased: repeat the patient's id in --confirm")
    with administration_of(database_url) as opened, opened.database.write() as session:
        facility_id = _facility_of(session, patient_id)
        years = opened.settings.retention_records_years
        erasure.erase(session, ACTOR, facility_id, patient_id, reason, records_years=years)
    _say(f"patient {patient_id} erased: {reason.value}")


def _facility_of(session: Session, patient_id: str) -> str:
    patient = session.get(Patient, patient_id)
    if patient is None:
        raise PatientNotFoundError("there is no patient with this id")
    return patient.facility_id


def _say(text: str) -> None:
    Console(soft_wrap=True, highlight=False, markup=False).print(text)
