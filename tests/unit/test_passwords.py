"""Which passwords are accepted, and how they are kept."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamsoat.inference_service.accounts import passwords
from tamsoat.inference_service.settings import Settings

KNOWN = ("lan.nguyen", "Nguyễn Thị Lan", "Bệnh viện Từ Dũ")
CHEAP = Settings(password_memory_mib=8, password_passes=1)
GUESSABLE = [
    "password12345678",
    "P@ssw0rd P@ssw0rd",
    "Matkhau123456!",
    "aaaaaaaaaaaaaaaa",
    "abcabcabcabcabcabc",
    "1234567890123456",
    "qwertyuiopasdfgh",
    "poiuytrewq098765",
    "lan.nguyen2024!!",
    "nguyenthilan2024",
    "NGUYỄN THỊ LAN 12",
    "BenhVienTuDu2024",
    "bệnh viện từ dũ 1",
    "Summer2024Summer",
    "vietnamvietnam12",
    "correcthorsebatterystaple",
]
GOOD = [
    "con mèo ngồi hát ca trù",
    "xkcd-7fhq-93ks-bq2m",
    "sông Hương chảy êm đềm",
    "kẹo lạc, xe đạp, mưa rào",
    "🐈🌙🍜🚲🎋🌾🦆🎏🪁🧵🏮🛶🪷🥁",
]


@pytest.mark.parametrize("password", GUESSABLE)
def test_what_attackers_try_first_is_refused(password: str) -> None:
    with pytest.raises(passwords.WeakPasswordError, match="easy to guess"):
        passwords.check_rules(password, second_factor=True, known=KNOWN)


@pytest.mark.parametrize("password", GOOD)
def test_good_passwords_need_no_kinds_of_characters(password: str) -> None:
    passwords.check_rules(password, second_factor=False, known=KNOWN)


@given(st.text(st.characters(min_codepoint=0x61, max_codepoint=0x2FF), min_size=0, max_size=13))
def test_length_is_fourteen_alone_and_twelve_with_a_second_factor(password: str) -> None:
    length = len(passwords.normalise(password))
    with pytest.raises(passwords.WeakPasswordError):
        passwords.check_rules(password, second_factor=False, known=())
    if length < 12:
        with pytest.raises(passwords.WeakPasswordError, match="at least 12"):
            passwords.check_rules(password, second_factor=True, known=())


def test_the_limits_are_exact() -> None:
    letters = "bxkwqzjvfmhdyg"
    passwords.check_rules(letters, second_factor=False, known=())
    passwords.check_rules(letters[:12], second_factor=True, known=())
    for text, strong in ((letters[:13], False), (letters[:11], True)):
        with pytest.raises(passwords.WeakPasswordError, match="at least"):
            passwords.check_rules(text, second_factor=strong, known=())
    passwords.check_rules((letters * 20)[:200] + "unrelated words 81", second_factor=False, known=())
    with pytest.raises(passwords.WeakPasswordError, match="at most 256"):
        passwords.check_rules("x" * 257, second_factor=False, known=())


@given(st.text(max_size=300), st.lists(st.text(max_size=40), max_size=3))
def test_any_text_is_judged_without_a_fault(password: str, known: list[str]) -> None:
    assert 0 <= passwords.unpredictable(password, known) <= len(passwords.fold(password))


def test_passwords_are_never_cut_and_keyboards_do_not_matter() -> None:
    hasher = passwords.Hasher(8, 1, 2)
    long = "kẹo lạc " * 30
    stored = hasher.hash(long)
    assert stored.startswith("$argon2id$v=19$m=8192,t=1,p=4$")
    assert hasher.verify(stored, unicodedata.normalize("NFD", long))
    assert not hasher.verify(stored, long[:-1])
    assert not hasher.verify(stored, long + " ")
    assert not hasher.verify(None, long)
    assert not hasher.verify("not a hash", long)


def test_hashes_follow_the_settings() -> None:
    stored = passwords.Hasher(8, 1, 2).hash("whatever")
    assert passwords.Hasher(8, 2, 2).is_outdated(stored)
    assert not passwords.hasher(CHEAP).is_outdated(stored)
    assert passwords.hasher(CHEAP) is passwords.hasher(CHEAP)


def test_one_time_passwords_differ_and_are_accepted() -> None:
    made = {passwords.one_time_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert len(password) == 23


def test_few_passwords_wait_for_their_turn_and_others_are_told_to_come_again() -> None:
    hasher = passwords.Hasher(8, 1, 1)
    stored = hasher.hash("whatever")
    places = 1 + passwords.MOST_WAITING
    for _ in range(places):
        hasher._places.acquire()
    with pytest.raises(passwords.SignInBusyError):
        hasher.verify(stored, "whatever")
    for _ in range(places):
        hasher._places.release()
    assert hasher.verify(stored, "whatever")
