"""Settings of the process: database, model, address, limits, logs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator

ENV_PREFIX = "TAMSOAT_"
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
PLACEHOLDER_SECRETS = frozenset(
    {
        "changeme",
        "change-me",
        "change_me",
        "secret",
        "password",
        "postgres",
        "tamsoat",
        "example",
        "admin",
        "xxx",
    }
)
"""Passwords that documentation and examples use; refused outside development."""


class ServerSettings(BaseModel):
    """Process, database, model and limits."""

    environment: Literal["production", "development"] = Field(
        "production", description="`development` permits placeholder passwords; leave it alone in a hospital"
    )
    database_url: str = Field(
        "sqlite:///var/tamsoat.db",
        description="SQLAlchemy URL of the database: SQLite file (its folder is created) or `postgresql+psycopg://…`",
    )
    database_wait_s: float = Field(
        10.0, gt=0, le=300, description="seconds to wait for a locked or busy database before answering 503"
    )
    database_pool: int = Field(10, ge=1, le=200, description="database connections kept open, count")
    model: Path | None = Field(None, description="folder of the model bundle; unset: the bundle inside the package")
    providers: str = Field(
        "",
        description="ONNX Runtime providers in order, separated by commas, for example "
        "`CUDAExecutionProvider,CPUExecutionProvider`; empty: the best this machine has",
    )
    threads: int = Field(
        0, ge=0, le=1024, description="threads for inference, count; 0: one per core that the process may use"
    )
    batch_tiles: int = Field(8, ge=1, le=1024, description="most tiles in one inference batch, count")
    host: str = Field(
        "127.0.0.1", description="address to listen on; anything else than loopback needs accounts and `public_url`"
    )
    port: int = Field(8000, ge=0, le=65535, description="TCP port to listen on; 0: any free port, printed at start")
    public_url: str = Field(
        "",
        description="address by which browsers and the HIS reach the service, for example "
        "`https://tamsoat.hospital.example`; empty: http on the loopback address",
    )
    trusted_proxies: str = Field(
        "",
        description="addresses of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, "
        "separated by commas; empty: none",
    )
    access: Literal["auto", "accounts"] = Field(
        "auto",
        description="`accounts`: everyone signs in; `auto`: the same, except that a service which listens on the "
        "loopback address serves its own machine without sign-in until the first account or client exists",
    )
    data_dir: Path | None = Field(
        None, description="folder for keys, files and uploads; unset: that of the SQLite file, or `var`"
    )
    keys_file: Path | None = Field(
        None,
        description="file of the keys that encrypt personal data and sign checkpoints; made at the first start, "
        "readable by its owner only; keep a copy apart from the database's; unset: `keys.json` in the data folder",
    )
    allowed_hosts: str = Field(
        "",
        description="further host names that requests may carry in `Host`, separated by commas (the public "
        "name of the proxy); loopback names are always allowed",
    )
    max_upload_mib: float = Field(64.0, gt=0, le=4096, description="largest request body, MiB; more answers 413")
    upload_timeout_s: float = Field(120.0, gt=0, le=3600, description="seconds in which a body must have arrived")
    max_pixels: int = Field(
        25_000_000, ge=1024, le=10**9, description="largest image, pixels (width × height); more answers 413"
    )
    concurrent_requests: int = Field(
        4, ge=1, le=256, description="images decoded and analysed at once, count; bounds memory"
    )
    queued_requests: int = Field(
        32, ge=0, le=10_000, description="requests that may wait for their turn, count; more answers 503"
    )
    retry_after_s: int = Field(2, ge=1, le=3600, description="seconds in the `Retry-After` of a 503 answer")
    shutdown_grace_s: int = Field(30, ge=0, le=3600, description="seconds that running requests get at shutdown")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe line logged")
    log_format: Literal["json", "console"] = Field("json", description="`json`: one object a line; `console`: for eyes")

    @field_validator("host")
    @classmethod
    def _host_is_named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must name an address; 127.0.0.1 is the usual one")
        return value.strip()

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        if self.public_url and not _is_web_address(self.public_url):
            raise ValueError("public_url must be https://host[:port] (http only for a loopback host), without a path")
        if self.host not in LOOPBACK_HOSTS and not self.public_url.startswith("https://"):
            raise ValueError(
                f"host {self.host} can be reached from other machines: passwords must not cross a network in the "
                f"clear, so put a reverse proxy with TLS in front and set {ENV_PREFIX}PUBLIC_URL=https://… "
                "(docs/operations.md), or listen on 127.0.0.1"
            )
        try:
            password = unquote(urlsplit(self.database_url).password or "").lower()
        except ValueError as error:
            raise ValueError("database_url is not a URL (example: sqlite:///var/tamsoat.db)") from error
        if self.environment != "development" and password in PLACEHOLDER_SECRETS:
            raise ValueError(
                "database_url holds a placeholder password; set a real one "
                f"(or {ENV_PREFIX}ENVIRONMENT=development on a machine without patients)"
            )
        return self

    @property
    def max_upload_bytes(self) -> int:
        """Largest request body in bytes."""
        return int(self.max_upload_mib * 1024 * 1024)

    @property
    def provider_list(self) -> list[str] | None:
        """The providers to try in order, or None to let the engine choose."""
        names = [name.strip() for name in self.providers.split(",") if name.strip()]
        return names or None

    @property
    def host_names(self) -> frozenset[str]:
        """Host names (lower case, no port) that a request may be addressed to."""
        further = {name.strip().lower() for name in self.allowed_hosts.split(",") if name.strip()}
        public = (urlsplit(self.public_url).hostname or "").lower()
        return frozenset({*LOOPBACK_HOSTS, self.host.lower(), *further, *([public] if public else [])})

    @property
    def data_folder(self) -> Path:
        """Where keys, files and uploads are kept unless another setting says otherwise."""
        if self.data_dir is not None:
            return self.data_dir
        scheme, _, rest = self.database_url.partition(":///")
        return Path(rest.partition("?")[0]).parent if scheme.startswith("sqlite") and rest else Path("var")

    @property
    def keys_path(self) -> Path:
        """The file of the keys."""
        return self.keys_file if self.keys_file is not None else self.data_folder / "keys.json"

    @property
    def secure(self) -> bool:
        """Whether browsers reach the service by https (decides the attributes of cookies)."""
        return self.public_url.startswith("https://")

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine reaches the port, without a public name."""
        return self.host in LOOPBACK_HOSTS and not self.secure


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment and not parts.username
    return plain and bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK_HOSTS))
