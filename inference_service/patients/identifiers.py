"""The numbers that a patient is known by: their form, and what they say about sex and birth.

Pure: no database, no keys. Systems: vn-core draft of the Vietnamese FHIR guide; forms: QĐ on personal identity
numbers and on insurance cards, as docs/patients.md tells. A number that disagrees with the recorded sex or birth
year gives a warning, never an error: numbers are issued anew after corrections.
"""

from __future__ import annotations

import base64
import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tamsoat.inference_service.patients.errors import IdentifierInvalidError

SYSTEM_PREFIX = "http://fhir.ehealth.gov.vn/core/sid/"
OWN_PREFIX = "urn:tamsoat:sid:"

_CODES = (
    "001 002 004 006 008 010 011 012 014 015 017 019 020 022 024 025 026 027 030 031 033 034 035 036 037 038 040 042 "
    "044 045 046 048 049 051 052 054 056 058 060 062 064 066 067 068 070 072 074 075 077 079 080 082 083 084 086 087 "
    "089 091 092 093 094 095 096"
)
PROVINCE_CODES = frozenset(_CODES.split())
"""The 63 provinces of before 2025, whose codes stay in the numbers; births abroad carry codes of countries."""


class System(StrEnum):
    """Whose numbers these are; the value is the last part of the FHIR system."""

    NATIONAL_ID = "national_id"
    """CCCD, the personal identity number: 12 digits."""
    CITIZEN_ID = "citizen_id"
    """The old CMND: 9 digits."""
    INSURANCE = "insurance_number"
    """BHYT: 15 characters, or the 10 digits alone."""
    HOSPITAL = "patient-internal-id"
    """The number in the hospital's own system."""
    PASSPORT = "passport_number"
    TEMPORARY = "temporary"
    """Given here to a patient without any number."""

    @property
    def uri(self) -> str:
        """The FHIR identifier system."""
        return (OWN_PREFIX if self is System.TEMPORARY else SYSTEM_PREFIX) + self.value


class Warn(StrEnum):
    """What a person confirms before it is accepted."""

    PROVINCE_UNKNOWN = "national-id-province-unknown"
    SEX_DIFFERS = "national-id-sex-differs"
    BIRTH_YEAR_DIFFERS = "national-id-birth-year-differs"
    BIRTH_YEAR_FUTURE = "national-id-birth-year-future"
    SECOND_ACTIVE = "identifier-second-active"
    """The patient has another active identifier of a system of which people have one."""
    NAME_DIFFERS = "name-differs"
    BIRTH_DATE_DIFFERS = "birth-date-differs"
    RECORDED_SEX_DIFFERS = "sex-differs"


SINGLE = frozenset({System.NATIONAL_ID, System.CITIZEN_ID, System.INSURANCE, System.HOSPITAL})
"""Systems of which a person has one number at a time."""


@dataclass(frozen=True)
class NationalId:
    """What a CCCD number says.

    ``sex``: ``male`` or ``female``; ``birth_year``: four digits.
    """

    province_code: str
    sex: str
    birth_year: int


@dataclass(frozen=True)
class Checked:
    """An identifier of valid form: ``value`` as stored, ``key`` what it is found by, ``warnings`` to confirm."""

    system: System
    value: str
    key: str
    warnings: tuple[Warn, ...] = ()


_FORMS: dict[System, tuple[re.Pattern[str], str]] = {
    System.NATIONAL_ID: (re.compile(r"[0-9]{12}"), "a CCCD number has 12 digits"),
    System.CITIZEN_ID: (re.compile(r"[0-9]{9}"), "a CMND number has 9 digits; one of 12 digits is a national_id"),
    System.INSURANCE: (
        re.compile(r"(?:[A-Z]{2}[1-5][0-9]{2})?[0-9]{10}"),
        "a BHYT number is two letters, a digit 1 to 5, two digits of the province and ten digits, or the ten alone",
    ),
    System.HOSPITAL: (
        re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,98}[A-Za-z0-9])?"),
        "a hospital number has 1 to 100 letters, digits, and . _ / - inside",
    ),
    System.PASSPORT: (re.compile(r"[A-Z0-9]{5,12}"), "a passport number has 5 to 12 letters and digits"),
    System.TEMPORARY: (re.compile(r"TMP-[0-9]{8}-[A-Z2-7]{8}"), "a temporary number is one that was given here"),
}
_GROUPED = frozenset({System.NATIONAL_ID, System.CITIZEN_ID, System.INSURANCE, System.PASSPORT})
_INSURANCE_DIGITS = 10


def check(
    system: System, value: str, *, sex: str = "unknown", birth_year: int | None = None, today: date | None = None
) -> Checked:
    """The identifier in the form in which it is stored, with its warnings.

    Spaces, dots and hyphens between groups of digits are dropped, letters of cards and passports become capital.

    Args:
        sex: as recorded: female, male, other, unknown. birth_year: as recorded; None: unknown.

    Raises:
        IdentifierInvalidError: it does not have the form of its system. The text does not repeat it.
    """
    text = "".join(unicodedata.normalize("NFKC", value).split())
    if system in _GROUPED:
        text = re.sub(r"[.\-‐-–]", "", text).upper()
    elif system is System.TEMPORARY:
        text = text.upper()
    pattern, rule = _FORMS[system]
    if not pattern.fullmatch(text):
        raise IdentifierInvalidError(f"{system.value}: {rule}")
    key = text[-_INSURANCE_DIGITS:] if system is System.INSURANCE else text
    warnings = () if system is not System.NATIONAL_ID else _compare(text, sex, birth_year, today or date.today())
    return Checked(system, text, key, warnings)


def read_national_id(number: str) -> NationalId:
    """What the digits of a CCCD say: province, sex and century in the fourth, year in the fifth and sixth.

    Raises:
        IdentifierInvalidError: not 12 digits.
    """
    pattern, rule = _FORMS[System.NATIONAL_ID]
    if not pattern.fullmatch(number):
        raise IdentifierInvalidError(rule)
    century, sex = divmod(int(number[3]), 2)
    return NationalId(number[:3], ("male", "female")[sex], 1900 + 100 * century + int(number[4:6]))


def temporary(today: date | None = None) -> str:
    """A new number for a patient who has none: ``TMP-YYYYMMDD-XXXXXXXX``, never twelve digits, 40 random bits."""
    tail = base64.b32encode(secrets.token_bytes(5)).decode("ascii")
    return f"TMP-{(today or date.today()):%Y%m%d}-{tail}"


def _compare(number: str, sex: str, birth_year: int | None, today: date) -> tuple[Warn, ...]:
    said = read_national_id(number)
    found = {
        Warn.PROVINCE_UNKNOWN: said.province_code not in PROVINCE_CODES,
        Warn.SEX_DIFFERS: sex in ("male", "female") and said.sex != sex,
        Warn.BIRTH_YEAR_DIFFERS: birth_year is not None and said.birth_year != birth_year,
        Warn.BIRTH_YEAR_FUTURE: said.birth_year > today.year,
    }
    return tuple(warning for warning, holds in found.items() if holds)
