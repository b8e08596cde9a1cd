"""Rows of readings as they go over the wire."""

from __future__ import annotations

from sqlalchemy.orm import Session

from tamsoat.datasets.categories import GRAVITY, Category
from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.reports import drafts, sealing, second_reading, signing, turns
from tamsoat.inference_service.reports import reading_repository as repository
from tamsoat.inference_service.reports.consistency import Context, violations
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.outcomes import Outcome
from tamsoat.inference_service.reports.reading_schemas import (
    CoverageShareOut,
    MarksOut,
    MessageOut,
    ProposalOut,
    ReadingOut,
    ReadingState,
    Refusal,
    SignedOut,
    TermList,
    TermOut,
    ViolationOut,
    Writer,
)
from tamsoat.inference_service.reports.reauthentication import Means
from tamsoat.inference_service.reports.tables import CaseMessage, Reading
from tamsoat.inference_service.reports.vocabulary import LOINC, SATISFACTORY, TERMS
from tamsoat.inference_service.reviews import blinding
from tamsoat.inference_service.reviews import service as reviewing
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.reviews.tables import AGREE, DISMISS, Mark
from tamsoat.inference_service.web.messages import LANGUAGES, catalogue

LITTLE_SEEN = 0.8
"""Less of the cell-bearing area than this in view: the page says so before a negative is signed."""


def state(session: Session, principal: Principal, case: Case, means: Means) -> tuple[ReadingState, str]:
    """The caller's draft with all that the form shows beside it, and its entity tag."""
    signed = repository.signed(session, case.id)
    due = turns.turn_of(case, signed, principal)
    me = reader_of(principal)
    unsigned = repository.drafts(session, case.id)
    draft = next((item for item in unsigned if item.reader == me and item.role == due.role), None)
    form, origin = (
        (sealing.parse(draft), "draft") if draft else drafts.starting_form(session, principal, case, due.role)
    )
    others = [item for item in unsigned if item.reader != me]
    names = repository.names_of(session, [item.reader for item in others])
    context = drafts.context_of(session, case)
    hidden = blinding.is_blinded(session, principal, case)
    marks = marks_of(session, case, me)
    share = reviewing.coverage_share(session, case.id, me)
    rules = signing.rules_of(session, case.facility_id)
    answer = ReadingState.model_validate(
        {
            "case_id": case.id,
            "case_state": case.state,
            "role": due.role,
            "refusal": Refusal(code=due.refusal, messages=turns.said_so(due.refusal)) if due.refusal else None,
            "confirms": due.confirms.id if due.confirms else None,
            "reauthentication": means,
            "form": form,
            "started_from": origin,
            "saved_at": draft.updated_at if draft else None,
            "version": draft.version if draft else 0,
            "violations": broken_rules(form, context),
            "second_reader_because": second_reading.known_reason(form, None if hidden else case.ai_category, rules)
            if due.role == "primary" else None,
            "proposal": None if hidden else proposal(case),
            "ai_hidden": hidden,
            "marks": marks,
            "coverage": CoverageShareOut(slides=share.slides, cells=share.cells),
            "advice": advice(case, form, marks, share.slides if share.cells is None else share.cells, hidden=hidden),
            "others_writing": [Writer(reader=names.get(item.reader, ""), saved_at=item.updated_at) for item in others],
            "readings_hidden": len(turns.visible(case, signed, principal)) < len(signed),
            "age_years": context.age_years,
        }
    )  # fmt: skip
    return answer, drafts.tag(case, me, due.role, draft)


def proposal(case: Case) -> ProposalOut:
    """What the AI says of the case."""
    return ProposalOut(category=case.ai_category, suspicion=case.suspicion, triage=case.triage, usable=case.usable)


def broken_rules(form: Form, context: Context) -> list[ViolationOut]:
    """Every broken rule with its words."""
    return [
        ViolationOut(rule=item.rule, field=item.field, messages=item.messages()) for item in violations(form, context)
    ]


def marks_of(session: Session, case: Case, reader: str) -> MarksOut:
    """What a reader's standing marks come to; only dismissed cells come to NILM."""
    standing = reviewing.latest(session, case.id, reader)
    counts: dict[str, int] = {}
    for mark in standing:
        counts[mark.kind] = counts.get(mark.kind, 0) + 1
    return MarksOut(category=_gravest(session, standing), counts=counts)


