"""Hypothesis without a deadline per example: a busy machine is no fault."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("busy-machine", deadline=None)
settings.load_profile("busy-machine")
