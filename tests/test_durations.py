"""Spans of time, written and read again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorapp.durations import LONGEST, argument, read, written


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (750, "12 min 30 s"),
        (7199.6, "2 h 0 min"),
        (7230, "2 h 0 min"),
        (86_399.9, "1 d 0 h"),
        (86_400 + 6 * 3600, "1 d 6 h"),
        (9.9 * 86_400, "9 d 22 h"),
        (400.2 * 86_400, "400 d"),
    ],
)
def test_a_span_is_written_in_two_units(seconds: float, words: str) -> None:
    assert written(timedelta(seconds=seconds)) == words


@given(st.integers(-LONGEST // timedelta(seconds=1), LONGEST // timedelta(seconds=1)))
def test_an_argument_is_read_as_it_was_meant(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert read(argument(span)) == read(str(seconds)) == span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2 h 0 min", 7200), ("-1d6h30min", -109_800), ("+90s", 90), (" 400 d ", 34_560_000)],
)
def test_people_write_spans_as_they_like(text: str, seconds: int) -> None:
    assert read(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-", "s", "2 hours", "1h2d", "1.5h", "--2h", "h", "2h3"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no span of time; write it as 2h, 1d6h30min or 90s") as caught:
        read(text)
    assert repr(text) in str(caught.value)


def test_a_span_beyond_all_clocks_is_refused() -> None:
    with pytest.raises(ValueError, match="'40000d' is longer than a hundred years"):
        read("40000d")
    with pytest.raises(ValueError, match="is longer than a hundred years"):
        read("9999999999d")
