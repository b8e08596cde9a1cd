"""What a signature covers, as bytes: canonical JSON whose SHA-256 the audit log vouches for.

Free text goes in as a salted SHA-256, so that a lawful erasure can remove the text (and the salt) while the digest
can still be computed again. :func:`fault` is that computation.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from tamsoat.inference_service.audit.schemas import canonical_json, sha256_hex
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.tables import Reading
from tamsoat.inference_service.reviews.tables import Mark
from tamsoat.inference_service.screening.tables import Analysis
from tamsoat.inference_service.uploads.tables import Slide

FORMAT = 1
SALT_BYTES = 32


def new_salt() -> str:
    """256 random bits, hex."""
    return secrets.token_hex(SALT_BYTES)


def seal(reading: Reading, salt: str, **evidence: Any) -> str:
    """The canonical JSON of a reading that is about to be signed; ``evidence``: what else the signature covers.

    ``reading`` has its final columns; ``signed_at`` included.
    """
    content = {**_of_columns(reading), "form": hidden(parse(reading), salt), **evidence}
    content["reason"] = None if reading.reason is None else _hash(reading.reason, salt)
    return canonical_json(content)


def slides(rows: Sequence[tuple[Slide, Analysis | None]]) -> list[dict[str, str | None]]:
    """Which pixels were read, and what the AI had said about which pixels."""
    return [
        {
            "slide_id": slide.id,
            "sha256": slide.sha256,
            "analysis_id": analysis.id if analysis else None,
            "image_sha256": analysis.image_sha256 if analysis else None,
            "model_digest": analysis.model_digest if analysis else None,
        }
        for slide, analysis in rows
    ]


def marks(rows: Sequence[Mark]) -> dict[str, Any]:
    """How many cells the reader marked how, and a digest over every mark that stood."""
    counts: dict[str, int] = {}
    for mark in rows:
        counts[mark.kind] = counts.get(mark.kind, 0) + 1
    listed = [[mark.id, mark.kind, mark.category, mark.analysis_id, mark.rank] for mark in rows]
    return {"counts": counts, "sha256": sha256_hex(canonical_json(listed))}


def parse(reading: Reading) -> Form:
    """The form of a stored reading."""
    return Form.model_validate_json(reading.form)


def hidden(form: Form, salt: str) -> dict[str, Any]:
    """The form as JSON with its free text replaced by its hash; a form without text stays as it is."""
    content = form.model_dump(mode="json")
    content["comment"] = {"sha256": _hash(form.comment, salt)} if form.comment else ""
    return content


def fault(reading: Reading, recorded: str | None) -> str | None:
    """What is wrong with a signed reading, compared with the digest that the audit log ``recorded``; None: nothing."""
    if reading.sealed is None or sha256_hex(reading.sealed) != recorded or reading.digest != recorded:
        return "was changed"
    sealed = json.loads(reading.sealed)
    if any(sealed.get(name) != value for name, value in _of_columns(reading).items()):
        return "was changed beside what was signed"
    try:
        form = parse(reading)
    except ValidationError:
        return "has a form that cannot be read"
    if reading.salt is None:
        told = form.model_dump(mode="json", exclude={"comment"})
        kept = {name: value for name, value in sealed["form"].items() if name != "comment"}
        same = told == kept and not form.comment and reading.reason is None
    else:
        reason = None if reading.reason is None else _hash(reading.reason, reading.salt)
        same = hidden(form, reading.salt) == sealed["form"] and reason == sealed["reason"]
    return None if same else "has other answers than those that were signed"


def erase_text(reading: Reading) -> None:
    """Remove the free text of a signed reading, and the salt with which it could be guessed."""
    if reading.salt is None:
        return
    reading.form = parse(reading).model_copy(update={"comment": ""}).model_dump_json()
    reading.reason = reading.salt = None


def _of_columns(reading: Reading) -> dict[str, Any]:
    """What is stored in columns and was signed too."""
    return {
        "format": FORMAT,
        "reading_id": reading.id,
        "case_id": reading.case_id,
        "facility_id": reading.facility_id,
        "reader": reading.reader,
        "role": reading.role,
        "category": reading.category,
        "model_digest": reading.model_digest,
        "ai_category": reading.ai_category,
        "blind": reading.blind,
        "second_reason": reading.second_reason,
        "supersedes": reading.supersedes,
        "needs_confirmation": reading.needs_confirmation,
        "signed_at": reading.signed_at.isoformat() if reading.signed_at else None,
    }


def _hash(text: str, salt: str) -> str:
    return hashlib.sha256(f"{salt}\x00{text}".encode()).hexdigest()
