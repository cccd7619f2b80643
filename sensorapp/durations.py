"""Spans of time as people write them: ``2 h 0 min``, ``400 d``, and as an argument ``2h``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

UNITS: Final = {"d": 86_400, "h": 3600, "min": 60, "s": 1}
ARGUMENT: Final = re.compile(r"([+-]?)\s*" + r"\s*".join(rf"(?:(\d{{1,10}})\s*{unit})?" for unit in UNITS))
LONGEST: Final = timedelta(days=36_525)
DAYS_ALONE_FROM: Final = timedelta(days=10)


def written(span: timedelta) -> str:
    """A positive span in its largest unit and the next one, from ten days on in days alone."""
    seconds = span.total_seconds()
    if span >= DAYS_ALONE_FROM:
        return f"{round(seconds / UNITS['d'])} d"
    for (large, size), (small, part) in zip([*UNITS.items()], [*UNITS.items()][1:], strict=False):
        if (parts := round(seconds / part)) * part >= size:
            return f"{parts * part // size} {large} {parts * part % size // part} {small}"
    return f"{round(seconds)} s"


def argument(span: timedelta) -> str:
    """The same to the second and in one word, as :func:`read` takes it: ``-1d2h``."""
    rest = abs(round(span.total_seconds()))
    word = ""
    for unit, size in UNITS.items():
        number, rest = divmod(rest, size)
        word += f"{number}{unit}" if number else ""
    return ("-" if word and span < timedelta(0) else "") + (word or "0s")


def read(text: str) -> timedelta:
    """A span such as ``2 h 30 min``, ``-400d`` or, in seconds, ``3600``; raises :class:`ValueError`."""
    word = text.strip()
    found = ARGUMENT.fullmatch(f"{word}s" if word.lstrip("+-").isdecimal() else word)
    if found is None or not any(found.groups()[1:]):
        raise ValueError(f"{text!r} is no span of time; write it as 2h, 1d6h30min or 90s")
    sign, *numbers = found.groups()
    seconds = sum(int(number or 0) * size for number, size in zip(numbers, UNITS.values(), strict=True))
    if seconds > LONGEST // timedelta(seconds=1):
        raise ValueError(f"{text!r} is longer than a hundred years")
    return timedelta(seconds=-seconds if sign == "-" else seconds)
