"""Which readings need a second reader, and the draw that nobody chooses."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamsoat.datasets.categories import AI_CATEGORIES, STEP, Category
from tamsoat.inference_service.db import encryption
from tamsoat.inference_service.db.keyring import open_keyring
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.second_reading import (
    AI_DISAGREES,
    DRAWN,
    GRAVE,
    MILLION,
    Rules,
    agree,
    draw_ppm,
    known_reason,
    reason,
    steps_apart,
)
from tamsoat.inference_service.reports.vocabulary import TERMS, Group, terms_of

NEGATIVE = Form(adequacy="satisfactory", general="negative")
NONE_DRAWN = Rules(0.0, 2)


def abnormal(code: str) -> Form:
    return Form(adequacy="satisfactory", general="abnormal", findings=(code,))


@pytest.mark.parametrize("code", terms_of(Group.SQUAMOUS, Group.GLANDULAR))
def test_grave_results_are_those_from_hsil_on_and_every_glandular_one(code: str) -> None:
    grave = TERMS[code].group is Group.GLANDULAR or TERMS[code].category in (Category.HSIL, Category.SCC)
    assert (known_reason(abnormal(code), None, NONE_DRAWN) == GRAVE) is grave


def test_another_malignancy_is_grave_and_endometrial_cells_are_not() -> None:
    assert known_reason(abnormal("other-malignant"), None, NONE_DRAWN) == GRAVE
    assert known_reason(abnormal("endometrial-cells"), None, NONE_DRAWN) is None


@given(st.sampled_from(AI_CATEGORIES), st.sampled_from(["asc-us", "lsil", "asc-h"]), st.integers(1, 6))
def test_distance_to_the_ai_decides(ai: Category, code: str, steps: int) -> None:
    form = abnormal(code)
    apart = abs(STEP[Category(form.category() or "")] - STEP[ai])
    assert steps_apart(form, ai.value) == apart
    assert (known_reason(form, ai.value, Rules(0.0, steps)) == AI_DISAGREES) is (apart >= steps)


def test_an_unsatisfactory_specimen_in_which_the_ai_saw_a_lesion_is_read_again() -> None:
    unsatisfactory = Form(adequacy="unsatisfactory", reasons=("scant-cells",))
    assert known_reason(unsatisfactory, "HSIL", NONE_DRAWN) == AI_DISAGREES
    assert known_reason(unsatisfactory, "NILM", NONE_DRAWN) is None


def test_the_draw_is_fixed_for_a_case_and_takes_the_share_it_should(tmp_path: Path) -> None:
    encryption.install(open_keyring(tmp_path / "keys.json"))
    cases = [str(uuid.UUID(int=number)) for number in range(4000)]
    lots = [draw_ppm(case) for case in cases]
    assert lots == [draw_ppm(case) for case in cases]
    assert all(0 <= lot < MILLION for lot in lots)
    drawn = [case for case in cases if reason(NEGATIVE, "NILM", Rules(0.1, 2), case) == DRAWN]
    assert 305 < len(drawn) < 495, "0.1 of 4,000, within five standard deviations"
    assert all(reason(NEGATIVE, "NILM", Rules(1.0, 2), case) == DRAWN for case in cases)
    assert not any(reason(NEGATIVE, "NILM", Rules(0.0, 2), case) for case in cases)
    assert not any(reason(abnormal("asc-us"), None, Rules(1.0, 2), case) for case in cases)


def test_readings_agree_by_their_category() -> None:
    assert agree(NEGATIVE, NEGATIVE.model_copy(update={"organisms": ("candida",)}))
    assert not agree(NEGATIVE, abnormal("asc-us"))
