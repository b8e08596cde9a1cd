"""The texts of the pages: complete in both languages, and every text that a page asks for exists."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from tamsoat.inference_service.transport.redirects import local_path
from tamsoat.inference_service.web import messages, pages

STATIC = pages.TEMPLATES.parent / "static"
MADE_UP = ("reason_", "action_", "confirm_")
"""Beginnings of keys that pages put together from a code, as they do with every key that has a dot."""


PARTS = sorted({path.name.split(".")[0] for path in messages.FOLDER.glob("*.json")})


def part_of(name: str, language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((messages.FOLDER / f"{name}.{language}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_the_same_keys_in_both_languages_in_their_order(name: str) -> None:
    vietnamese, english = (part_of(name, language) for language in messages.LANGUAGES)
    assert list(vietnamese) == list(english) == sorted(vietnamese)


def test_no_key_is_in_two_parts() -> None:
    keys = [key for name in PARTS for key in part_of(name, "vi")]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_both_catalogues_have_the_same_keys_and_no_empty_text() -> None:
    vietnamese, english = (messages.catalogue(language) for language in messages.LANGUAGES)
    assert set(vietnamese) == set(english)
    assert [key for key in vietnamese if not vietnamese[key].strip() or not english[key].strip()] == []
    same = {key for key in vietnamese if vietnamese[key] == english[key]}
    assert same == set()


def test_no_key_hides_behind_a_method_of_the_catalogue() -> None:
    assert [key for key in messages.catalogue("vi") if hasattr({}, key)] == []


@pytest.mark.parametrize("path", sorted(pages.TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_ask_only_for_texts_that_exist(path: Path) -> None:
    tree = Environment(loader=FileSystemLoader(pages.TEMPLATES)).parse(path.read_text(encoding="utf-8"))
    asked = {
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == "t"
    }
    assert asked <= set(messages.catalogue("vi"))


def test_scripts_ask_only_for_texts_that_they_get() -> None:
    texts = messages.catalogue("vi")
    for script in STATIC.glob("*.js"):
        source = script.read_text(encoding="utf-8")
        if "./page.js" not in source and script.name != "page.js":
            continue
        asked = set(re.findall(r"\btexts\.(\w+)", source)) | set(re.findall(r'\btexts\["([^"]+)"\]', source))
        assert {key for key in asked if key not in texts or not key.startswith(pages.SCRIPT_TEXTS)} == set(), script


def test_every_text_is_used() -> None:
    sources = [*pages.TEMPLATES.glob("*.html"), *STATIC.glob("*.js")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    plain = [key for key in messages.catalogue("vi") if "." not in key and not key.startswith(MADE_UP)]
    unused = [key for key in plain if not re.search(rf"\b(?:t|texts)\.{key}\b", text)]
    assert unused == []


def test_every_role_has_a_name() -> None:
    assert {f"role.{role}" for role in pages.ROLES_OF_PEOPLE} <= set(messages.catalogue("en"))


@pytest.mark.parametrize(
    ("target", "led_to"),
    [
        ("/administration?role=auditor", "/administration?role=auditor"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/sign-in?next=/", "/"),
        ("/oidc/sign-out", "/"),
        ("", "/"),
    ],
)
def test_the_way_back_never_leads_to_another_site(target: str, led_to: str) -> None:
    assert local_path(target) == led_to
