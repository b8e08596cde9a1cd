"""Entity tags and preconditions."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.conditional import PreconditionFailedError, PreconditionRequiredError

TAG = conditional.etag_of("order", 3)


class Thing(BaseModel):
    name: str = "thing"


def request(**headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "headers": sent, "path": "/", "query_string": b""})


@pytest.mark.parametrize(
    ("sent", "known"),
    [(TAG, True), (f"W/{TAG}", True), ("*", True), (f'"a", {TAG}', True), ('"a"', False), (TAG[1:-1], False)],
)
def test_if_none_match(sent: str, known: bool) -> None:
    assert conditional.is_known(request(if_none_match=sent), TAG) is known


def test_answer_carries_its_tag_and_is_left_out_when_known() -> None:
    first = conditional.answer(request(), Thing())
    assert first.status_code == 200
    assert first.body == b'{"name":"thing"}'
    again = conditional.answer(request(if_none_match=first.headers["etag"]), Thing())
    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert conditional.answer(request(if_none_match=first.headers["etag"]), Thing(name="other")).status_code == 200


def test_if_match_is_strong() -> None:
    conditional.require_match(request(if_match=f'"x", {TAG}'), TAG)
    conditional.require_match(request(if_match="*"), TAG)
    for sent in (f"W/{TAG}", '"x"', "nonsense", ""):
        with pytest.raises(PreconditionFailedError):
            conditional.require_match(request(if_match=sent), TAG)
    with pytest.raises(PreconditionRequiredError):
        conditional.require_match(request(), TAG)
    conditional.require_match(request(), TAG, required=False)


def test_versions_are_told_apart() -> None:
    assert len({conditional.etag_of("a", 1), conditional.etag_of("a", 2), conditional.etag_of("a1"), TAG}) == 4
