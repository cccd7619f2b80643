"""Types of arguments that commands share. What cannot be read is said in a sentence, with the argument's name."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime, time, timedelta

from django.utils.dateparse import parse_date, parse_datetime

from sensorapp import durations


def moment(text: str) -> datetime:
    """A time such as 2026-11-25T06:00, in UTC where it names no zone; a date is its beginning."""
    try:
        found = parse_datetime(text) or midnight(text)
    except ValueError:
        found = None
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no time; write it as 2026-11-25T06:00")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def midnight(text: str) -> datetime | None:
    date = parse_date(text)
    return None if date is None else datetime.combine(date, time())


def span(text: str) -> timedelta:
    """A span of time such as 2h, -1d6h30min or, in seconds, 3600."""
    try:
        return durations.read(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
