"""Every setting of the service, in one class made of one part per subject.

A setting is read from the environment (prefix ``TAMSOAT_``, for example ``TAMSOAT_PORT=8080``); nothing else
configures the service. docs/settings.md lists the same settings, and a test compares the two.
"""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.settings.accounts import AccountSettings
from tamsoat.inference_service.settings.audit import AuditSettings
from tamsoat.inference_service.settings.clients import ClientSettings
from tamsoat.inference_service.settings.jobs import JobSettings
from tamsoat.inference_service.settings.operations import OperationsSettings
from tamsoat.inference_service.settings.review import ReviewSettings
from tamsoat.inference_service.settings.server import ENV_PREFIX, LOOPBACK_HOSTS, ServerSettings
from tamsoat.inference_service.settings.slides import SlideSettings
from tamsoat.inference_service.settings.storage import StorageSettings
from tamsoat.inference_service.settings.viewing import ViewingSettings
from tamsoat.inference_service.settings.webhooks import WebhookSettings

__all__ = ["ENV_PREFIX", "LOOPBACK_HOSTS", "Settings", "SettingsError", "load_settings"]


class SettingsError(TamsoatError):
    """The environment holds a value that the service cannot or will not run with."""

    status = 500
    title = "Settings cannot be used"
    slug = "settings"
    exit_code = EXIT_USAGE


class Settings(
    BaseSettings,
    ServerSettings,
    AccountSettings,
    ClientSettings,
    StorageSettings,
    SlideSettings,
    JobSettings,
    WebhookSettings,
    AuditSettings,
    OperationsSettings,
    ReviewSettings,
    ViewingSettings,
):
    """The configuration of one service process; the units are in the names and descriptions."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True)


def load_settings(**overrides: object) -> Settings:
    """Read the environment; ``overrides`` (those not None) win over it.

    Raises:
        SettingsError: a value cannot be used; the text names the variable, not its value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = []
        for item in error.errors(include_input=False, include_url=False):
            variable = ENV_PREFIX + "_".join(str(part) for part in item["loc"]).upper() if item["loc"] else ""
            problems.append(f"{variable}: {item['msg']}" if variable else item["msg"])
        raise SettingsError("; ".join(problems).replace("Value error, ", "")) from error
