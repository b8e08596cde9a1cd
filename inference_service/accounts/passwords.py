"""Passwords: which are accepted, how they are stored (Argon2id), how one is checked."""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.settings import Settings

MIN_ALONE = 14
"""Least characters where the password is the only proof (information-security level 3)."""
MIN_WITH_SECOND_FACTOR = 12
MOST_CHARACTERS = 256
"""Longer ones are refused, never cut."""
LEAST_UNPREDICTABLE = 6
"""Characters that must remain once everything that an attacker tries first is taken out."""
LANES = 4
MOST_WAITING = 12
"""Passwords that may wait for their turn to be checked, in one process."""
ONE_TIME_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
ONE_TIME_GROUPS = 4

COMMON = re.findall(
    r"\w+",
    """
    password passwd passphrase matkhau qwerty qwertz azerty asdfgh zxcvbn letmein welcome iloveyou monkey dragon
    football princess sunshine master superman trustno test guest user root admin administrator quantri changeme
    secret default login system service computer internet google facebook zalo samsung vietnam viettel vinaphone
    mobifone saigon hanoi danang haiphong cantho benhvien bacsi phongkham yteso soyte tamsoat hospital doctor
    pathology pathologist cytology giaiphaubenh xetnghiem khoaxn anhyeuem emyeuanh yeuem yeuanh khongbiet
    january february march april june july august september october november december summer winter spring
    autumn monday tuesday wednesday thursday friday saturday sunday correcthorsebatterystaple
    """,
)
"""Folded words that lists of leaked passwords are full of, in Vietnamese and English."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "abcdefghijklmnopqrstuvwxyz")
_LEET = str.maketrans("0134578@$!", "oieastbasi")


class WeakPasswordError(TamsoatError):
    """The password is too short, too long, or easy to guess."""

    status = 422
    title = "Password not accepted"
    slug = "password-weak"
    exit_code = EXIT_USAGE


class SignInBusyError(TamsoatError):
    """So many passwords are being checked that this one would have to wait too long."""

    status = 503
    title = "Too many sign-ins at once"
    slug = "sign-in-busy"


def normalise(password: str) -> str:
    """One form for what different keyboards send for the same letters (NFC); nothing is cut or trimmed."""
    return unicodedata.normalize("NFC", password)


def check_rules(password: str, *, second_factor: bool, known: Iterable[str]) -> None:
    """Accept ``password`` or say why not; no rule asks for kinds of characters.

    Args:
        second_factor: whether the account has, or must have, a second factor.
        known: what others know about the person: names of the account and of the facility.

    Raises:
        WeakPasswordError: fewer than 12 characters (14 without a second factor), more than 256, or predictable.
    """
    text = normalise(password)
    least = MIN_WITH_SECOND_FACTOR if second_factor else MIN_ALONE
    if len(text) < least:
        raise WeakPasswordError(f"a password needs at least {least} characters; several words are easy to remember")
    if len(text) > MOST_CHARACTERS:
        raise WeakPasswordError(f"a password may have at most {MOST_CHARACTERS} characters")
    if unpredictable(text, known) < LEAST_UNPREDICTABLE:
        raise WeakPasswordError(
            "this password is easy to guess: it is made of a name, a common word, a sequence or a repetition; "
            "use several unrelated words"
        )


def unpredictable(password: str, known: Iterable[str]) -> int:
    """How many different characters are left without names, common words, sequences and repetitions."""
    words = {part for name in known for part in re.findall(r"[^\W_]{3,}", fold(name))}
    words |= {fold(name).replace(" ", "") for name in known if len(name) >= 3}
    plain = fold(password).replace(" ", "")
    rest = [_without(text, {*words, *COMMON}) for text in (plain, plain.translate(_LEET))]
    return min(len(set(text)) for text in rest)


def fold(text: str) -> str:
    """Lower case without diacritics."""
    parts = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d"))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _without(text: str, words: Iterable[str]) -> str:
    for word in sorted(words, key=lambda word: (-len(word), word)):
        text = text.replace(word, "\n")
    text = re.sub(r"(.{1,6}?)\1+", r"\1", text)
    return _without_sequences(text).replace("\n", "")


def _without_sequences(text: str) -> str:
    """``text`` with every run of three or more neighbours of the alphabet, the digits or the keyboard made one."""
    pairs = {pair for row in (*_ROWS, *(row[::-1] for row in _ROWS)) for pair in pairwise(row)}
    kept: list[str] = []
    run = 1
    for index, letter in enumerate(text):
        run = run + 1 if index and (text[index - 1], letter) in pairs else 1
        if run == 3:
            kept.pop()
        if run < 3:
            kept.append(letter)
    return "".join(kept)


def one_time_password() -> str:
    """A random password of four groups of five characters (about 99 bits) to read out or write down once."""
    groups = ("".join(secrets.choice(ONE_TIME_ALPHABET) for _ in range(5)) for _ in range(ONE_TIME_GROUPS))
    return "-".join(groups)


class Hasher:
    """Argon2id with the parameters of the settings (RFC 9106).

    Few run at once, because each takes much memory, and few wait, because each that waits holds a thread which other
    requests need; :meth:`hash` and :meth:`verify` raise SignInBusyError for any more.
    """

    def __init__(self, memory_mib: int, passes: int, checks: int) -> None:
        self._argon2 = PasswordHasher(
            time_cost=passes,
            memory_cost=memory_mib * 1024,
            parallelism=LANES,
            type=Type.ID,
        )
        self._turns = threading.BoundedSemaphore(checks)
        self._places = threading.BoundedSemaphore(checks + MOST_WAITING)
        self._dummy = self.hash(secrets.token_urlsafe(16))

    def hash(self, password: str) -> str:
        """The PHC string to store."""
        with self._turn():
            return self._argon2.hash(normalise(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the one behind ``stored``; takes as long where nothing is stored."""
        with self._turn():
            try:
                self._argon2.verify(stored or self._dummy, normalise(password))
            except (VerificationError, InvalidHashError):
                return False
            return stored is not None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise SignInBusyError("too many people sign in at this moment: try again in a few seconds")
        try:
            with self._turns:
                yield
        finally:
            self._places.release()

    def is_outdated(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(stored)


@lru_cache(maxsize=8)
def _shared(memory_mib: int, passes: int, checks: int) -> Hasher:
    return Hasher(memory_mib, passes, checks)


def hasher(settings: Settings) -> Hasher:
    """The process's hasher for these settings."""
    return _shared(settings.password_memory_mib, settings.password_passes, settings.password_checks)
