"""Settings: retention, backup, traces."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator


class OperationsSettings(BaseModel):
    """Retention, backup, traces."""

    otlp_endpoint: str = Field(
        "",
        description="address of an OpenTelemetry collector (OTLP over HTTP) that receives traces, for example "
        "`http://127.0.0.1:4318`; empty: no traces",
    )
    retention_records_years: int = Field(
        10, ge=10, le=100, description="years that patients and results are kept after their last change; at least 10"
    )
    retention_logs_months: int = Field(
        12, ge=12, le=1200, description="months that sign-ins, webhook deliveries and other logs are kept; at least 12"
    )
    drain_delay_s: float = Field(
        0.0,
        ge=0,
        le=600,
        description="seconds between SIGTERM and closing the port, during which `/readyz` answers 503 and everything "
        "else is still answered, so that a proxy sends new requests to another server; 0: no such proxy",
    )
    backup_max_age_h: float = Field(
        36.0, gt=0, le=24 * 366, description="hours after which `tamsoat doctor` calls the newest backup too old"
    )
    ntp_server: str = Field(
        "",
        description="time server that `tamsoat doctor` compares the clock with, for example `time.hospital.example`; "
        "empty: none, only the database server's clock and what `timedatectl` says",
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _otlp_is_a_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be http://host:port or https://host:port of a collector")
        return value.rstrip("/")
