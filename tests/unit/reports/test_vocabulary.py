"""Every code in the source has the right check digit, and every term has its words in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tamsoat.datasets.categories import GRAVITY, SECOND_READING, SNOMED_CT, STEP, Category
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.vocabulary import LOINC, TERMS, Group, terms_of
from tamsoat.inference_service.web.messages import catalogue

SOURCE = Path(__file__).parents[3]
_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_P = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def verhoeff_fits(code: str) -> bool:
    """Verhoeff's check over the dihedral group D5, as SNOMED International's release format specifies it."""
    check = 0
    for position, digit in enumerate(reversed(code)):
        check = int(_D[check][int(_P[position % 8][int(digit)])])
    return check == 0


def mod_10_fits(code: str) -> bool:
    """LOINC's check digit: the digits at odd places from the right doubled as one number, the sum rounded up to ten."""
    number, _, check = code.partition("-")
    doubled = "".join(reversed(number))[::2][::-1]
    rest = "".join(reversed(number))[1::2]
    total = sum(map(int, str(int(doubled) * 2))) + sum(map(int, rest))
    return int(check) == -total % 10


def test_the_checks_know_codes_from_the_standards_and_refuse_altered_ones() -> None:
    assert verhoeff_fits("73211009")
    assert not verhoeff_fits("73211008")
    assert not verhoeff_fits("37211009")
    assert mod_10_fits("2951-2")
    assert not mod_10_fits("2951-3")


@pytest.mark.parametrize("code", sorted({*SNOMED_CT.values(), *(t.snomed_ct for t in TERMS.values() if t.snomed_ct)}))
def test_codes_of_snomed_ct_have_their_check_digit(code: str) -> None:
    assert verhoeff_fits(code)


@pytest.mark.parametrize("code", sorted(LOINC.values()))
def test_codes_of_loinc_have_their_check_digit(code: str) -> None:
    assert mod_10_fits(code)


def test_codes_anywhere_in_the_source_have_their_check_digit() -> None:
    loinc = re.compile(r"(?<![\w-])\d{4,5}-\d(?![\w-])")
    for path in (*SOURCE.glob("inference_service/reports/*.py"), SOURCE / "docs" / "sign-out.md"):
        for found in loinc.findall(path.read_text(encoding="utf-8")):
            assert mod_10_fits(found), f"{path.name}: {found}"


def test_no_code_stands_for_two_terms() -> None:
    codes = [term.snomed_ct for term in TERMS.values() if term.snomed_ct]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_term_has_its_words(language: str) -> None:
    texts = catalogue(language)
    missing = [code for code in TERMS if not texts.get(f"signout.term.{code}")]
    assert not missing


def test_categories_stand_in_the_order_of_the_scale() -> None:
    assert list(STEP) == list(GRAVITY)
    assert [STEP[category] for category in GRAVITY] == sorted(STEP.values())
    assert all(STEP[category] >= STEP[Category.ASC_H] for category in SECOND_READING)


def test_a_form_counts_as_its_gravest_finding() -> None:
    assert Form().category() is None
    assert Form(general="negative").category() is Category.NILM
    assert Form(findings=("lsil", "asc-h")).category() is Category.ASC_H
    assert Form(findings=("hsil", "agc")).category() is Category.HSIL
    assert Form(findings=("endometrial-cells",)).category() is Category.OTHER
    assert Form(findings=("endometrial-cells", "asc-us")).category() is Category.ASC_US
    assert Form(findings=("other-malignant", "hsil")).category() is Category.OTHER
    assert Form(adequacy="unsatisfactory").category() is Category.UNSATISFACTORY


def test_every_finding_has_a_category() -> None:
    for code in terms_of(Group.SQUAMOUS, Group.GLANDULAR, Group.OTHER):
        assert TERMS[code].category is not None
