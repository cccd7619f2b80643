"""The fleet tells on its standard output how much history it has sent; a person sees a progress bar."""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sensorapp.stack.processes import Child


class Backlog:
    """Shows lines such as `{"backlog_done": 123, "backlog_total": 456}` until done equals total.

    Where the output is no terminal, a line for each tenth.
    """

    def __init__(self, console: Console, fleet: Child) -> None:
        self.console = console
        self.fleet = fleet
        self.begun = time.monotonic()
        self.tenths = 0
        self.finished = False
        self.bar = Progress(
            TextColumn("  history"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, transient=True,
        )  # fmt: skip
        self.task = self.bar.add_task("history", total=None, visible=False)
        self.reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> None:
        self.bar.start()
        self.reader.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def _read(self) -> None:
        assert self.fleet.process.stdout is not None
        for line in self.fleet.process.stdout:
            match _progress(line):
                case (done, total) if not self.finished:
                    self._show(done, total)

    def _show(self, done: int, total: int) -> None:
        self.finished = done >= total
        if self.finished and not self.bar.tasks[0].visible:
            return  # it was all there from an earlier start
        self.bar.update(self.task, completed=done, total=total, visible=True)
        if self.finished:
            self.bar.stop()
            self.console.print(f"  {'history loaded':<38}{time.monotonic() - self.begun:6.1f} s")
        elif not self.console.is_terminal and done * 10 // total > self.tenths:
            self.tenths = done * 10 // total
            self.console.print(f"  history {self.tenths}0 %")


def _progress(line: bytes) -> tuple[int, int] | None:
    try:
        message = json.loads(line)
        return int(message["backlog_done"]), int(message["backlog_total"])
    except (ValueError, KeyError, TypeError):
        return None
