"""Copies of everything that a hospital cannot lose: making, checking, restoring."""