def advice(case: Case, form: Form, marks: MarksOut, seen: float, *, hidden: bool) -> list[str]:
    """What the reader may want to look at again; ``seen``: share of the cells in view, ``hidden``: the AI is."""
    found = []
    said = form.category()
    marked = Category(marks.category) if marks.category else None
    if not hidden and case.usable is False and form.adequacy in (None, SATISFACTORY):
        found.append("slide-hard-to-judge")
    if said is Category.NILM and seen < LITTLE_SEEN:
        found.append("little-seen")
    if said is Category.UNSATISFACTORY and marked not in (None, Category.NILM):
        found.append("unsatisfactory-with-abnormal-cells")
    elif said in GRAVITY and marked in GRAVITY and GRAVITY.index(marked) > GRAVITY.index(said):
        found.append("marks-are-graver")
    return found


def reading(row: Reading, names: dict[str, str], me: str, result: Reading | None) -> ReadingOut:
    """One signed reading."""
    return ReadingOut.model_validate(
        {
            "reading_id": row.id,
            "role": row.role,
            "reader": names.get(row.reader, ""),
            "mine": row.reader == me,
            "form": sealing.parse(row),
            "category": row.category,
            "ai_category": row.ai_category,
            "blind": row.blind,
            "reason": row.reason,
            "supersedes": row.supersedes,
            "second_reason": row.second_reason,
            "needs_confirmation": row.needs_confirmation,
            "confirmed_by": names.get(row.confirmed_by, "") if row.confirmed_by else None,
            "confirmed_at": row.confirmed_at,
            "signed_at": row.signed_at,
            "is_result": result is not None and result.id == row.id,
            "was_result": row.final_at is not None,
            "digest": row.digest,
        }
    )


def readings(session: Session, principal: Principal, rows: list[Reading], result: Reading | None) -> list[ReadingOut]:
    """Signed readings with the names of their people."""
    people = {row.reader for row in rows} | {row.confirmed_by for row in rows if row.confirmed_by}
    names = repository.names_of(session, people)
    return [reading(row, names, reader_of(principal), result) for row in rows]


def outcome(session: Session, principal: Principal, case: Case, found: Outcome) -> SignedOut:
    """What a signature led to."""
    result = turns.result(repository.signed(session, case.id))
    (shown,) = readings(session, principal, [found.reading], result)
    return SignedOut.model_validate(
        {
            "reading": shown,
            "outcome": found.kind,
            "reason": found.reason,
            "report_id": found.report.id if found.report else None,
        }
    )


def messages(session: Session, principal: Principal, rows: list[CaseMessage]) -> list[MessageOut]:
    """What was written, with the names of the authors."""
    names = repository.names_of(session, [row.author for row in rows])
    return [
        MessageOut(
            message_id=row.id,
            author=names.get(row.author, ""),
            mine=row.author == reader_of(principal),
            text=row.text,
            at=row.created_at,
        )
        for row in rows
    ]


def terms() -> TermList:
    """The vocabulary of the form."""
    items = [
        TermOut(
            code=term.code,
            group=term.group.value,
            category=term.category.value if term.category else None,
            snomed_ct=term.snomed_ct,
            words={language: catalogue(language)[f"signout.term.{term.code}"] for language in LANGUAGES},
        )
        for term in TERMS.values()
    ]
    return TermList(items=items, loinc=LOINC)


def _gravest(session: Session, standing: list[Mark]) -> str | None:
    agreed: dict[str, list[int]] = {}
    said = {mark.category for mark in standing if mark.category is not None and mark.kind not in (AGREE, DISMISS)}
    for mark in standing:
        if mark.kind == AGREE and mark.analysis_id is not None and mark.rank is not None:
            agreed.setdefault(mark.analysis_id, []).append(mark.rank)
    said |= repository.agreed_categories(session, agreed)
    graded = [category.value for category in GRAVITY if category.value in said]
    if graded:
        return graded[-1]
    if said:
        return Category.OTHER.value
    return Category.NILM.value if standing else None
