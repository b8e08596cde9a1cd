"""Rate limits: by caller, by address, for tokens; what is told to the caller, and what is not counted."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter
from machine_clients import make_client
from small_service import small_service
from starlette.requests import Request
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts.access import Principal, Role, allow, public
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport.rate_limits import Limit, RateLimits, TooManyRequestsError


def pages() -> APIRouter:
    router = APIRouter()

    @router.get("/mine")
    def mine(principal: Annotated[Principal, allow(Role.INTEGRATOR, scope="system/Patient.r")]) -> None:
        return None

    @router.get("/page", dependencies=[public("a page")])
    def page() -> None:
        return None

    @router.get("/alive", dependencies=[public("health", Limit.NONE)])
    def alive() -> None:
        return None

    return router


@contextmanager
def serving(folder: Path, **limits: int) -> Iterator[TestClient]:
    settings = Settings(database_url=f"sqlite:///{folder}/limits.db", log_level="error").model_copy(update=limits)
    with small_service(settings, [pages()]) as http:
        yield http


def test_callers_are_counted_apart(tmp_path: Path) -> None:
    with serving(tmp_path, rate_limit_per_minute=3) as http:
        one, two = (
            make_client(http.app.state.runtime.database, "local", ["system/Patient.r"]).headers(http)  # type: ignore[attr-defined]
            for _ in range(2)
        )
        answers = [http.get("/mine", headers=one) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"caller";q=3;w=60'
        assert re.fullmatch(r'"caller";r=2;t=\d+', answers[0].headers["ratelimit"])
        refused = answers[3]
        assert refused.json()["type"] == "urn:tamsoat:problem:too-many-requests"
        assert refused.headers["ratelimit"].startswith('"caller";r=0;t=')
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert http.get("/mine", headers=two).status_code == 200


def test_without_sign_in_the_address_is_counted(tmp_path: Path) -> None:
    with serving(tmp_path, anonymous_rate_limit_per_minute=4) as http:
        make_client(http.app.state.runtime.database, "local")  # type: ignore[attr-defined]
        wrong = {"Authorization": "Bearer x"}
        answers: list[httpx.Response] = [http.get("/mine"), http.get("/mine", headers=wrong), http.get("/page")]
        assert [answer.status_code for answer in answers] == [401, 401, 200]
        assert http.get("/page").headers["ratelimit"].startswith('"address";r=0;')
        assert [http.get(path).status_code for path in ("/page", "/mine", "/alive")] == [429, 429, 200]
        assert "ratelimit" not in http.get("/alive").headers


def test_tokens_have_a_limit_of_their_own(tmp_path: Path) -> None:
    with serving(tmp_path, token_rate_limit_per_minute=2) as http:
        statuses = [http.post("/oauth2/token", data={"grant_type": "x"}).status_code for _ in range(3)]
        assert statuses == [400, 400, 429]
        assert http.get("/page").status_code == 200


def test_this_machine_without_sign_in_is_not_counted(tmp_path: Path) -> None:
    with serving(tmp_path, rate_limit_per_minute=1, anonymous_rate_limit_per_minute=1) as http:
        assert {http.get("/mine").status_code for _ in range(5)} == {200}


def request_from(address: str) -> Request:
    return Request({"type": "http", "client": (address, 1), "headers": [], "path": "/", "method": "GET"})


def test_addresses_of_one_network_count_together() -> None:
    limits = RateLimits(Settings(anonymous_rate_limit_per_minute=1))
    limits.charge(request_from("2001:db8::1"), None)
    with pytest.raises(TooManyRequestsError):
        limits.charge(request_from("2001:db8::2"), None)
    limits.charge(request_from("2001:db8:0:1::2"), None)
    limits.charge(request_from("10.0.0.1"), None)
    with pytest.raises(TooManyRequestsError):
        limits.charge(request_from("10.0.0.1"), None)
    limits.charge(request_from("10.0.0.2"), None)


def test_zero_is_no_limit_and_counting_is_cheap() -> None:
    unlimited = RateLimits(Settings(anonymous_rate_limit_per_minute=0))
    limits = RateLimits(Settings(anonymous_rate_limit_per_minute=10**9))
    unlimited.charge(request_from("10.0.0.1"), None)
    started_s = time.thread_time()  # of the processor: other programs do not count
    for number in range(2000):
        limits.charge(request_from(f"10.0.{number % 200}.1"), None)
    assert (time.thread_time() - started_s) / 2000 < 0.0005
