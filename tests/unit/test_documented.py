"""Every setting, endpoint, problem and command is documented."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.cli.main import app as command_line
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import ENV_PREFIX, Settings

REPOSITORY = Path(__file__).resolve().parents[2]
API = "\n".join(page.read_text(encoding="utf-8") for page in sorted((REPOSITORY / "docs").rglob("*.md")))
SETTINGS = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    rows = dict(re.findall(r"^\| `(TAMSOAT_\w+)` \| (.*) \|$", SETTINGS, re.MULTILINE))
    assert set(rows) == {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default, _, meaning = rows[ENV_PREFIX + name.upper()].partition(" | ")
        assert meaning == field.description, name
        shown = "" if field.default is None else field.default
        shown = str(shown).lower() if isinstance(shown, bool) else shown
        shown = f"{shown:g}" if isinstance(shown, float) else str(shown)
        assert default == (f"`{shown}`" if shown else "(none)"), name


def test_every_endpoint_is_documented() -> None:
    paths = [*create_app(Settings()).openapi()["paths"], "/openapi.json"]
    assert [path for path in paths if path not in API] == []


def _kinds(base: type[TamsoatError]) -> Iterator[type[TamsoatError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def test_every_problem_that_the_openapi_document_names_is_documented() -> None:
    text = str(create_app(Settings()).openapi())
    slugs = set(re.findall(r"urn:tamsoat:problem:([a-z-]+)", text))
    assert len(slugs) > 10
    assert sorted(slug for slug in slugs if f"`{slug}`" not in API) == []
    known = {kind.slug for kind in _kinds(TamsoatError)}
    assert slugs <= known | {TamsoatError.slug}


def test_every_recorded_event_is_documented() -> None:
    assert [action.value for action in Action if f"`{action.value}`" not in API] == []


def _commands() -> Iterator[str]:
    """Every command of the command line, as it is typed."""
    group: Any = typer.main.get_command(command_line)
    lazy = type(group).lazy
    for name in sorted(set(group.list_commands(None)) - set(lazy)):
        yield f"tamsoat {name}"
    for name, target in lazy.items():
        try:
            loaded = getattr(importlib.import_module(target.module), target.attribute)
        except ModuleNotFoundError as error:
            pytest.skip(f"{name} needs the extra {target.extra} ({error.name} is missing)")
        if not isinstance(loaded, typer.Typer):
            yield f"tamsoat {name}"
            continue
        inner: Any = typer.main.get_command(loaded)
        commands = getattr(inner, "commands", None)
        yield from (f"tamsoat {name} {sub}" for sub in commands) if commands else (f"tamsoat {name}",)


def test_every_command_is_documented() -> None:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert [command for command in _commands() if command not in text] == []
