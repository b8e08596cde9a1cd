"""What systemd hands to a service: a listening socket (sd_listen_fds(3)) and a place to report to (sd_notify(3))."""

from __future__ import annotations

import ipaddress
import os
import socket

from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError

FIRST_FD = 3
"""SD_LISTEN_FDS_START."""


class InheritedSocketError(TamsoatError):
    """The socket that was handed over cannot be served on."""

    title = "Inherited socket cannot be used"
    slug = "inherited-socket"
    exit_code = EXIT_USAGE


def inherited_listener(*, loopback_only: bool) -> socket.socket | None:
    """The listening socket that systemd opened for this process; None where there is none.

    The variables are taken out of the environment, so that no child believes that it has the socket.
    ``loopback_only``: the settings promise that only this machine reaches the port.

    Raises:
        InheritedSocketError: more than one socket, or one that does not listen for TCP connections, or one
            that other machines reach although ``loopback_only``.
    """
    process, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if process != str(os.getpid()) or count in ("", "0"):
        return None
    if count != "1":
        raise InheritedSocketError(f"{count} sockets were handed over: tamsoat.socket must name one ListenStream")
    try:
        listener = socket.socket(fileno=FIRST_FD)
        listening = bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as error:
        raise InheritedSocketError(f"file descriptor {FIRST_FD} is not a socket: {error.strerror}") from error
    if not listening or listener.type != socket.SOCK_STREAM or listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise InheritedSocketError("the socket that was handed over is not a listening TCP socket")
    if loopback_only and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        raise InheritedSocketError(
            "the socket that was handed over can be reached from other machines, TAMSOAT_HOST says that it cannot: "
            "let tamsoat.socket listen on 127.0.0.1, or set TAMSOAT_HOST and TAMSOAT_PUBLIC_URL"
        )
    os.set_inheritable(FIRST_FD, False)
    return listener


def notify(state: str) -> None:
    """Tell the service manager ``state`` (``READY=1``, ``STOPPING=1``); without a manager nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect("\0" + address[1:] if address.startswith("@") else address)
        manager.sendall(state.encode())
