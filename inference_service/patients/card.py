"""Reads the text of the QR code on a CCCD card: ``number|old number|name|ddMMyyyy|sex|address|ddMMyyyy of issue``.

Desk scanners act as keyboards. What they commonly do to the text is put right (newline at the end, symbology prefix,
decomposed or wrongly decoded Unicode, capital letters, a missing field of the old number); what cannot be put right
is refused with the reason, so that a person types instead of filing under a wrong name.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

from tamsoat.inference_service.patients.birth_date import birth_year, check_birth_date
from tamsoat.inference_service.patients.errors import CardUnreadableError, IdentifierInvalidError
from tamsoat.inference_service.patients.identifiers import Checked, System, check

LAYOUT = (
    "the keyboard layout changed what the scanner typed: switch Windows to the layout English (US), turn Unikey or "
    "EVKey off, and scan again"
)
_PREFIX = re.compile(r"^\][A-Za-z][0-9A-Za-z]")
_INVISIBLE = dict.fromkeys([*range(0x20), 0x7F, 0xFEFF, 0x200B, 0x200C, 0x200D, 0x2060])
_SEXES = {"nam": "male", "male": "male", "nu": "female", "female": "female"}
_FIELDS = 7


@dataclass(frozen=True)
class Card:
    """What the card says, ready for the form; ``national_id.warnings`` are to be confirmed."""

    national_id: Checked
    citizen_id: Checked | None
    name: str
    birth_date: str
    """``YYYY-MM-DD``, ``YYYY-MM`` or ``YYYY``."""
    sex: str
    """male, female, or unknown where the card does not say."""
    address: str
    issued_on: date | None


def read_card(text: str, today: date | None = None) -> Card:
    """The fields of a card.

    Raises:
        CardUnreadableError: it is not such a text, or the keyboard layout or the encoding damaged it. The detail
            says what to do and repeats nothing of the text.
    """
    fields = _split(text)
    number, old, name, born, sex, address, issued = fields[:_FIELDS]
    birth = _birth_date(born, today)
    gender = _sex(sex)
    try:
        national = check(System.NATIONAL_ID, number, sex=gender, birth_year=birth_year(birth), today=today)
        citizen = _old_number(old)
    except IdentifierInvalidError as error:
        raise CardUnreadableError(f"the number on the card is not a CCCD number; {LAYOUT}") from error
    return Card(national, citizen, _name(name), birth, gender, _plain(address), _issue_date(issued))


def _split(text: str) -> list[str]:
    cleaned = _decoded(text).translate({**_INVISIBLE, 0x0D: "\n", 0x0A: "\n", 0x09: " "}).strip()
    cleaned = _PREFIX.sub("", cleaned.split("\n", 1)[0].strip())
    fields = [unicodedata.normalize("NFC", part).strip() for part in cleaned.split("|")]
    if len(fields) == 1:
        raise CardUnreadableError(
            f"there is no | in the text: it is not the code on a CCCD card, or {LAYOUT}"
            if cleaned
            else "nothing was scanned"
        )
    if len(fields) == _FIELDS - 1 and not re.fullmatch(r"[0-9]*", fields[1]):
        fields.insert(1, "")
    if len(fields) < _FIELDS:
        raise CardUnreadableError("the code was cut off: a CCCD card has seven fields; scan it again")
    if re.search(r"[^0-9 ]", fields[0]):
        raise CardUnreadableError(f"the number on the card holds other characters than digits: {LAYOUT}")
    return fields


def _decoded(text: str) -> str:
    """Put right UTF-8 that the scanner took for Windows-1252 or Latin-1 (``Nguyá»…n``)."""
    try:
        return b"".join(_byte(letter) for letter in text).decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text


def _byte(letter: str) -> bytes:
    """The byte that Windows shows as ``letter``; five of them have no letter and stay as they are."""
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")


def _name(text: str) -> str:
    plain = _plain(text)
    if not plain or "\N{REPLACEMENT CHARACTER}" in plain or re.search(r"[?0-9]", plain):
        raise CardUnreadableError(
            "the letters of the name were lost: set the scanner to UTF-8 (Unicode) and the layout English (US), "
            "then scan again"
        )
    return plain.title() if plain.isupper() or plain.islower() else plain


def _sex(text: str) -> str:
    bare = "".join(letter for letter in unicodedata.normalize("NFD", text.casefold()) if letter.isascii())
    if bare.strip() and bare.strip() not in _SEXES:
        raise CardUnreadableError(f"the sex on the card is neither Nam nor Nữ: {LAYOUT}")
    return _SEXES.get(bare.strip(), "unknown")


def _birth_date(text: str, today: date | None) -> str:
    match = re.fullmatch(r"([0-9]{2})([0-9]{2})([0-9]{4})", text)
    if not match:
        raise CardUnreadableError(f"the birth date on the card is not eight digits: {LAYOUT}")
    day, month, year = match.groups()
    known = year if month == "00" else f"{year}-{month}" if day == "00" else f"{year}-{month}-{day}"
    try:
        return check_birth_date(known, today)
    except ValueError as error:
        raise CardUnreadableError("the birth date on the card cannot be; type the fields instead") from error


def _issue_date(text: str) -> date | None:
    match = re.fullmatch(r"([0-9]{2})([0-9]{2})([0-9]{4})", text)
    try:
        return date(int(match[3]), int(match[2]), int(match[1])) if match else None
    except ValueError:
        return None


def _old_number(text: str) -> Checked | None:
    """The CMND; an old number of 12 digits is an earlier CCCD and is not needed."""
    digits = re.sub(r"\s", "", text)
    if not digits or re.fullmatch(r"[0-9]{12}", digits):
        return None
    return check(System.CITIZEN_ID, digits)


def _plain(text: str) -> str:
    return " ".join(text.split())
