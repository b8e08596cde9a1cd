"""What a reader says: the Bethesda form. Immutable; every code in it is a term of :mod:`.vocabulary`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tamsoat.datasets.categories import GRAVITY, Category
from tamsoat.inference_service.reports.vocabulary import NEGATIVE, REJECTED, TERMS, UNSATISFACTORY, Group, terms_of
from tamsoat.inference_service.transport.text import Text

COMMENT_LENGTH = 2000
MOST_TERMS = 12
"""In one answer: more than any question has terms."""
FORM_EXAMPLE: dict[str, Any] = {
    "adequacy": "satisfactory",
    "reasons": [],
    "quality": ["partly-obscured-blood"],
    "zone": "zone-present",
    "general": "abnormal",
    "findings": ["hsil"],
    "organisms": ["candida"],
    "reactive": [],
    "recommendations": ["colposcopy-biopsy-curettage"],
    "comment": "",
}


def _code_of(*groups: Group) -> AfterValidator:
    """A validator that accepts the terms of ``groups`` alone."""
    known = frozenset(terms_of(*groups))

    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"is not a term of {' or '.join(groups)}; see GET /api/v1/reporting-terms")
        return value

    return AfterValidator(check)


_Code = Annotated[str, Field(max_length=64)]
_Several = Field(default=(), max_length=MOST_TERMS)


class Form(BaseModel):
    """One reading. Nothing is filled in beforehand; what contradicts itself is said by :mod:`.consistency`."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [FORM_EXAMPLE]})

    adequacy: Annotated[_Code, _code_of(Group.ADEQUACY)] | None = Field(
        default=None, description="satisfactory, unsatisfactory or rejected; null: not said yet"
    )
    reasons: tuple[Annotated[_Code, _code_of(Group.UNSATISFACTORY, Group.REJECTED)], ...] = _Several
    quality: tuple[Annotated[_Code, _code_of(Group.QUALITY)], ...] = _Several
    zone: Annotated[_Code, _code_of(Group.ZONE)] | None = Field(
        default=None, description="Endocervical cells or transformation zone"
    )
    general: Annotated[_Code, _code_of(Group.GENERAL)] | None = Field(
        default=None, description="negative, abnormal or other; null: not said yet, or the specimen cannot be judged"
    )
    findings: tuple[Annotated[_Code, _code_of(Group.SQUAMOUS, Group.GLANDULAR, Group.OTHER)], ...] = _Several
    organisms: tuple[Annotated[_Code, _code_of(Group.ORGANISM)], ...] = _Several
    reactive: tuple[Annotated[_Code, _code_of(Group.REACTIVE)], ...] = _Several
    recommendations: tuple[Annotated[_Code, _code_of(Group.RECOMMENDATION)], ...] = _Several
    comment: Annotated[Text, Field(max_length=COMMENT_LENGTH)] = ""

    def codes(self) -> list[str]:
        """Every code of the form, in the order of its fields."""
        single = [code for code in (self.adequacy, self.zone, self.general) if code]
        many = (self.reasons, self.quality, self.findings, self.organisms, self.reactive, self.recommendations)
        return [*single, *(code for field in many for code in field)]

    def category(self) -> Category | None:
        """What the whole specimen counts as: the gravest finding; None where the form does not say yet.

        A malignancy other than carcinoma counts as ``other``, whatever stands beside it; endometrial cells do only
        where nothing else was found.
        """
        if self.adequacy in (UNSATISFACTORY, REJECTED):
            return Category.UNSATISFACTORY
        found = {TERMS[code].category for code in self.findings}
        graded = [category for category in GRAVITY if category in found]
        if Category.OTHER in found and (not graded or "other-malignant" in self.findings):
            return Category.OTHER
        if graded:
            return graded[-1]
        return Category.NILM if self.general == NEGATIVE else None
