"""The base of every error that the service and the command line show to a person.

A subclass is defined where it is raised. It states, as class attributes, what the two outer shells need:
the HTTP status and the problem type (RFC 9457), and the exit code of the command line. The message of the
instance is one sentence for the reader: what is wrong, with which file, and what to do about it.
It never holds a patient's data, a stack trace or a secret.

HTTP answers ``{"type": type_uri(), "title": title, "status": status, "detail": str(error)}``;
the command line prints ``error: <detail>`` on stderr and ends with ``exit_code``.
"""

from __future__ import annotations

from typing import ClassVar

PROBLEM_TYPE_PREFIX = "urn:tamsoat:problem:"
"""Prefix of the RFC 9457 ``type`` member; the slug of the class follows."""

EXIT_USAGE = 2
"""The command was called wrongly (missing scale, absurd scale, unknown option)."""

EXIT_INPUT = 3
"""An input file cannot be used (unreadable, wrong format, damaged, too large)."""

EXIT_MODEL = 4
"""The model bundle or the inference runtime cannot be used."""

EXIT_OUTPUT = 5
"""The result cannot be written (disk full, no permission)."""


class TamsoatError(Exception):
    """Something that a person can be told in one line and, most often, act on.

    Class attributes (override in subclasses):
        status: HTTP status code of the answer.
        title: short, constant summary of the kind of problem; no detail of the instance.
        slug: last part of the problem type; lower case, words joined by hyphens, never changed once released.
        exit_code: exit code of the command line, 1-125.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    slug: ClassVar[str] = "internal-error"
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def http_headers(self) -> dict[str, str]:
        """Further headers of the HTTP answer, for example ``Retry-After``."""
        return {}

    def members(self) -> dict[str, object]:
        """Further members of the problem document (RFC 9457, section 3.2), for programs; never personal data."""
        return {}

    @classmethod
    def type_uri(cls) -> str:
        """Return the RFC 9457 ``type`` of this kind of problem."""
        return PROBLEM_TYPE_PREFIX + cls.slug
