"""The server-rendered pages: who gets which, in which language, with nothing inline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from people import make_account, make_facility, sign_in
from small_service import small_service
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import endpoints
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.web import endpoints as web


class _Attributes(HTMLParser):
    """The names of all attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {name for name, _ in attrs}


PAGES = ("/field", "/account", "/administration")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    url = f"sqlite:///{tmp_path}/service.db"
    settings = Settings(database_url=url, log_level="warning", password_memory_mib=8, password_passes=1)
    with small_service(settings, [endpoints.router, web.router]) as client:
        client.follow_redirects = False
        yield client


@pytest.fixture
def database(client: TestClient) -> Database:
    database: Database = client.app.state.runtime.database  # type: ignore[attr-defined]
    return database


def enter(client: TestClient, database: Database, *roles: Role, name: str = "Nguyễn Thị Lan") -> None:
    facility = make_facility(database, "79001", "Bệnh viện Từ Dũ")
    sign_in(client, database, *make_account(database, facility, roles, display_name=name))


def test_a_machine_without_accounts_shows_every_page(client: TestClient) -> None:
    for path in PAGES:
        assert client.get(path).status_code == 200, path
    assert "Chưa có tài khoản nào" in client.get("/administration").text
    assert client.get("/sign-in").headers["location"] == "/"


def test_pages_lead_to_the_sign_in_page_and_back(client: TestClient, database: Database) -> None:
    make_account(database, make_facility(database, "79001"))
    for path in PAGES:
        response = client.get(path)
        assert (response.status_code, response.headers["location"]) == (
            303,
            f"/sign-in?next={path.replace('/', '%2F')}",
        )
    page = client.get("/sign-in", params={"next": "/account"})
    assert 'data-step="credentials" data-target="/account"' in page.text
    assert 'data-target="/"' in client.get("/sign-in", params={"next": "//evil.example"}).text


@pytest.mark.parametrize(("language", "words"), [("vi", "Tài khoản của tôi"), ("en", "My account")])
def test_pages_speak_the_chosen_language_and_remember_it(
    client: TestClient, database: Database, language: str, words: str
) -> None:
    enter(client, database, Role.ADMINISTRATOR)
    first = client.get("/account", params={"language": language})
    assert f"tamsoat-language={language}" in first.headers["set-cookie"]
    page = client.get("/account")
    assert words in page.text
    assert f'<html lang="{language}">' in page.text
    assert "set-cookie" not in page.headers


def test_nothing_is_inline_and_names_are_escaped(client: TestClient, database: Database) -> None:
    enter(client, database, Role.ADMINISTRATOR, name='<script>alert(1)</script>" onload="x')
    for path in (*PAGES, "/administration?username=%22%3E%3Cscript%3E"):
        page = client.get(path)
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        scripts = re.findall(r"<script([^>]*)>", page.text)
        assert all('src="/static/' in script or 'type="application/json"' in script for script in scripts)
        seen = _Attributes()
        seen.feed(page.text)
        assert {name for name in seen.names if name == "style" or name.startswith("on")} == set()
        assert "<script>alert" not in page.text
        for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
            assert (web.STATIC / link.removeprefix("/static/")).is_file(), link


def test_others_than_administrators_are_told_so(client: TestClient, database: Database) -> None:
    enter(client, database, Role.PATHOLOGIST)
    page = client.get("/administration")
    assert page.status_code == 403
    assert "không có quyền" in page.text
    assert 'href="/administration"' not in client.get("/account").text


def test_filters_without_a_match_say_so(client: TestClient, database: Database) -> None:
    enter(client, database, Role.ADMINISTRATOR)
    assert "Nguyễn Thị Lan" in client.get("/administration?role=administrator").text
    page = client.get("/administration?username=nobody&role=auditor&status=disabled")
    assert "Không có tài khoản nào hợp" in page.text
    assert 'value="nobody"' in page.text
