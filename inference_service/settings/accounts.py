"""Settings: accounts and sign-in."""

from __future__ import annotations

from pydantic import BaseModel


class AccountSettings(BaseModel):
    """Accounts and sign-in."""
