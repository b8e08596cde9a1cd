"""What must hold before a reading is signed. The form asks live, signing enforces; both ask here.

Sources: the consistency rules of the FHIR profiles for cervical cytology (docs/sign-out.md, "Rules"), and The Bethesda
System for Reporting Cervical Cytology, 3rd edition: any abnormality makes a specimen satisfactory; organisms may be
named in a specimen that was examined and is unsatisfactory; endometrial cells are reported from 45 years on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.vocabulary import (
    ABNORMAL,
    ENDOMETRIAL_AGE_YEARS,
    ENDOMETRIAL_CELLS,
    EPITHELIAL,
    NEEDS_COMMENT,
    NEGATIVE,
    OTHER,
    OTHER_MALIGNANT,
    REJECTED,
    SATISFACTORY,
    TERMS,
    UNSATISFACTORY,
    Group,
)
from tamsoat.inference_service.web.messages import LANGUAGES, catalogue

LSIL_WITH_ASC_H = {"lsil", "asc-h"}
"""The one pair of squamous results that may stand together: LSIL, with few cells that suggest more."""
_SEVERAL = ("reasons", "quality", "findings", "organisms", "reactive", "recommendations")


@dataclass(frozen=True)
class Context:
    """What is known of the patient and the specimen. ``age_years`` at collection; None: not known."""

    age_years: int | None = None
    specimen_rejected: bool = False


@dataclass(frozen=True)
class Violation:
    """One broken rule; ``field`` is the field of the form where it is mended."""

    rule: str
    field: str

    def messages(self) -> dict[str, str]:
        """What is wrong and what to do, by language."""
        return {language: catalogue(language)[f"signout.rule.{self.rule}"] for language in LANGUAGES}


def violations(form: Form, context: Context) -> list[Violation]:
    """Every rule that ``form`` breaks, in the order of the form; empty: it may be signed."""
    return [found for rule in _RULES for found in rule(form, context)]


def _adequacy(form: Form, context: Context) -> Iterator[Violation]:
    if form.adequacy is None:
        yield Violation("adequacy-missing", "adequacy")
    if context.specimen_rejected and form.adequacy not in (None, REJECTED):
        yield Violation("specimen-was-rejected", "adequacy")
    groups = {TERMS[code].group for code in form.reasons}
    if form.adequacy == SATISFACTORY and groups:
        yield Violation("reason-though-satisfactory", "reasons")
    if form.adequacy in (UNSATISFACTORY, REJECTED) and not groups:
        yield Violation("reason-missing", "reasons")
    wrong = {UNSATISFACTORY: Group.REJECTED, REJECTED: Group.UNSATISFACTORY}.get(form.adequacy or "")
    if wrong in groups:
        yield Violation("reason-of-other-kind", "reasons")
    if form.adequacy in (UNSATISFACTORY, REJECTED) and form.quality:
        yield Violation("quality-though-not-satisfactory", "quality")


def _zone(form: Form, _context: Context) -> Iterator[Violation]:
    if form.adequacy == SATISFACTORY and form.zone is None:
        yield Violation("zone-missing", "zone")
    if form.adequacy == REJECTED and form.zone is not None:
        yield Violation("rejected-has-no-findings", "zone")


def _unjudged(form: Form, _context: Context) -> Iterator[Violation]:
    if form.adequacy not in (UNSATISFACTORY, REJECTED):
        return
    if form.general is not None:
        yield Violation("category-though-not-satisfactory", "general")
    if form.findings:
        yield Violation("finding-though-not-satisfactory", "findings")
    if form.adequacy == REJECTED:
        for field, chosen in (("organisms", form.organisms), ("reactive", form.reactive)):
            if chosen:
                yield Violation("rejected-has-no-findings", field)


def _category(form: Form, _context: Context) -> Iterator[Violation]:
    if form.adequacy == SATISFACTORY and form.general is None:
        yield Violation("category-missing", "general")
    abnormal = any(TERMS[code].group in EPITHELIAL for code in form.findings)
    if form.general == NEGATIVE and abnormal:
        yield Violation("negative-with-abnormality", "findings")
    if form.general == NEGATIVE and any(TERMS[code].group is Group.OTHER for code in form.findings):
        yield Violation("negative-with-other-finding", "general")
    if form.general == ABNORMAL and not abnormal:
        yield Violation("abnormal-without-abnormality", "findings")
    if form.general == OTHER and abnormal:
        yield Violation("other-with-abnormality", "general")
    if form.general == OTHER and not any(TERMS[code].group is Group.OTHER for code in form.findings):
        yield Violation("other-without-finding", "findings")


def _one_per_kind(form: Form, _context: Context) -> Iterator[Violation]:
    squamous = {code for code in form.findings if TERMS[code].group is Group.SQUAMOUS}
    if len(squamous) > 1 and squamous != LSIL_WITH_ASC_H:
        yield Violation("several-squamous", "findings")
    if len({code for code in form.findings if TERMS[code].group is Group.GLANDULAR}) > 1:
        yield Violation("several-glandular", "findings")


def _endometrial(form: Form, context: Context) -> Iterator[Violation]:
    if ENDOMETRIAL_CELLS not in form.findings:
        return
    if context.age_years is not None and context.age_years < ENDOMETRIAL_AGE_YEARS:
        yield Violation("endometrial-cells-under-45", "findings")
    if OTHER_MALIGNANT in form.findings:
        yield Violation("endometrial-cells-with-malignancy", "findings")


def _repeated(form: Form, _context: Context) -> Iterator[Violation]:
    for field in _SEVERAL:
        chosen = getattr(form, field)
        if len(set(chosen)) < len(chosen):
            yield Violation("chosen-twice", field)


def _comment(form: Form, _context: Context) -> Iterator[Violation]:
    if not form.comment.strip() and any(code in NEEDS_COMMENT for code in (*form.reasons, *form.findings)):
        yield Violation("comment-missing", "comment")


_RULES: tuple[Callable[[Form, Context], Iterator[Violation]], ...] = (
    _adequacy,
    _zone,
    _unjudged,
    _category,
    _one_per_kind,
    _endometrial,
    _repeated,
    _comment,
)
