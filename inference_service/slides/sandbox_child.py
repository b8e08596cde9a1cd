"""What runs inside a decoding process: its limits, and one call per image.

Imported before the process is forked, so that a new one is ready at once; nothing here reads settings.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from tamsoat.inference_service.slides.decode import DecodedImage, DecodeLimits, decode_bytes, decode_file

KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT")
OPEN_FILES = 32
CPU_MARGIN_S = 5
PLUGINS = (BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)


def confine(memory_bytes: int, file_bytes: int = 0) -> None:
    """Set the limits of this process: ``memory_bytes`` over what it has now, no file larger than ``file_bytes`` written
    (0: none at all), few open ones.

    The settings of the service leave the environment. On Windows only the time limit of the pool holds.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a decoder that hangs outside Python must end at once
    for name in list(os.environ):
        if name not in KEPT_VARIABLES:
            del os.environ[name]
    if sys.platform == "win32":
        return
    import resource

    # Not read on systems without /proc: there the limit is on the whole process.
    statm = Path("/proc/self/statm")
    base_bytes = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.is_file() else 0
    for kind, limit in (
        (resource.RLIMIT_AS, base_bytes + memory_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def decode(source: bytes | Path, name: str, limits: DecodeLimits, cpu_s: float) -> DecodedImage:
    """Decode one image within ``cpu_s`` seconds of processor time (the system ends the process otherwise)."""
    limit_processor(cpu_s)
    if isinstance(source, bytes):
        return decode_bytes(source, name, limits)
    return decode_file(source, name=name, limits=limits)


def call(function: Callable[..., object], arguments: tuple[object, ...], cpu_s: float) -> object:
    """Call any function under the same limit."""
    limit_processor(cpu_s)
    return function(*arguments)


def limit_processor(cpu_s: float) -> None:
    """Let this process use ``cpu_s`` more seconds of processor time, and a margin."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + cpu_s + CPU_MARGIN_S), hard))
