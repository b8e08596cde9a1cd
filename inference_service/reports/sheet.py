"""A report in one language, ready to print: every text, number and date of it as a plain string.

The words are the texts ``report.…`` and ``signout.term.…`` of the web catalogues.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from tamsoat.inference_service.reports import codes
from tamsoat.inference_service.reports.content import KeyImage, PatientPart, ReportContent
from tamsoat.inference_service.reports.qr import qr_svg
from tamsoat.inference_service.reports.typesetting import legible
from tamsoat.inference_service.web import messages

VIETNAM = timezone(timedelta(hours=7))
"""No summer time."""
REGIONS = {"vi": "VN", "en": "GB"}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
BAR_UM = 20
"""Length of the scale bar."""
DIGEST_SHOWN = 12

Words = Callable[..., str]


def words_of(language: str) -> Words:
    """``words("name", n=3)``: the text ``report.name`` with its places filled."""
    texts = messages.catalogue(language)

    def words(name: str, /, **values: object) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), texts[f"report.{name}"])

    return words


def make(content: ReportContent, digest: str, language: str, *, address: str, images: Sequence[bytes | None]) -> str:
    """The sheet as JSON for the template.

    Args:
        digest: of the content.
        address: how the public reaches the service, ``https://host``.
        images: JPEG of each key image; None: its slide could not be read.
    """
    words = words_of(language)
    issued = _moment(content.issued_at, language)
    sheet = {
        "language": language,
        "region": REGIONS[language],
        "document_title": words("document-title", label=content.case_label, number=content.number),
        "document_subject": words("document-subject"),
        "title": words("title"),
        "head": _head(content, words),
        "version_lines": [
            words("version", label=content.case_label),
            words("version-number", number=content.number),
            words("issued", at=issued),
            words("facility-code", code=content.head.facility_code),
        ],
        "banner": _banner(content, language, words),
        "patient": {"title": words("patient"), "facts": _patient(content, language, words)},
        "specimen": {"title": words("specimen"), "facts": _specimen(content, language, words)},
        "result": _result(content, language, words),
        "comment": _comment(content, words),
        "images": _images(content.key_images, images, words),
        "ai": {"title": words("ai"), "lines": _assistance(content, language, words)},
        "readers": _readers(content, language, words),
        "verify": _verify(content, digest, address, words),
        "signature": _signature(content, words),
        "running_left": " · ".join(part for part in (_name(content.patient), content.case_label) if part),
        "running_right": issued,
        "footer": words("footer", label=content.case_label, number=content.number, code=codes.grouped(content.code)),
        "page_of": words("page-of", page="{page}", pages="{pages}"),
    }
    return json.dumps(_legible(sheet), ensure_ascii=False)


def verification_address(address: str, code: str) -> str:
    """Where the public checks the report."""
    return f"{address}/verify/{code}"


def in_groups(digest: str, length: int = 8) -> str:
    """A digest that can be compared by eye."""
    return " ".join(digest[start : start + length] for start in range(0, len(digest), length))


def _legible(value: Any) -> Any:
    """Every string of the sheet as the fonts can print it; the QR code is a drawing, not a text."""
    if isinstance(value, str):
        return value if value.startswith("<svg") else legible(value)
    if isinstance(value, dict):
        return {name: _legible(part) for name, part in value.items()}
    if isinstance(value, list):
        return value if value and isinstance(value[0], int) else [_legible(part) for part in value]
    return value


def _head(content: ReportContent, words: Words) -> dict[str, Any]:
    head = content.head
    phone = words("phone", phone=head.phone) if head.phone else ""
    return {
        "name": head.name,
        "department": head.department or "",
        "contact": [part for part in (head.address, phone) if part],
    }


def _banner(content: ReportContent, language: str, words: Words) -> dict[str, Any] | None:
    change = content.amendment
    if change is None:
        return None
    at = _moment(change.issued_at, language)
    lines = [words("amended-of", number=change.number, at=at, digest=change.digest[:DIGEST_SHOWN] + "…")]
    if change.reason:
        lines.append(words("amended-reason", reason=change.reason))
    return {"title": words("amended"), "lines": lines}


def _name(patient: PatientPart | None) -> str:
    return patient.name or "" if patient else ""


def _patient(content: ReportContent, language: str, words: Words) -> list[list[str]]:
    patient = content.patient
    if patient is None:
        return [[words("name"), words("no-patient")]]
    born = patient.birth_date or ""
    facts = [
        [words("name"), patient.name or words("unknown")],
        [words("sex"), words(f"sex.{patient.sex}")],
        [words("birth-year" if len(born) == len("YYYY") else "born"), _day(born, language) or words("unknown")],
    ]
    if content.order is not None and content.order.age_years is not None:
        facts.append([words("age"), str(content.order.age_years)])
    return facts + [[words(f"identifier.{one.system}"), one.value] for one in patient.identifiers]


def _specimen(content: ReportContent, language: str, words: Words) -> list[list[str]]:
    order, specimen = content.order, content.specimen
    facts = []
    if order is not None:
        facts += [[words("order"), order.number], [words("test"), words(f"test.{order.requested_test}")]]
        facts.append([words("requester"), order.requester or words("not-stated")])
    if specimen is None:
        return [*facts, [words("accession"), content.case_label]]
    collected = _day(specimen.collected_on or "", language) or words("not-stated")
    return [
        *facts,
        [words("accession"), specimen.accession],
        [words("collected"), collected],
        [words("source"), words(f"source.{specimen.source_site}")],
        [words("preparation"), words(f"preparation.{specimen.preparation}")],
    ]


def _result(content: ReportContent, language: str, words: Words) -> dict[str, Any]:
    form, texts = content.result, messages.catalogue(language)

    def terms(*names: str) -> list[str]:
        given = [form.get(name) for name in names]
        listed = [code for one in given for code in (one if isinstance(one, list) else [one]) if code]
        return [texts[f"signout.term.{code}"] for code in listed]

    general = terms("general") or [words("no-category")]
    fields = (
        ("findings", ("findings",)),
        ("adequacy", ("adequacy",)),
        ("reasons", ("reasons",)),
        ("zone", ("zone",)),
        ("quality", ("quality",)),
        ("organisms", ("organisms",)),
        ("reactive", ("reactive",)),
        ("recommendations", ("recommendations",)),
    )
    parts = [{"title": words(title), "items": terms(*names)} for title, names in fields]
    return {
        "title": words("result"),
        "general": [words("general"), general[0]],
        "parts": [part for part in parts if part["items"]],
    }


def _comment(content: ReportContent, words: Words) -> dict[str, Any] | None:
    lines = [line.strip() for line in str(content.result.get("comment") or "").splitlines() if line.strip()]
    return {"title": words("comment"), "lines": lines} if lines else None


def _images(chosen: Sequence[KeyImage], images: Sequence[bytes | None], words: Words) -> dict[str, Any] | None:
    if not chosen:
        return None
    items = []
    for number, (image, jpeg) in enumerate(zip(chosen, images, strict=True), 1):
        category = words(f"category.{image.category}")
        items.append(
            {
                "jpeg": list(jpeg or b""),
                "missing": "" if jpeg else words("image-missing"),
                "alt": words("image-alt", number=number, category=category, side=f"{image.side_um:g}"),
                "caption": words("image-caption", number=number, category=category),
                "bar_share": BAR_UM / image.side_um,
                "bar_label": f"{BAR_UM} µm",
            }
        )
    return {"title": words("images"), "items": items, "note": words("images-note", bar=BAR_UM)}


def _assistance(content: ReportContent, language: str, words: Words) -> list[str]:
    model = content.proposal
    if model is None:
        return [words("ai-none")]
    lines = [words("ai-model", name=model.name, version=model.version, digest=f"{model.digest[:DIGEST_SHOWN]}…")]
    reader = words(f"category.{content.category}") if content.category else words("no-category")
    if model.category is None:
        lines.append(words("ai-no-proposal"))
    elif model.suspicion is None:
        lines.append(words("ai-proposal-plain", category=words(f"category.{model.category}"), reader=reader))
    else:
        percent = _decimal(100 * model.suspicion, language)
        proposed = words(f"category.{model.category}")
        lines.append(words("ai-proposal", category=proposed, percent=percent, reader=reader))
    if model.usable is False:
        lines.append(words("ai-unusable"))
    if content.first_impression is not None:
        lines.append(words("ai-blind", category=words(f"category.{content.first_impression}")))
    return [*lines, words("ai-limits")]


def _readers(content: ReportContent, language: str, words: Words) -> dict[str, Any]:
    rows = [
        [
            reader.name,
            words(f"role.{reader.role}"),
            words(f"category.{reader.category}") if reader.category else "–",
            _moment(reader.at, language),
        ]
        for reader in content.readers
    ]
    header = [words(f"reader-{name}") for name in ("name", "role", "category", "at")]
    return {"title": words("readers"), "header": header, "rows": rows}


def _verify(content: ReportContent, digest: str, address: str, words: Words) -> dict[str, Any]:
    url = verification_address(address, content.code)
    return {
        "title": words("verify"),
        "qr": qr_svg(url),
        "qr_alt": words("verify-alt", url=url),
        "lines": [
            words("verify-how", url=f"{address}/verify"),
            codes.grouped(content.code),
            words("verify-digest", digest=in_groups(digest)),
            words("verify-privacy"),
        ],
    }


def _signature(content: ReportContent, words: Words) -> dict[str, Any]:
    day = _local(content.issued_at)
    decisive = [one for one in content.readers if one.role in ("primary", "consensus", "amendment")]
    return {
        "date": words("signature-date", day=f"{day:%d}", month=f"{day:%m}", year=f"{day:%Y}"),
        "role": words("signature"),
        "hint": words("signature-hint"),
        "name": decisive[-1].name if decisive else "",
    }


def _local(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp).astimezone(VIETNAM)


def _moment(stamp: str, language: str) -> str:
    """Vietnamese time, as its readers write it."""
    at = _local(stamp)
    return f"{_day(f'{at:%Y-%m-%d}', language)} {at:%H:%M}"


def _day(known: str, language: str) -> str:
    """A date of which the day or the month may be unknown."""
    parts = known.split("-") if known else []
    if language == "vi":
        return "/".join(reversed(parts))
    if len(parts) > 1:
        parts[1] = MONTHS[int(parts[1]) - 1]
    return " ".join(reversed(parts))


def _decimal(value: float, language: str) -> str:
    text = f"{value:.1f}"
    return text.replace(".", ",") if language == "vi" else text
