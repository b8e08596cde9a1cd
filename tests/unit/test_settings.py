"""Settings: what they refuse, and that the refusal names the variable and not a secret."""

from __future__ import annotations

import pytest

from tamsoat.inference_service.db.session import Database, DatabaseUrlError
from tamsoat.inference_service.settings import Settings, SettingsError, load_settings


def test_defaults_listen_on_loopback_and_store_in_a_file() -> None:
    settings = Settings()
    assert settings.host == "127.0.0.1"
    assert settings.database_url.startswith("sqlite:///")
    assert settings.access == "auto"
    assert settings.listens_on_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "tamsoat.hospital.example"])
def test_other_machines_need_tls(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMSOAT_HOST", host)
    with pytest.raises(SettingsError, match="TLS"):
        load_settings()
    monkeypatch.setenv("TAMSOAT_PUBLIC_URL", "https://tamsoat.hospital.example")
    settings = load_settings()
    assert settings.host == host
    assert settings.secure
    assert not settings.listens_on_loopback
    assert "tamsoat.hospital.example" in settings.host_names


@pytest.mark.parametrize("url", ["http://tamsoat.hospital.example", "https://x/path", "ftp://127.0.0.1", "https://"])
def test_public_url_is_an_address_browsers_can_trust(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMSOAT_PUBLIC_URL", url)
    with pytest.raises(SettingsError, match="public_url"):
        load_settings()


def test_placeholder_passwords_are_refused_outside_development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMSOAT_DATABASE_URL", "postgresql+psycopg://tamsoat:ChangeMe@127.0.0.1/tamsoat")
    with pytest.raises(SettingsError, match="placeholder") as raised:
        load_settings()
    assert "ChangeMe" not in str(raised.value)
    monkeypatch.setenv("TAMSOAT_ENVIRONMENT", "development")
    assert load_settings().environment == "development"


def test_refusal_names_the_variable_not_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMSOAT_PORT", "eighty-secret")
    with pytest.raises(SettingsError, match="TAMSOAT_PORT") as raised:
        load_settings()
    assert "eighty-secret" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMSOAT_PORT", "9000")
    assert load_settings(port=9001, host=None).port == 9001


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "mongodb://x"])
def test_database_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(DatabaseUrlError) as raised:
        Database(url)
    assert raised.value.exit_code == 2
