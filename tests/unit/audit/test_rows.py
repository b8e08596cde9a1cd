"""The fast hash of a stored entry is the defined one, and no other content has the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamsoat.inference_service.audit.rows import Row, content_hash, is_whole, leaf_bytes
from tamsoat.inference_service.audit.schemas import canonical_json, entry_hash

TEXT = st.text(max_size=20)
DIGESTS = st.dictionaries(TEXT, st.text("0123456789abcdef", min_size=64, max_size=64), max_size=3)
DETAILS = st.none() | st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), min_size=1, max_size=3)


def made(sequence: int, texts: list[str], facility: str | None, digests: object, details: object) -> Row:
    return Row(
        sequence, texts[0], texts[1], texts[2], texts[3], canonical_json(digests), facility,
        None if details is None else canonical_json(details), texts[4], "",
    )  # fmt: skip


ROWS = st.builds(
    made, st.integers(1, 2**62), st.lists(TEXT, min_size=5, max_size=5), st.none() | TEXT, DIGESTS, DETAILS
)


@given(st.integers(1, 2**62), st.lists(TEXT, min_size=5, max_size=5), st.none() | TEXT, DIGESTS, DETAILS)
def test_the_fast_hash_is_the_defined_one(
    sequence: int, texts: list[str], facility: str | None, digests: object, details: object
) -> None:
    assert content_hash(made(sequence, texts, facility, digests, details)) == entry_hash(
        sequence=sequence,
        occurred_at=texts[0],
        actor=texts[1],
        action=texts[2],
        subject=texts[3],
        digests=digests,
        previous_hash=texts[4],
        facility=facility,
        details=details,
    )


@given(ROWS)
def test_entries_as_the_service_writes_them_take_the_fast_way(row: Row) -> None:
    names = row._replace(digests="{}") if "\\" in row.digests or "\x7f" in row.digests else row
    assert leaf_bytes(names) is not None


@pytest.mark.parametrize(
    ("digests", "details"),
    [
        ("{}", '{"a":1,"digests":2},"digests":{}'),
        ('2},"digests":{}', '{"a":1'),
        ('{"a":"00"} ', None),
        ('{"a":{}}', '{"b": 1}'),
        ("[]", None),
        ("", ""),
        ("{}", '{"a":"x","a":"y"}x'),
        ("{}", '{"a":1.5e999}'),
    ],
)
def test_text_that_the_log_never_writes_has_no_hash_of_the_fast_kind(digests: str, details: str | None) -> None:
    assert leaf_bytes(Row(1, "t", "a", "x", "s", digests, None, details, "p", "h")) is None


@given(ROWS, st.sampled_from(range(1, 9)), TEXT)
def test_another_content_has_another_hash(row: Row, column: int, text: str) -> None:
    whole = row._replace(entry_hash=content_hash(row))
    assert is_whole(whole)
    if text != whole[column]:
        values = list(whole)
        values[column] = text
        assert not is_whole(Row(*values))  # type: ignore[arg-type]


def test_values_that_are_not_text_are_not_whole() -> None:
    row = Row(1, "t", "a", "x", "s", "{}", None, None, "p", "")
    whole = row._replace(entry_hash=content_hash(row))
    for wrong in ({"digests": b"{}"}, {"actor": b"a"}, {"details": 5}, {"digests": None}, {"sequence": 1.0}):
        assert not is_whole(whole._replace(**wrong))  # type: ignore[arg-type]
