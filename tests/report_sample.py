"""A report that uses every part of the sheet: long names with stacked diacritics, six images, an amendment."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from PIL import Image
from sqlalchemy import select

from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.reports import service
from tamsoat.inference_service.reports.content import (
    Amendment,
    Head,
    KeyImage,
    OrderPart,
    PatientIdentity,
    PatientPart,
    Proposal,
    ReaderPart,
    ReportContent,
    SpecimenPart,
)
from tamsoat.inference_service.reports.tables import PRIMARY, SIGNED, Reading

ADDRESS = "https://tamsoat.benhvien.example"
CODE = "7ZK3M9QXW2B4T8VN6HJRDPCYA5"
NAME = "NGUYỄN HOÀNG PHƯƠNG THẢO QUỲNH UYỂN ƯỠNG"
FORM: dict[str, Any] = {
    "adequacy": "satisfactory", "reasons": [], "quality": ["partly-obscured-blood", "few-cells"],
    "zone": "zone-present", "general": "abnormal", "findings": ["lsil", "asc-h"], "organisms": ["candida"],
    "reactive": ["reactive-inflammation"], "recommendations": ["colposcopy-biopsy-curettage"],
    "comment": "Cụm tế bào nhân lớn, tỷ lệ nhân/bào tương tăng; quầng sáng quanh nhân rõ.\n"
    "Ký tự lạ: 漢 😀 #let x = 1 *đậm* $y$ @ref <b>.",
}  # fmt: skip


def jpeg(shade: int = 150) -> bytes:
    """A small picture."""
    stream = BytesIO()
    Image.new("RGB", (96, 96), (shade, 120, 180)).save(stream, "JPEG")
    return stream.getvalue()


def sample(*, images: int = 6, amended: bool = True, **changes: Any) -> ReportContent:
    """The content; ``changes`` replace its parts."""
    graded = ("HSIL", "ASC-H", "ASC-H", "LSIL", "LSIL", "ASC-US")
    parts: dict[str, Any] = {
        "report_id": "0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11",
        "number": 2 if amended else 1,
        "code": CODE,
        "salt": "00" * 16,
        "issued_at": "2026-11-22T14:05:09Z",
        "case_label": "TBH-26-004217",
        "case_id": "3f2d1c0b-5a49-4f7e-8d6c-1b2a39485760",
        "reading_id": "5a493f2d-1c0b-4f7e-8d6c-1b2a39485760",
        "reading_digest": "ab" * 32,
        "head": Head(
            facility_code="79024",
            name="BỆNH VIỆN PHỤ SẢN TRUNG ƯƠNG – CƠ SỞ NGHỆ AN",
            department="Khoa Giải phẫu bệnh – Tế bào học",
            address="Số 12 đường Nguyễn Thị Minh Khai, phường Trường Vinh, tỉnh Nghệ An",
            phone="0238 3844 555",
        ),
        "patient": PatientPart(
            name=NAME,
            birth_date="1984-03-07",
            sex="female",
            identifiers=[
                PatientIdentity(system="national_id", value="••••••••4821"),
                PatientIdentity(system="patient-internal-id", value="NA-2026-118822"),
            ],
        ),
        "order": OrderPart(
            number="CD-2026-99123",
            requested_test="liquid-based-cytology",
            requester="Phòng khám Sản – Phụ khoa số 3",
            age_years=42,
        ),
        "specimen": SpecimenPart(
            accession="TBH-26-004217",
            collected_on="2026-11-20",
            source_site="endocervix",
            preparation="liquid-based",
        ),
        "result": FORM,
        "category": "ASC-H",
        "readers": [
            ReaderPart(name="KTV. Trần Thị Ngọc Ánh", role="screening", at="2026-11-21T02:00:00Z", category="LSIL"),
            ReaderPart(name="BS. Phạm Hữu Đức Thịnh", role="primary", at="2026-11-21T08:11:00Z", category="HSIL"),
            ReaderPart(name="TS.BS. Võ Nguyễn Quỳnh Như", role="second", at="2026-11-22T03:00:00Z", category="ASC-H"),
            ReaderPart(name="BS. Phạm Hữu Đức Thịnh", role="amendment", at="2026-11-22T14:05:09Z", category="ASC-H"),
        ],
        "first_impression": "HSIL",
        "proposal": Proposal(
            name="tamsoat-cervix", version="1.2.0", digest="9f" * 32, category="HSIL", suspicion=0.9731, usable=True
        ),
        "key_images": [
            KeyImage(slide_id="s", x_px=1.0, y_px=2.0, side_um=80.0, category=category, kind="agree")
            for category in graded[:images]
        ],
        "amendment": Amendment(
            reason="Hội chẩn lại sau khi có kết quả sinh thiết: hạ bậc từ HSIL xuống ASC-H.",
            number=1,
            issued_at="2026-11-21T08:11:00Z",
            digest="cd" * 32,
        )
        if amended
        else None,
    }
    return ReportContent(**{**parts, **changes})


def write_report(database: Database, case_id: str) -> str:
    """A report as if somebody had signed; its identifier. The reading, which nobody sealed, does not stay."""
    now = datetime.now(UTC)
    with database.write() as session:
        case = session.scalars(select(Case).where(Case.id == case_id)).one()
        reading = Reading(
            id=str(uuid.uuid4()), facility_id=case.facility_id, case_id=case.id, reader="nobody", role=PRIMARY,
            state=SIGNED, form=json.dumps(FORM), category="ASC-H", blind=False, needs_confirmation=False,
            created_at=now, updated_at=now, signed_at=now, final_at=now, version=1,
        )  # fmt: skip
        session.add(reading)
        session.flush()
        report_id = service.issue(session, case, reading).id
        session.delete(reading)
        return report_id
