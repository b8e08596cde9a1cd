"""The terms of a Bethesda report, by group, with the codes that are known for them.

Source: The Bethesda System for Reporting Cervical Cytology, 3rd edition (2015). The words of a term, Vietnamese and
English, are the texts ``signout.term.<code>`` of the web catalogues. SNOMED CT and LOINC codes: docs/sign-out.md,
"Codes"; a term without a code there has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tamsoat.datasets.categories import SNOMED_CT, Category

ENDOMETRIAL_AGE_YEARS = 45
"""From this age on endometrial cells are reported (Bethesda, 3rd edition, chapter 3)."""


class Group(StrEnum):
    """A question of the form; the value is the name of its field, but for the parts of ``reasons`` and ``findings``."""

    ADEQUACY = "adequacy"
    UNSATISFACTORY = "unsatisfactory"
    REJECTED = "rejected"
    QUALITY = "quality"
    ZONE = "zone"
    GENERAL = "general"
    SQUAMOUS = "squamous"
    GLANDULAR = "glandular"
    OTHER = "other"
    ORGANISM = "organism"
    REACTIVE = "reactive"
    RECOMMENDATION = "recommendation"


@dataclass(frozen=True)
class Term:
    """One term. ``category``: what a specimen with it counts as; None: it decides nothing."""

    code: str
    group: Group
    snomed_ct: str | None = None
    category: Category | None = None


SATISFACTORY, UNSATISFACTORY, REJECTED = "satisfactory", "unsatisfactory", "rejected"
NEGATIVE, ABNORMAL, OTHER = "negative", "abnormal", "other"
ENDOMETRIAL_CELLS, OTHER_MALIGNANT = "endometrial-cells", "other-malignant"
ZONE_PRESENT = "zone-present"


def _of(group: Group, *codes: str | tuple[str, str | None]) -> list[Term]:
    return [Term(item, group) if isinstance(item, str) else Term(item[0], group, item[1]) for item in codes]


def _finding(group: Group, code: str, category: Category, snomed_ct: str | None = None) -> Term:
    return Term(code, group, snomed_ct, category)


_TERMS: list[Term] = [
    *_of(
        Group.ADEQUACY,
        (SATISFACTORY, "125152006"),
        (UNSATISFACTORY, SNOMED_CT[Category.UNSATISFACTORY]),
        (REJECTED, "373880007"),
    ),
    *_of(
        Group.UNSATISFACTORY,
        ("scant-cells", "125161006"),
        ("obscured-blood", "123836007"),
        ("obscured-inflammation", "123837003"),
        ("air-drying", "125162004"),
        "thick-areas",
        "contaminated",
        "unsatisfactory-other",
    ),
    *_of(Group.REJECTED, "unlabelled", "label-mismatch", "broken", "leaked", "empty", "rejected-other"),
    *_of(
        Group.QUALITY,
        "partly-obscured-blood",
        "partly-obscured-inflammation",
        "partly-air-dried",
        "partly-thick",
        "few-cells",
        "cytolysis",
    ),
    *_of(
        Group.ZONE,
        ZONE_PRESENT,
        ("no-endocervical-cells", "50110003"),
        ("no-transformation-zone", "412716005"),
        "zone-not-applicable",
    ),
    *_of(Group.GENERAL, (NEGATIVE, SNOMED_CT[Category.NILM]), ABNORMAL, OTHER),
    _finding(Group.SQUAMOUS, "asc-us", Category.ASC_US, SNOMED_CT[Category.ASC_US]),
    _finding(Group.SQUAMOUS, "asc-h", Category.ASC_H, SNOMED_CT[Category.ASC_H]),
    _finding(Group.SQUAMOUS, "lsil", Category.LSIL, SNOMED_CT[Category.LSIL]),
    _finding(Group.SQUAMOUS, "hsil", Category.HSIL, SNOMED_CT[Category.HSIL]),
    _finding(Group.SQUAMOUS, "hsil-invasion", Category.HSIL),
    _finding(Group.SQUAMOUS, "scc", Category.SCC, SNOMED_CT[Category.SCC]),
    _finding(Group.GLANDULAR, "agc-endocervical", Category.AGC, "441094005"),
    _finding(Group.GLANDULAR, "agc-endometrial", Category.AGC, "103646000"),
    _finding(Group.GLANDULAR, "agc", Category.AGC, SNOMED_CT[Category.AGC]),
    _finding(Group.GLANDULAR, "agc-endocervical-neoplastic", Category.AGC, "373882004"),
    _finding(Group.GLANDULAR, "agc-neoplastic", Category.AGC, "373883009"),
    _finding(Group.GLANDULAR, "ais", Category.AIS, SNOMED_CT[Category.AIS]),
    _finding(Group.GLANDULAR, "adenocarcinoma-endocervical", Category.ADENOCARCINOMA),
    _finding(Group.GLANDULAR, "adenocarcinoma-endometrial", Category.ADENOCARCINOMA),
    _finding(Group.GLANDULAR, "adenocarcinoma-extrauterine", Category.ADENOCARCINOMA),
    _finding(Group.GLANDULAR, "adenocarcinoma", Category.ADENOCARCINOMA, SNOMED_CT[Category.ADENOCARCINOMA]),
    _finding(Group.OTHER, ENDOMETRIAL_CELLS, Category.OTHER, "373885002"),
    _finding(Group.OTHER, OTHER_MALIGNANT, Category.OTHER),
    *_of(
        Group.ORGANISM,
        ("trichomonas", "168417005"),
        ("candida", "168418000"),
        "bacterial-vaginosis",
        ("actinomyces", "168422005"),
        ("herpes", "373875003"),
        "cytomegalovirus",
    ),
    *_of(
        Group.REACTIVE,
        "reactive-inflammation",
        "reactive-radiation",
        "reactive-device",
        "lymphocytic-cervicitis",
        "squamous-metaplasia",
        "keratotic-changes",
        "tubal-metaplasia",
        "atrophy",
        "pregnancy-changes",
        "glandular-after-hysterectomy",
    ),
    *_of(
        Group.RECOMMENDATION,
        "routine-screening",
        "repeat-12-months",
        "repeat-unsatisfactory",
        "treat-and-repeat",
        "hpv-test",
        "colposcopy",
        "colposcopy-biopsy-curettage",
        "endometrial-sampling",
        "refer-oncology",
        "clinical-correlation",
    ),
]

TERMS: dict[str, Term] = {term.code: term for term in _TERMS}
"""Every term by its code, in the order of the form."""
EPITHELIAL = (Group.SQUAMOUS, Group.GLANDULAR)
NEEDS_COMMENT = ("unsatisfactory-other", "rejected-other", OTHER_MALIGNANT)
"""Terms that say nothing without words of the reader."""

LOINC: dict[str, str] = {
    "report": "33717-0",
    "report-conventional": "47528-5",
    "report-liquid-based": "47527-7",
    "observation": "10524-7",
    "observation-liquid-based": "18500-9",
    "general": "19762-4",
    "adequacy": "19764-0",
    "interpretation": "19765-7",
    "interpretation-narrative": "19766-5",
    "specimen-source": "19763-2",
    "cytologist": "19767-3",
    "pathologist": "19769-9",
    "recommendation": "19773-1",
    "comment": "19774-9",
    "hpv": "21440-3",
    "histology": "65753-6",
}
"""What each part of the report is called in LOINC."""


def terms_of(*groups: Group) -> tuple[str, ...]:
    """The codes of some groups, in the order of the form."""
    return tuple(code for code, term in TERMS.items() if term.group in groups)
