"""Makes the example facility step by step; every step may be repeated, and goes on where it was interrupted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.repository import any_account_or_client
from tamsoat.inference_service.cases import assignment
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.consultations import repository as consultation_repository
from tamsoat.inference_service.consultations import service as consultations
from tamsoat.inference_service.consultations.access import reader_id
from tamsoat.inference_service.consultations.schemas import ConsultationIn
from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.examples import content, images, people
from tamsoat.inference_service.examples.content import ExampleCase, Person
from tamsoat.inference_service.orders import placing
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.orders.schemas import OrderIn
from tamsoat.inference_service.patients.tables import Patient
from tamsoat.inference_service.reports import drafts, signing
from tamsoat.inference_service.reports import reading_repository as readings
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.tables import PRIMARY
from tamsoat.inference_service.reports.tables import SECOND as SECOND_ROLE
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.tables import QUEUED, RUNNING, Screening
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.uploads import repository as uploads
from tamsoat.inference_service.uploads import service as slides
from tamsoat.inference_service.uploads.intent import Intent

SCREENED_WITHIN_S = 900.0
LOOK_S = 0.2
UNFINISHED = "example-unfinished"
REPORT_WITHIN_S = 120.0

Tell = Callable[[str, int, int], None]
"""Hears what is being done, how many steps are done, and of how many."""


class ExampleRefusedError(TamsoatError):
    """Real accounts, patients or cases are here: nothing made up is mixed with them."""

    status = 409
    title = "Example facility refused"
    slug = "example-refused"
    exit_code = EXIT_USAGE


class ExampleUnfinishedError(TamsoatError):
    """A screening of the example failed or took too long."""

    status = 500
    title = "Example facility is not finished"
    slug = "example-unfinished"
    exit_code = 1


@dataclass(frozen=True)
class Made:
    """What there is now: sign-in names with their passwords, and the finished case."""

    passwords: dict[str, str]
    finished_case: str


def make(runtime: Runtime, tell: Tell, chosen: Sequence[ExampleCase] = content.CASES) -> Made:
    """Make what is missing of the example facility; ``runtime`` must be working on jobs.

    Raises:
        ExampleRefusedError: real accounts, patients or cases are here.
        ExampleUnfinishedError: a screening failed or took longer than fifteen minutes.
    """
    settings, whole = runtime.settings, len(chosen) == len(content.CASES)
    with runtime.database.write() as session:
        refuse(session)
        made = people.make(session, settings)
        people.keep_passwords(settings.data_folder, made)
    if whole:
        unfinished(settings).touch()
    steps, done = 3 * len(chosen), 0
    with tempfile.TemporaryDirectory(prefix="tamsoat-example-") as scratch:
        for case in chosen:
            tell(f"drawing {case.number}", done, steps)
            _receive(runtime, case, Path(scratch))
            done += 1
    for case in chosen:
        tell(f"screening {case.number}", done, steps)
        _wait(runtime, case)
        done += 1
    for case in chosen:
        tell(f"reading {case.number}", done, steps)
        _read(runtime, case)
        done += 1
    tell("done", steps, steps)
    if whole:
        unfinished(settings).unlink(missing_ok=True)
    with runtime.database.read() as session:
        finished = _case(session, content.FINISHED)
    assert finished is not None
    return Made(people.known_passwords(settings.data_folder), finished.id)


def wanted_at(settings: Settings) -> bool:
    """Whether a first start should make the example: the data folder is new, or an earlier making was cut short."""
    scheme, _, rest = settings.database_url.partition(":///")
    new = scheme.startswith("sqlite") and not Path(rest.partition("?")[0]).exists()
    return new or unfinished(settings).exists()


def unfinished(settings: Settings) -> Path:
    """The file that is there while the example is being made."""
    return settings.data_folder / UNFINISHED


def refuse(session: Session) -> None:
    """Raise ExampleRefusedError where something real is here."""
    real_case = session.scalar(select(exists().where(Case.example.is_(False))))
    made_up = [case.patient for case in content.CASES]
    names = session.scalars(select(Patient.name).where(Patient.erased_at.is_(None)))
    if any_account_or_client(session) or real_case or any(name not in made_up for name in names):
        raise ExampleRefusedError(
            "this installation has real accounts, patients or cases: make the example in an empty data folder "
            "(tamsoat example --database-url sqlite:///FOLDER/tamsoat.db)"
        )


def _receive(runtime: Runtime, case: ExampleCase, folder: Path) -> None:
    with runtime.database.write() as session:
        who = people.principal(session, content.TECHNOLOGIST)
        order = orders.by_number(session, who.facility_id, case.number)
        if order is None:
            order = placing.place(session, who, _order(case))
        order_id = order.id
    with runtime.database.read() as session:
        if uploads.list_slides(session, who.facility_id, 1, None, order_id):
            return
    file = images.draw(case, folder)
    intent = Intent(images.FIELD_MPP, order_id, case.priority, None, False)
    slides.accept(runtime, who, file, intent)
    with runtime.database.write() as session:
        found = cases.get(session, who.facility_id, _known(session, case).id, lock=True)
        cases.set_state(session, found, found.state, example=True)


def _order(case: ExampleCase) -> OrderIn:
    return OrderIn.model_validate(
        {
            "number": case.number,
            "patient": {"name": case.patient, "birth_date": case.birth_date, "sex": "female",
                        "identifiers": [{"system": "patient-internal-id", "value": f"BN-{case.number}"}]},
            "priority": case.priority,
            "specimens": [{"accession": f"C-{case.number}", "preparation": "conventional", "state": "received"}],
            "context": case.context,
        }
    )  # fmt: skip


def _wait(runtime: Runtime, case: ExampleCase) -> None:
    until_s = time.monotonic() + SCREENED_WITHIN_S
    while True:
        with runtime.database.read() as session:
            found = _known(session, case)
            row = session.scalar(
                select(Screening).where(Screening.order_id == found.order_id).order_by(Screening.number.desc()).limit(1)
            )
        if row is not None and row.state not in (QUEUED, RUNNING):
            if row.state != "completed":
                raise ExampleUnfinishedError(f"screening {case.number} ended as {row.state}: {row.problem_title}")
            return
        if time.monotonic() > until_s:
            raise ExampleUnfinishedError(f"screening {case.number} takes longer than {SCREENED_WITHIN_S:g} s")
        time.sleep(LOOK_S)


def _read(runtime: Runtime, case: ExampleCase) -> None:
    if case.until == "ready":
        return
    if case.until == "consultation":
        _ask(runtime, case)
        return
    form = content.LOW_GRADE if case.until == "in-review" else content.HIGH_GRADE
    signs = case.until in ("second-review", "signed")
    _one_reading(runtime, case, content.PATHOLOGIST, PRIMARY, form, ("ready", "in-review"), signs=signs)
    if case.until == "signed":
        _one_reading(runtime, case, content.SECOND, SECOND_ROLE, form, ("second-review",), signs=True)


def _one_reading(
    runtime: Runtime, case: ExampleCase, person: Person, role: str, form: Form, states: tuple[str, ...], *, signs: bool
) -> None:
    with runtime.database.write() as session:
        who = people.principal(session, person)
        found = cases.get(session, who.facility_id, _known(session, case).id, lock=True)
        if found.state not in states:
            return
        assignment.assign(session, who, found, take_over=True)
        draft = readings.draft_of(session, found.id, reader_id(who), role)
        if draft is None:
            drafts.save(session, who, found, role, None, form)
        if signs:
            signing.sign(session, who, found.id, lambda _tag: None, factor="none", reason=None)


def _ask(runtime: Runtime, case: ExampleCase) -> None:
    with runtime.database.write() as session:
        who = people.principal(session, content.PATHOLOGIST)
        found = _known(session, case)
        if not consultation_repository.of_case(session, who.facility_id, found.id):
            wanted = ConsultationIn(
                case_id=found.id, consultant=content.CONSULTANT.username, question=content.QUESTION, days=30
            )
            consultations.ask(session, who, wanted)


def _case(session: Session, case: ExampleCase) -> Case | None:
    who = people.principal(session, content.TECHNOLOGIST)
    order = orders.by_number(session, who.facility_id, case.number)
    query = select(Case).where(Case.order_id == (order.id if order else "")).order_by(Case.number).limit(1)
    return session.scalar(query)


def _known(session: Session, case: ExampleCase) -> Case:
    found = _case(session, case)
    assert found is not None
    return found
