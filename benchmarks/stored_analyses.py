"""Fill a database with many analyses as the service would have stored them, audit log included, but by bulk SQL."""

from __future__ import annotations

import random
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event, canonical_json, sha256_hex
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.screening.answers import AnalysisAnswer
from tamsoat.inference_service.screening.schemas import Cell, FieldAssessment, ModelIdentity, Quality
from tamsoat.inference_service.screening.tables import PRIORITIES, Analysis, Finding, Screening

TEMPLATES, CHUNK = 200, 2_000
CATEGORIES = [category.value for category in AI_CATEGORIES]
TRIAGES = ("routine", "review", "urgent")


def _template(chance: random.Random, cells: int) -> AnalysisAnswer:
    """A plausible answer with ``cells`` nuclei."""
    found = []
    for _ in range(cells):
        shares = [chance.random() for _ in CATEGORIES]
        probabilities = [round(share / sum(shares), 6) for share in shares]
        category = CATEGORIES[probabilities.index(max(probabilities))]
        position = (round(chance.uniform(0, 1376), 1), round(chance.uniform(0, 1020), 1))
        found.append(
            Cell(
                x_px=position[0], y_px=position[1], category=category, score=round(chance.random(), 6),
                probabilities=dict(zip(CATEGORIES, probabilities, strict=True)),
            )
        )  # fmt: skip
    field = FieldAssessment(category="LSIL", abnormal_probability=0.5, triage=chance.choice(TRIAGES))  # type: ignore[arg-type]
    return AnalysisAnswer(
        image="sha256:", width_px=1376, height_px=1020, mpp=0.25,
        model=ModelIdentity(name="tamsoat-cric", version="1.0.0", digest="0" * 64),
        quality=Quality(usable=True, reasons=[]), field=field, cells=found, seconds=0.41, analysis_id="",
    )  # fmt: skip


def fill(database: Database, count: int, *, cells: int, facilities: tuple[str, ...] = ("local",)) -> list[str]:
    """Store ``count`` analyses of ``cells`` nuclei, every third with an order; returns identifiers, oldest first."""
    chance = random.Random(4)
    migrations.upgrade(database)
    templates = [_template(chance, cells) for _ in range(TEMPLATES)]
    dumps = [template.model_dump(mode="json") for template in templates]
    begin, identifiers, start_s = datetime(2026, 1, 1, tzinfo=UTC), list[str](), time.monotonic()
    for first in range(1, count + 1, CHUNK):
        rows: dict[type[Any], list[dict[str, Any]]] = {Screening: [], Analysis: [], Finding: []}
        events = []
        for number in range(first, min(first + CHUNK, count + 1)):
            index = chance.randrange(TEMPLATES)
            made = _rows(number, templates[index], dumps[index], begin, facilities[number % len(facilities)], chance)
            for table, added in made[0].items():
                rows[table] += added
            events.append(made[1])
            identifiers.append(made[1].subject.partition(":")[2])
        with database.write() as session:
            for table, added in rows.items():
                session.execute(insert(table.__table__), added)
            audit.append_all(session, events)
        left_s = (count - first) * (time.monotonic() - start_s) / (first + CHUNK)
        print(f"\r{first + len(events) - 1} of {count} stored, {left_s:.0f} s left ", end="", file=sys.stderr)
    print(file=sys.stderr)
    with database.write() as session:
        if database.engine.dialect.name == "postgresql":
            for name in ("screenings", "analyses"):
                session.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'number'), {count})"))
        session.execute(text("ANALYZE"))
    return identifiers


def _rows(
    number: int, template: AnalysisAnswer, dump: dict[str, Any], begin: datetime, facility: str, chance: random.Random
) -> tuple[dict[type[Any], list[dict[str, Any]]], Event]:
    identifier, image = str(uuid.UUID(int=chance.getrandbits(128), version=4)), f"{chance.getrandbits(256):064x}"
    digest = sha256_hex(canonical_json({**dump, "analysis_id": identifier, "image": f"sha256:{image}"}))
    moment = begin + timedelta(seconds=20 * number)
    order = f"order-{number}" if number % 3 == 0 else None
    screening = {
        "number": number, "id": identifier, "facility_id": facility, "slide_id": None, "order_id": order,
        "mpp": 0.25, "priority": chance.choice(list(PRIORITIES.values())), "state": "completed",
        "done": 12, "total": 12,
        "triage": template.field.triage, "attempts": 1, "crashes": 0, "cancel_requested": False,
        "requested_by": "local", "created_at": moment, "started_at": moment, "finished_at": moment,
        "updated_at": moment, "version": 3,
    }  # fmt: skip
    analysis = {
        "number": number, "id": identifier, "facility_id": facility, "created_at": moment, "image_sha256": image,
        "image_bytes": 400_000, "width_px": 1376, "height_px": 1020, "mpp": 0.25, "model_name": template.model.name,
        "model_version": template.model.version, "model_digest": template.model.digest, "provider": "CPU",
        "usable": True, "reasons": [], "category": template.field.category,
        "abnormal_probability": template.field.abnormal_probability, "triage": template.field.triage,
        "categories": CATEGORIES, "cells": len(template.cells), "seconds": template.seconds,
    }  # fmt: skip
    findings = [
        {
            "analysis_number": number, "rank": rank, "x_px": cell.x_px, "y_px": cell.y_px, "category": cell.category,
            "score": cell.score, "probabilities": list(cell.probabilities.values()),
        }
        for rank, cell in enumerate(template.cells)
    ]  # fmt: skip
    digests = {"image": image, "model": template.model.digest, "result": digest}
    event = Event("local", Action.ANALYSIS_CREATE, f"analysis:{identifier}", digests, facility)
    return {Screening: [screening], Analysis: [analysis], Finding: findings}, event
