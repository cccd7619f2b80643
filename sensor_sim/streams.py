"""What may stand between a source and what takes its frames: an end, and a sign of progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from operator import length_hint
from typing import Protocol, TextIO, TypeVar

EVERY_S = 0.5
ERASE = "\r\x1b[K"  # back to the beginning of the line, and clear it


class Timed(Protocol):
    """A frame, or what a chip says of one."""

    @property
    def at(self) -> float: ...


T = TypeVar("T", bound=Timed)
U = TypeVar("U")


def first(stream: Iterable[T | None], seconds: float) -> Iterator[T | None]:
    """What the first ``seconds`` of a source hold; None, as of a camera that is away, is of now."""
    begin: float | None = None
    for one in stream:
        at = one.at if one else time.time()
        begin = at if begin is None else begin
        if at - begin >= seconds:
            return
        yield one


class Progress:
    """One line of progress where ``output`` is a terminal, and nothing at all elsewhere.

    It says how many frames are done, of how many if the source gives a ``__length_hint__``, and how many
    seconds of the frames' own time that is for each second that it took.
    """

    def __init__(self, output: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._wanted = output.isatty()

    def follow(self, source: Iterable[T | None]) -> Iterable[T | None]:
        return self._follow(source, length_hint(source)) if self._wanted else source

    def beside(self, lines: Iterable[U]) -> Iterator[U]:
        """Makes room for what is printed of each of ``lines``, and for whatever follows them."""
        try:
            for line in lines:
                self._show("")
                yield line
        finally:
            self._show("")

    def _follow(self, source: Iterable[T | None], total: int) -> Iterator[T | None]:
        of = f" of {total}" if total else ""
        begin, due, done, first_at = self._clock(), 0.0, 0, 0.0
        for frame in source:
            yield frame
            if frame is None:
                continue
            done += 1
            first_at = first_at or frame.at
            took = self._clock() - begin
            if took >= due:
                due = took + EVERY_S
                speed = (frame.at - first_at) / max(took, 1e-9)
                self._show(f"{done}{of} frames in {took:.0f} s, {speed:.2f} x real time")

    def _show(self, text: str) -> None:
        if self._wanted:
            print(f"{ERASE}{text}", end="", file=self._output, flush=True)
