"""Reading the files that people give, above all the JSON that they write: scenes and model cards."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from sensor_sim.errors import SensorError
from sensor_sim.fields import known_fields

T = TypeVar("T")

MAX_BYTES = 4 * 2**20
UNREADABLE: dict[type[Exception], str] = {
    UnicodeDecodeError: "; save it as UTF-8",
    json.JSONDecodeError: "; correct it there",
}
# What to do about a value that does not fit its field, by patterns of the field and the complaint.
REMEDIES = {
    r"(.*: )?Object missing required field": "add it",
    r".*Expected `object`, got": "write it in braces, as in { … }",
    r".*Expected `array`, got": "write it in square brackets, as in [ … ]",
    r".*Expected `str`, got": 'write it in quotation marks, as in "…"',
    r".*Expected `(int|float)`, got": "write a number, without quotation marks",
    r".*Expected `bool`, got": "write true or false, without quotation marks",
    r".*Expected `array` of length >=": "give more",
    r".*Expected `array` of length <=": "give fewer",
    r".*Expected `str` of length >=": "make it longer",
    r".*Expected `str` of length <=": "make it shorter",
}
# A network that fits the chip has at most half of this as 32 bit floats.
LARGEST_MODEL = 64 * 2**20


def check_file(path: Path) -> None:
    """Raises :class:`OSError` for a pipe or a device, which might be waited for, or read, without an end."""
    if stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        raise OSError(None, "Is a pipe or a device, not a file")


def read_file(path: Path, most: int, remedy: str, smaller: str = "") -> bytes:
    """The whole file; raises :class:`SensorError` if it cannot be read, with the ``remedy``, or has more than
    ``most`` bytes, with the remedy ``smaller`` if that is another."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise SensorError(f"{path}: cannot be read: {error.strerror}; {remedy}") from None
    if len(content) > most:
        raise SensorError(f"{path}: larger than {most // 2**20} MiB; {smaller or remedy}")
    return content


def parse(text: bytes, kind: type[T], name: str, remedies: dict[str, str] | None = None) -> T:
    """JSON, with a byte order mark or without → ``kind``; raises :class:`SensorError` naming file, field and remedy.

    ``remedies`` are of this kind of document and go before :data:`REMEDIES`, which are of all. A field that is given
    twice is refused: of two contradicting ones, one would silently not count.
    """
    if not text.strip():
        raise SensorError(f"{name}: the file is empty")
    try:
        plain = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        remedy = UNREADABLE.get(type(error), "")
        raise SensorError(f"{name}: not readable as JSON: {error}{remedy}") from None
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at `$")
        where = field.rstrip("`").removeprefix(".")
        complaint = f"{where}: {reason}" if where else reason
        remedy = known_fields(error, kind, plain) or _remedy(complaint, (remedies or {}) | REMEDIES)
        raise SensorError(f"{name}: {complaint}{remedy}") from None


def _remedy(complaint: str, remedies: dict[str, str]) -> str:
    return next((f"; {remedy}" for begins, remedy in remedies.items() if re.match(begins, complaint)), "")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the field {twice!r} is there twice; keep one of them")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON; write a finite one")
