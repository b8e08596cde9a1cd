"""Verification codes: unguessable, and read as people type them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tamsoat.inference_service.reports import codes
from tamsoat.inference_service.reports.gathering import masked


def test_a_code_is_128_random_bits_without_letters_that_are_mistaken() -> None:
    made = {codes.make() for _ in range(2000)}
    assert len(made) == 2000
    assert all(len(code) == codes.LENGTH and set(code) <= set(codes.ALPHABET) for code in made)
    assert not {"I", "L", "O", "U"} & set(codes.ALPHABET)
    assert {code[0] for code in made} == set("01234567")  # 130 bits of text hold 128


@given(st.text(alphabet=codes.ALPHABET, min_size=codes.LENGTH, max_size=codes.LENGTH))
def test_a_code_is_read_however_it_is_typed(code: str) -> None:
    assert codes.read(codes.grouped(code)) == code
    assert codes.read(f"  {code.lower()} ") == code
    assert codes.read(code.replace("0", "O").replace("1", "l")) == code


@given(st.text(max_size=80))
def test_anything_else_is_no_code_and_never_fails(text: str) -> None:
    found = codes.read(text)
    assert found is None or len(codes.lookup_hash(found)) == 64


def test_numbers_of_the_state_are_masked() -> None:
    assert masked("national_id", "079184004821") == "••••••••4821"
    assert masked("patient-internal-id", "NA-1") == "NA-1"
    assert masked("passport_number", "B12") == "••2"
