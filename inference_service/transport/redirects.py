"""Where a browser may be sent after a sign-in."""

from __future__ import annotations


def local_path(target: str) -> str:
    """``target`` if it is a path of this service, else ``/``: a link must not lead to another site."""
    plain = (
        target.startswith("/") and target[1:2] not in ("/", "\\") and all(" " < letter < "\x7f" for letter in target)
    )
    return target if plain and "\\" not in target and not target.startswith(("/sign-in", "/oidc/")) else "/"
