"""The Bethesda categories: the only place that names them, their order, groups and codes.

Source: The Bethesda System for Reporting Cervical Cytology, 3rd edition (2015). SNOMED CT codes are
the ones of docs/sign-out.md, "Codes".
"""

from __future__ import annotations

from enum import StrEnum


class Category(StrEnum):
    """A Bethesda category; the value is the text used in every file, API and report."""

    NILM = "NILM"
    ASC_US = "ASC-US"
    LSIL = "LSIL"
    ASC_H = "ASC-H"
    HSIL = "HSIL"
    SCC = "SCC"
    AGC = "AGC"
    AIS = "AIS"
    ADENOCARCINOMA = "adenocarcinoma"
    OTHER = "other"
    UNSATISFACTORY = "unsatisfactory"


AI_CATEGORIES: tuple[Category, ...] = (
    Category.NILM,
    Category.ASC_US,
    Category.LSIL,
    Category.ASC_H,
    Category.HSIL,
    Category.SCC,
)
"""What the network predicts, in the order of its output channels (increasing clinical gravity)."""

N_AI_CATEGORIES = len(AI_CATEGORIES)

AI_INDEX: dict[str, int] = {category.value: index for index, category in enumerate(AI_CATEGORIES)}
"""Channel of each predicted category by its text."""

THREE_GROUPS: tuple[int, ...] = (0, 1, 1, 2, 2, 2)
"""Group of each AI channel: 0 NILM | 1 ASC-US, LSIL | 2 ASC-H, HSIL, SCC."""

THREE_GROUP_NAMES: tuple[str, ...] = ("NILM", "ASC-US/LSIL", "ASC-H/HSIL/SCC")

HSIL_PLUS: tuple[int, ...] = (4, 5)
"""AI channels that count as HSIL or worse (HSIL, SCC)."""

ABNORMAL: tuple[int, ...] = (1, 2, 3, 4, 5)
"""AI channels that count as an epithelial abnormality."""

SNOMED_CT: dict[Category, str] = {
    Category.NILM: "373887005",
    Category.ASC_US: "441087007",
    Category.ASC_H: "441088002",
    Category.LSIL: "62051000119105",
    Category.HSIL: "62061000119107",
    Category.AGC: "441219009",
    Category.AIS: "51642000",
    Category.SCC: "1162767002",
    Category.ADENOCARCINOMA: "1187332001",
    Category.UNSATISFACTORY: "125154007",
}


GRAVITY: tuple[Category, ...] = (
    Category.NILM,
    Category.ASC_US,
    Category.LSIL,
    Category.ASC_H,
    Category.AGC,
    Category.HSIL,
    Category.AIS,
    Category.SCC,
    Category.ADENOCARCINOMA,
)
"""What a reader may find in a specimen that can be judged, the gravest last.

``OTHER`` has no place in it: Bethesda's "other" ranges from endometrial cells in an older woman to a sarcoma.
"""

STEP: dict[Category, int] = {
    Category.NILM: 0,
    Category.ASC_US: 1,
    Category.LSIL: 2,
    Category.ASC_H: 3,
    Category.AGC: 3,
    Category.HSIL: 4,
    Category.AIS: 4,
    Category.SCC: 5,
    Category.ADENOCARCINOMA: 5,
}
"""Where a category stands on the scale of the network's six, to say how far a reader and the network are apart."""

SECOND_READING: frozenset[Category] = frozenset(
    {Category.HSIL, Category.SCC, Category.AGC, Category.AIS, Category.ADENOCARCINOMA}
)
"""Results that a second pathologist reads too: HSIL or worse, and every glandular abnormality."""


def parse_ai_category(text: str) -> Category:
    """Return the predicted category written as ``text``.

    Raises:
        ValueError: ``text`` is not one of the six categories the network predicts.
    """
    if text not in AI_INDEX:
        known = ", ".join(AI_INDEX)
        raise ValueError(f"unknown category {text!r}: expected one of {known}")
    return Category(text)
