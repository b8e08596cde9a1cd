"""Identifiers: their forms, what they say, and which disagreements ask for a confirmation."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamsoat.inference_service.patients import identifiers
from tamsoat.inference_service.patients.birth_date import age_years, agree, check_birth_date, parts
from tamsoat.inference_service.patients.errors import IdentifierInvalidError
from tamsoat.inference_service.patients.identifiers import PROVINCE_CODES, System, Warn, check

TODAY = date(2026, 11, 22)
DIGIT = st.sampled_from("0123456789")
TEN = st.text(DIGIT, min_size=10, max_size=10)


@st.composite
def national_ids(draw: st.DrawFn) -> tuple[str, str, int]:
    """A number with the sex and birth year that it says."""
    sex = draw(st.sampled_from(["male", "female"]))
    year = draw(st.integers(1900, TODAY.year))
    fourth = 2 * ((year - 1900) // 100) + (sex == "female")
    tail = draw(st.text(DIGIT, min_size=6, max_size=6))
    return f"{draw(st.sampled_from(sorted(PROVINCE_CODES)))}{fourth}{year % 100:02d}{tail}", sex, year


def test_there_are_63_provinces_from_001_to_096() -> None:
    assert len(PROVINCE_CODES) == 63
    assert (min(PROVINCE_CODES), max(PROVINCE_CODES)) == ("001", "096")


@given(national_ids())
def test_number_that_agrees_gives_no_warning(case: tuple[str, str, int]) -> None:
    number, sex, year = case
    checked = check(System.NATIONAL_ID, number, sex=sex, birth_year=year, today=TODAY)
    assert checked == identifiers.Checked(System.NATIONAL_ID, number, number)
    said = identifiers.read_national_id(number)
    assert (said.sex, said.birth_year, said.province_code) == (sex, year, number[:3])


@given(national_ids(), st.sampled_from(["male", "female", "other", "unknown"]), st.none() | st.integers(1900, 2026))
def test_disagreement_warns_and_never_refuses(case: tuple[str, str, int], sex: str, year: int | None) -> None:
    number, said_sex, said_year = case
    warnings = check(System.NATIONAL_ID, number, sex=sex, birth_year=year, today=TODAY).warnings
    assert (Warn.SEX_DIFFERS in warnings) == (sex in ("male", "female") and sex != said_sex)
    assert (Warn.BIRTH_YEAR_DIFFERS in warnings) == (year is not None and year != said_year)


@given(st.text(DIGIT, min_size=12, max_size=12))
def test_every_twelve_digits_are_accepted(number: str) -> None:
    warnings = check(System.NATIONAL_ID, number, today=TODAY).warnings
    assert (Warn.PROVINCE_UNKNOWN in warnings) == (number[:3] not in PROVINCE_CODES)
    assert (Warn.BIRTH_YEAR_FUTURE in warnings) == (identifiers.read_national_id(number).birth_year > 2026)


@pytest.mark.parametrize(
    ("fourth", "sex", "century"),
    [(str(n), ("male", "female")[n % 2], 1900 + 100 * (n // 2)) for n in range(10)],
)
def test_fourth_digit_is_sex_and_century(fourth: str, sex: str, century: int) -> None:
    said = identifiers.read_national_id(f"079{fourth}90123456")
    assert (said.sex, said.birth_year) == (sex, century + 90)


@given(TEN, st.sampled_from(["GD4", "HC4", "TE1", "CA5", "QN5", "CY5", "DN4"]), st.sampled_from(["79", "01", "96"]))
def test_long_and_short_insurance_number_are_found_by_the_same_key(digits: str, group: str, province: str) -> None:
    long = check(System.INSURANCE, f"{group}{province}{digits}")
    short = check(System.INSURANCE, digits)
    assert long.key == short.key == digits
    assert long.value == f"{group}{province}{digits}"
    assert short.value == digits


@given(national_ids(), st.sampled_from([" ", "-", ".", "\u00a0", "‑"]))
def test_separators_and_wide_digits_do_not_matter(case: tuple[str, str, int], separator: str) -> None:
    number = case[0]
    typed = separator.join([number[:3], number[3:6], number[6:]])
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in number)
    assert check(System.NATIONAL_ID, typed, today=TODAY).value == number
    assert check(System.NATIONAL_ID, wide, today=TODAY).value == number


@pytest.mark.parametrize(
    ("system", "value"),
    [
        (System.NATIONAL_ID, "07919012345"),
        (System.NATIONAL_ID, "0791901234567"),
        (System.NATIONAL_ID, "07919012345A"),
        (System.NATIONAL_ID, "٠٧٩١٩٠١٢٣٤٥٦"),
        (System.CITIZEN_ID, "02345678"),
        (System.CITIZEN_ID, "079190123456"),
        (System.INSURANCE, "GD6791234567890"),
        (System.INSURANCE, "G14791234567890"),
        (System.INSURANCE, "GD479123456789"),
        (System.INSURANCE, "123456789"),
        (System.HOSPITAL, ""),
        (System.HOSPITAL, "a b\x00c"),
        (System.HOSPITAL, "<script>"),
        (System.HOSPITAL, "x" * 101),
        (System.PASSPORT, "C1"),
        (System.TEMPORARY, "079190123456"),
    ],
)
def test_wrong_forms_are_refused_without_being_repeated(system: System, value: str) -> None:
    with pytest.raises(IdentifierInvalidError) as caught:
        check(system, value)
    assert not value or value not in str(caught.value)


@given(st.sampled_from(list(System)), st.text(max_size=120))
def test_any_text_is_accepted_or_refused(system: System, value: str) -> None:
    try:
        checked = check(system, value, today=TODAY)
    except IdentifierInvalidError:
        return
    assert check(system, checked.value, today=TODAY) == checked


@given(st.dates(date(2026, 1, 1), date(2099, 12, 31)))
def test_a_temporary_number_never_looks_like_twelve_digits(today: date) -> None:
    number = identifiers.temporary(today)
    assert not re.search(r"[0-9]{12}", number.replace("-", ""))
    assert check(System.TEMPORARY, number).value == number


def test_uris_are_those_of_the_guide() -> None:
    assert System.NATIONAL_ID.uri == "http://fhir.ehealth.gov.vn/core/sid/national_id"
    assert System.HOSPITAL.uri == "http://fhir.ehealth.gov.vn/core/sid/patient-internal-id"
    assert System.TEMPORARY.uri.startswith("urn:")


@pytest.mark.parametrize(
    "text", ["1980-02-30", "1980-13", "80", "1879", "2026-11-23", "2027", "1980-5-3", "", "1980-00"]
)
def test_birth_dates_that_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|no such"):
        check_birth_date(text, TODAY)


@given(st.dates(date(1880, 1, 1), TODAY))
def test_birth_dates_of_any_precision(day: date) -> None:
    for known in parts(day.isoformat()):
        assert check_birth_date(known, TODAY) == known
        assert agree(known, day.isoformat())
        assert age_years(known, TODAY) in (TODAY.year - day.year, TODAY.year - day.year - 1)


def test_age_is_in_completed_years() -> None:
    assert age_years("1990-11-22", TODAY) == 36
    assert age_years("1990-11-23", TODAY) == 35
    assert age_years("1990", TODAY) == 36
    assert age_years(None, TODAY) is None
    assert age_years("2026-12-01", TODAY) is None
    assert not agree("1990", "1991-01-01")
    assert agree(None, "1991")
