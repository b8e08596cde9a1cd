"""Work done, its speed and the time left, on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 5.0
SUMMARY_FROM_S = 2.0


class FieldProgress:
    """Counts fields (or another ``unit``); ``note`` prints a line that does not disturb the bar."""

    def __init__(self, total: int, unit: str = "fields") -> None:
        self._total = total
        self._unit = unit
        self._done = 0
        self._start_s = self._shown_s = time.monotonic()
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task = self._bar.add_task(unit, total=total, rate="") if self._bar is not None else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is None and time.monotonic() - self._start_s >= SUMMARY_FROM_S:
            _line(
                f"{self._done} {self._unit} in {time.monotonic() - self._start_s:.1f} s, "
                f"{self.fields_per_s():.2f} {self._unit}/s"
            )

    def fields_per_s(self) -> float:
        return self._done / max(time.monotonic() - self._start_s, 1e-9)

    def advance(self) -> None:
        """One field more is done, well or not."""
        self.reach(self._done + 1)

    def reach(self, done: int) -> None:
        """So many are done altogether."""
        self._done = done
        rate = self.fields_per_s()
        now_s = time.monotonic()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, rate=f"{rate:.2f} {self._unit}/s")
        elif now_s - self._shown_s >= LINE_EVERY_S:
            self._shown_s = now_s
            left_s = (self._total - self._done) / max(rate, 1e-9)
            _line(f"{done} of {self._total} {self._unit}, {rate:.2f} {self._unit}/s, about {left_s:.0f} s left")

    def note(self, text: str) -> None:
        """Print one line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            _line(text)


class ByteProgress:
    """Bytes done of each part of a long copy, and the time left."""

    def __init__(self) -> None:
        self._bar = _byte_bar() if sys.stderr.isatty() else None
        self._tasks: dict[str, TaskID] = {}
        self._part = ""
        self._start_s = self._shown_s = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def report(self, part: str, done_bytes: int, total_bytes: int) -> None:
        """``done_bytes`` of ``total_bytes`` of ``part`` are done."""
        if self._bar is not None:
            if part not in self._tasks:
                self._tasks[part] = self._bar.add_task(part, total=total_bytes)
            self._bar.update(self._tasks[part], completed=done_bytes, total=total_bytes)
            return
        now_s = time.monotonic()
        if part != self._part:
            self._part, self._start_s, self._shown_s = part, now_s, now_s
        elif now_s - self._shown_s >= LINE_EVERY_S and done_bytes:
            self._shown_s = now_s
            left_s = (total_bytes - done_bytes) * (now_s - self._start_s) / done_bytes
            _line(f"{part}: {done_bytes / 2**20:.0f} of {total_bytes / 2**20:.0f} MiB, about {left_s:.0f} s left")


def _byte_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
