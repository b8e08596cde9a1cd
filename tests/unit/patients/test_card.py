"""The text of a CCCD card's QR code, as desk scanners hand it over."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamsoat.inference_service.patients.card import read_card
from tamsoat.inference_service.patients.errors import CardUnreadableError
from tamsoat.inference_service.patients.identifiers import Warn

TODAY = date(2026, 11, 22)
TEXT = (
    "079190001234|023456789|Nguyễn Thị Hoà Đào|03051990|Nữ|12 Lê Lợi, Phường Bến Nghé, Quận 1, TP. Hồ Chí Minh|01062021"
)


def test_a_good_card() -> None:
    card = read_card(TEXT, TODAY)
    assert card.national_id.value == "079190001234"
    assert card.national_id.warnings == ()
    assert card.citizen_id is not None
    assert card.citizen_id.value == "023456789"
    assert (card.name, card.birth_date, card.sex) == ("Nguyễn Thị Hoà Đào", "1990-05-03", "female")
    assert card.address.startswith("12 Lê Lợi")
    assert card.issued_on == date(2021, 6, 1)


def _mojibake(text: str) -> str:
    return "".join(
        bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in unicodedata.normalize("NFC", text).encode()
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + "\r\n",
        lambda text: "\ufeff" + text + "\n\n",
        lambda text: "]Q1" + text,
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: unicodedata.normalize("NFKD", text) + "\t",
        lambda text: text.replace("Nguyễn Thị Hoà Đào", "NGUYỄN THỊ HOÀ ĐÀO").replace("Nữ", "NỮ"),
        lambda text: text.replace("Nguyễn Thị Hoà Đào", "  nguyễn  thị hoà đào "),
        lambda text: text.replace("|", " | "),
        lambda text: text + "||Nguyễn Văn Cha|Lê Thị Mẹ",
        _mojibake,
    ],
)
def test_what_scanners_do_to_it_is_put_right(spoil) -> None:  # type: ignore[no-untyped-def]
    card = read_card(spoil(TEXT), TODAY)
    assert (card.name, card.birth_date, card.sex) == ("Nguyễn Thị Hoà Đào", "1990-05-03", "female")
    assert card.national_id.value == "079190001234"
    assert card.issued_on == date(2021, 6, 1)


@pytest.mark.parametrize("text", [TEXT.replace("023456789", ""), TEXT.replace("023456789|", "")])
def test_without_an_old_number(text: str) -> None:
    card = read_card(text, TODAY)
    assert card.citizen_id is None
    assert card.name == "Nguyễn Thị Hoà Đào"


@pytest.mark.parametrize(("born", "known"), [("00051990", "1990-05"), ("00001990", "1990"), ("29021992", "1992-02-29")])
def test_unknown_parts_of_the_birth_date(born: str, known: str) -> None:
    assert read_card(TEXT.replace("03051990", born), TODAY).birth_date == known


def test_a_number_that_disagrees_is_a_warning() -> None:
    card = read_card(TEXT.replace("|Nữ|", "|Nam|").replace("03051990", "03051985"), TODAY)
    assert set(card.national_id.warnings) == {Warn.SEX_DIFFERS, Warn.BIRTH_YEAR_DIFFERS}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing was scanned"),
        ("\n", "nothing was scanned"),
        ("https://example.org", "no |"),
        (TEXT.replace("|", "~"), "keyboard layout"),
        (TEXT.replace("079190001234", "à-ç&çàààé'"), "keyboard layout"),
        (TEXT.replace("079190001234", "đ̉ẵăđđđăâêô"), "keyboard layout"),
        (TEXT.replace("03051990", "03/05/1990"), "keyboard layout"),
        (TEXT.replace("Nguyễn Thị Hoà Đào", "Nguy?n Th? Hoà ?ào"), "UTF-8"),
        (TEXT.replace("Nguyễn", "Nguy\ufffdn"), "UTF-8"),
        (TEXT.replace("03051990", "31021990"), "cannot be"),
        (TEXT.replace("03051990", "03052090"), "cannot be"),
        (TEXT.replace("079190001234", "0791900012"), "CCCD"),
        (TEXT.replace("|Nữ|", "|Nu74|"), "neither Nam nor"),
        (TEXT[:40], "cut off"),
    ],
)
def test_what_cannot_be_put_right_is_said(text: str, says: str) -> None:
    with pytest.raises(CardUnreadableError, match=says.replace("|", r"\|")) as caught:
        read_card(text, TODAY)
    assert "Nguy" not in str(caught.value)


@given(st.text(max_size=200) | st.lists(st.text(max_size=30), min_size=6, max_size=9).map("|".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        card = read_card(text, TODAY)
    except CardUnreadableError:
        return
    assert card.name


NAMES = st.text(st.sampled_from("aăâbcdđeêghiklmnoôơpqrstuưvxyáàảãạấầẩẫậắằẳẵặéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộúùủũụứừửữựýỳỷỹỵ"),
                min_size=2, max_size=8).map(str.capitalize)  # fmt: skip


@given(
    st.lists(NAMES, min_size=2, max_size=5),
    st.dates(date(1900, 1, 1), TODAY),
    st.sampled_from(["NFC", "NFD"]),
    st.booleans(),
    st.booleans(),
)
def test_round_trip(words: list[str], born: date, form: str, capitals: bool, garbled: bool) -> None:
    name = " ".join(words)
    shown = name.upper() if capitals else name
    fourth = 2 * ((born.year - 1900) // 100) + 1
    text = f"001{fourth}{born.year % 100:02d}123456||{shown}|{born:%d%m%Y}|Nữ|Hà Nội|01062021"
    text = _mojibake(text) if garbled else unicodedata.normalize(form, text)  # type: ignore[arg-type]
    card = read_card(text, TODAY)
    assert card.name == name
    assert card.birth_date == born.isoformat()
    assert card.national_id.warnings == ()
