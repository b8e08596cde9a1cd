"""Who and what the example facility is made of. Every name says that it is made up; the images are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.reports.form import Form

OTHER_FACILITY_CODE, OTHER_FACILITY_NAME = "79VD2", "Bệnh viện Ví Dụ Hai"
FACILITY_NAME = "Bệnh viện Ví Dụ"


@dataclass(frozen=True)
class Person:
    """Somebody who works in the example facility, or (``elsewhere``) in the other one."""

    username: str
    display_name: str
    roles: tuple[Role, ...]
    elsewhere: bool = False


TECHNOLOGIST = Person("vidu.kythuat", "KTV. Ví Dụ Một", (Role.CYTOTECHNOLOGIST,))
PATHOLOGIST = Person("vidu.bacsi", "BS. Ví Dụ Hai", (Role.PATHOLOGIST,))
SECOND = Person("vidu.bacsi2", "BS. Ví Dụ Ba", (Role.PATHOLOGIST,))
ADMINISTRATOR = Person("vidu.quantri", "QTV. Ví Dụ Bốn", (Role.ADMINISTRATOR,))
CONSULTANT = Person("vidu.tuvan", "BS. Ví Dụ Năm", (Role.PATHOLOGIST,), elsewhere=True)
PEOPLE = (TECHNOLOGIST, PATHOLOGIST, SECOND, ADMINISTRATOR, CONSULTANT)


@dataclass(frozen=True)
class ExampleCase:
    """One order with its image. ``theme`` of the drawing; ``until``: how far the case is brought."""

    number: str
    patient: str
    birth_date: str
    theme: str
    seed: int
    priority: str = "routine"
    until: str = "ready"
    """ready, in-review, second-review, consultation, signed."""
    whole_slide: bool = False
    context: dict[str, object] = field(default_factory=dict)


CASES = (
    ExampleCase("VD-0001", "Nguyễn Thị Ví Dụ", "1984-03-02", "hsil", 11, "urgent", "signed"),
    ExampleCase("VD-0002", "Trần Thị Mẫu", "1991-07-15", "hsil", 12, "routine", "second-review"),
    ExampleCase("VD-0003", "Lê Thị Thử", "1978-11-30", "lsil", 13, "routine", "in-review"),
    ExampleCase("VD-0004", "Phạm Thị Không Có Thật", "1969-01-20", "scc", 14, "stat"),
    ExampleCase("VD-0005", "Hoàng Thị Minh Hoạ", "1995-05-05", "normal", 15),
    ExampleCase("VD-0006", "Vũ Thị Tập Dượt", "1988-09-09", "asc-h", 16, "urgent", "consultation"),
    ExampleCase("VD-0007", "Đặng Thị Bản Nháp", "1982-02-28", "lsil", 17, whole_slide=True),
)
FINISHED = CASES[0]
SLIDE_SIDE_PX = 4096
"""Of the whole slide: small enough to be screened within a minute on two cores."""

_SATISFACTORY = {"adequacy": "satisfactory", "zone": "zone-present"}
HIGH_GRADE = Form.model_validate(
    {**_SATISFACTORY, "general": "abnormal", "findings": ["hsil"], "recommendations": ["colposcopy"]}
)
LOW_GRADE = Form.model_validate({**_SATISFACTORY, "general": "abnormal", "findings": ["lsil"]})
QUESTION = "Ví dụ: nhóm tế bào nhân lớn này là ASC-H hay hoá sinh gai non?"
