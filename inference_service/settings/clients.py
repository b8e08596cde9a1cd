"""Settings: machine clients, OpenID Connect, rate limits."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, field_validator, model_validator


class ClientSettings(BaseModel):
    """Machine clients, OpenID Connect, rate limits."""

    token_lifetime_s: int = Field(
        300, ge=30, le=300, description="seconds for which an access token of a machine client is valid"
    )
    client_key_networks: str = Field(
        "",
        description="private networks from which the public keys of machine clients may be fetched, in CIDR notation "
        "separated by commas, for example `10.20.0.0/16`; empty: public addresses only",
    )
    client_key_timeout_s: float = Field(
        5.0, gt=0, le=30, description="seconds within which the public keys of a machine client must arrive"
    )
    client_key_cache_s: int = Field(
        300, ge=10, le=86400, description="seconds for which fetched public keys of a machine client are believed"
    )
    outgoing_ca_file: Path | None = Field(
        None,
        description="PEM file of further certificate authorities for connections to the key addresses of machine "
        "clients and to the OpenID provider",
    )
    idempotency_hours: float = Field(
        24.0, gt=0, le=720, description="hours for which the answer to an `Idempotency-Key` is kept"
    )
    idempotency_wait_s: float = Field(
        5.0, ge=0, le=30, description="seconds that a repeated request waits for the first one's answer before a 409"
    )

    rate_limit_per_minute: int = Field(
        6000, ge=0, description="requests a minute that one account or machine client may send, count; 0: no limit"
    )
    anonymous_rate_limit_per_minute: int = Field(
        600,
        ge=0,
        description="requests a minute that one network address may send without signing in, count; 0: no limit",
    )
    token_rate_limit_per_minute: int = Field(
        120, ge=0, description="requests for an access token a minute from one network address, count; 0: no limit"
    )

    oidc_issuer: str = Field(
        "",
        description="issuer of the hospital's OpenID provider exactly as the provider writes it, for example "
        "`https://login.hospital.example/realms/staff`; empty: none",
    )
    oidc_client_id: str = Field("", description="client identifier of this service at the OpenID provider")
    oidc_client_secret_file: Path | None = Field(
        None, description="file with this service's client secret at the OpenID provider; unset: a public client"
    )
    oidc_scopes: str = Field(
        "openid profile", description="scopes to ask the OpenID provider for, separated by spaces, with `openid`"
    )
    oidc_username_claim: str = Field(
        "preferred_username",
        description="claim of the ID token that names an existing account at a person's first sign-in; choose one "
        "that people cannot change themselves; empty: never match by name",
    )
    local_passwords: bool = Field(
        True, description="`false` refuses sign-in by password, so that only the OpenID provider lets people in"
    )

    @model_validator(mode="after")
    def _provider_is_complete(self) -> Self:
        if self.oidc_issuer:
            local = self.oidc_issuer.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
            if not self.oidc_issuer.startswith("https://") and not local:
                raise ValueError("oidc_issuer must begin with https:// (http:// only for loopback)")
            if not self.oidc_client_id or "openid" not in self.oidc_scopes.split():
                raise ValueError("oidc_issuer needs oidc_client_id, and openid among oidc_scopes")
        elif not self.local_passwords:
            raise ValueError("local_passwords=false needs oidc_issuer: nobody could sign in")
        return self

    @property
    def oidc_secret(self) -> str | None:
        """The client secret, read from its file.

        Raises:
            OSError: the file cannot be read.
        """
        return self.oidc_client_secret_file.read_text("utf-8").strip() if self.oidc_client_secret_file else None

    @field_validator("client_key_networks")
    @classmethod
    def _networks_are_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @property
    def key_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The private networks that public keys may come from."""
        return parse_networks(self.client_key_networks)


def parse_networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks in a list separated by commas.

    Raises:
        ValueError: an entry is not a network in CIDR notation.
    """
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
