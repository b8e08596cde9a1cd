"""Slides of a database from before cases were kept get their cases when it is brought up to date."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from alembic import command
from sqlalchemy import DateTime, column, select, table, text

from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.uploads.tables import Slide

BEFORE = "0010"
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def test_old_slides_get_cases(database_url: str) -> None:
    database = Database(database_url)
    try:
        with database.write() as session:
            config = migrations.script_config()
            config.attributes["connection"] = session.connection()
            command.upgrade(config, BEFORE)
        _fill(database)
        migrations.upgrade(database)
        with database.read() as session:
            case_of = {row.id: row.case_id for row in session.execute(select(Slide.id, Slide.case_id))}
            cases = {case.id: case for case in session.scalars(select(Case))}
    finally:
        database.close()
    assert case_of["s1"] == case_of["s2"], "two slides of one order"
    assert case_of["s4"] is None, "a deleted slide"
    assert len(cases) == 2
    ordered, alone = cases[case_of["s1"] or ""], cases[case_of["s3"] or ""]
    assert (ordered.label, ordered.state, ordered.priority, ordered.urgency) == ("C26-1", "ready", 2, 21)
    assert (ordered.ai_category, ordered.triage, ordered.suspicion) == ("HSIL", "urgent", 0.9)
    assert ordered.ready_at == NOW
    assert (alone.state, alone.order_id, alone.label) == ("analysing", None, "26-000002")


def _fill(database: Database) -> None:
    def add(name: str, **values: Any) -> None:
        columns = [column(key, DateTime(timezone=True)) if key.endswith("_at") else column(key) for key in values]
        session.execute(table(name, *columns).insert().values(**values))

    with database.write() as session:
        common = {"facility_id": "local", "created_at": NOW}
        add("patients", id="p", sex="female", version=1, active=True, updated_at=NOW, **common)
        add("orders", id="o", patient_id="p", number="N1", requested_test="cytology", priority="urgent",
            status="resulted", history="[]", version=1, created_by="local", updated_at=NOW, **common)  # fmt: skip
        add("specimens", id="sp", order_id="o", accession="C26-1", source_site="cervix", preparation="conventional",
            state="received", **common)  # fmt: skip
        for slide, order, state, category, deleted in (
            ("s1", "o", "completed", "NILM", None),
            ("s2", "o", "completed", "HSIL", None),
            ("s3", None, "running", None, None),
            ("s4", None, "completed", None, NOW),
        ):
            add("slides", id=slide, sha256="0" * 64, bytes=1, media_type="image/jpeg", mpp=0.25, order_id=order,
                analysis_id=f"a{slide}", created_by="local", deleted_at=deleted, **common)  # fmt: skip
            add("screenings", id=f"a{slide}", slide_id=slide, order_id=order, mpp=0.25, priority=3, state=state,
                done=1, total=1, attempts=1, crashes=0, cancel_requested=False, requested_by="local", updated_at=NOW,
                finished_at=NOW if state == "completed" else None, version=1, **common)  # fmt: skip
            if category is not None:
                add("analyses", id=f"a{slide}", image_sha256="0" * 64, image_bytes=1, width_px=1, height_px=1, mpp=0.25,
                    model_name="m", model_version="1", model_digest="d", provider="CPU", usable=True, reasons="[]",
                    category=category, abnormal_probability=0.9 if category == "HSIL" else 0.1,
                    triage="urgent" if category == "HSIL" else "routine", categories="[]", cells=0, seconds=0.1,
                    **common)  # fmt: skip
        session.execute(text("SELECT 1"))
