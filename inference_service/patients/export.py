"""Everything that is stored about one patient, as one readable document."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import repository as audit
from tamsoat.inference_service.cases import stewardship as cases
from tamsoat.inference_service.orders import answers as order_answers
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.patients import answers, repository, service
from tamsoat.inference_service.patients.tables import Patient, PatientMerge
from tamsoat.inference_service.reports import reading_stewardship as readings
from tamsoat.inference_service.reports import report_stewardship as reports
from tamsoat.inference_service.reviews import stewardship as reviews
from tamsoat.inference_service.screening import repository as screenings
from tamsoat.inference_service.screening import service as screening
from tamsoat.inference_service.screening.tables import Screening
from tamsoat.inference_service.storage.store import ContentStore
from tamsoat.inference_service.uploads.tables import Slide

FORMAT = 1


def collect(session: Session, facility_id: str, patient_id: str) -> dict[str, Any]:
    """The patient, the rows that were merged into her, orders, slides, results, and the audit entries about them.

    Values are those of the HTTP API. Slides are named by the SHA-256 of their content.

    Raises:
        PatientNotFoundError: there is no such patient.
    """
    patient = service.get(session, facility_id, patient_id)
    family = [patient, *_merged(session, patient)]
    placed = [order for member in family for order in orders.of_patient(session, member.id)]
    order_ids = [order.id for order in placed]
    slides = list(session.scalars(select(Slide).where(Slide.order_id.in_(order_ids)).order_by(Slide.created_at)))
    jobs = list(session.scalars(select(Screening).where(Screening.order_id.in_(order_ids)).order_by(Screening.number)))
    subjects = [f"patient:{member.id}" for member in family] + [f"order:{order_id}" for order_id in order_ids]
    subjects += [f"analysis:{job.id}" for job in jobs] + [f"slide:{slide.id}" for slide in slides]
    read = readings.collect(session, order_ids)
    subjects += readings.subjects(read)
    issued = reports.collect(session, order_ids)
    subjects += reports.subjects(issued)
    kept = cases.collect(session, order_ids)
    subjects += cases.subjects(kept)
    merges = select(PatientMerge).where(PatientMerge.target_id.in_([member.id for member in family]))
    return {
        "format": FORMAT,
        "patient": _json(answers.patient(session, patient)),
        "merged": [_json(row) for row in answers.patients(session, family[1:])],
        "merges": [_merge(row) for row in session.scalars(merges.order_by(PatientMerge.merged_at))],
        "orders": [_json(order_answers.order(session, order)) for order in placed],
        "slides": [_slide(slide) for slide in slides],
        "analyses": [_analysis(session, facility_id, job) for job in jobs],
        "reviews": reviews.collect(session, order_ids),
        **kept,
        "readings": read,
        "reports": issued,
        "audit": [
            {name: getattr(row, name) for name in ("sequence", "occurred_at", "actor", "action", "subject", "details")}
            for subject in subjects
            for row in audit.find_by_subject(session, subject)
        ],
    }


def to_json(document: dict[str, Any]) -> str:
    """The document as people can read it."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def write_zip(path: Path, document: dict[str, Any], store: ContentStore) -> int:
    """Write ``patient.json`` and every image that is still stored; return how many images."""
    images = {slide["sha256"]: slide["media_type"] for slide in document["slides"]}
    written = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("patient.json", to_json(document))
        for sha256, media_type in images.items():
            if store.exists(sha256):
                with store.local_path(sha256) as local:
                    archive.write(local, f"slides/{sha256}.{media_type.rpartition('/')[2]}")
                written += 1
    return written


def _merged(session: Session, patient: Patient) -> list[Patient]:
    return [member for row in repository.merged_into(session, patient.id) for member in (row, *_merged(session, row))]


def _analysis(session: Session, facility_id: str, job: Screening) -> dict[str, Any]:
    found = screenings.get(session, facility_id, job.id)
    result = found and _json(screening.rebuild(found, screenings.findings_of(session, found.number)))
    return {"analysis_id": job.id, "order_id": job.order_id, "slide_id": job.slide_id, "state": job.state,
            "created_at": job.created_at.isoformat(), "result": result}  # fmt: skip


def _slide(row: Slide) -> dict[str, Any]:
    return {"slide_id": row.id, "order_id": row.order_id, "sha256": row.sha256, "bytes": row.bytes,
            "media_type": row.media_type, "mpp": row.mpp, "created_at": row.created_at.isoformat(),
            "deleted_at": row.deleted_at.isoformat() if row.deleted_at else None}  # fmt: skip


def _merge(row: PatientMerge) -> dict[str, Any]:
    return {"source_id": row.source_id, "target_id": row.target_id, "reason": row.reason, "actor": row.actor,
            "merged_at": row.merged_at.isoformat(),
            "undone_at": row.undone_at.isoformat() if row.undone_at else None}  # fmt: skip


def _json(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(mode="json")
    return dumped
