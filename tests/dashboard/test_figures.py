"""How numbers, shares, spans and times are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dashboard.templatetags.figures import (
    age,
    age_text,
    change,
    clock_error,
    count,
    difference,
    duration,
    moment,
    share,
    skew,
)
from tests.dashboard.site import words

NOON = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (999, "999"), (1234567, "1,234,567")])
def test_count(value: int, text: str) -> None:
    assert count(value) == text


def test_what_is_not_known_is_a_dash_and_a_word_for_who_cannot_see_it() -> None:
    for written in (count(None), share(None), duration(None)):
        assert words(written) == "\N{EN DASH} not known"


@pytest.mark.parametrize(
    ("value", "text"), [(12, "+12"), (-1234, "\N{MINUS SIGN}1,234"), (0, "\N{PLUS-MINUS SIGN}0")]
)
def test_difference(value: int, text: str) -> None:
    assert difference(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.118, "+12 %"), (-0.5, "\N{MINUS SIGN}50 %"), (-0.004, "\N{PLUS-MINUS SIGN}0 %"), (11.5, "+1,150 %")],
)
def test_change(ratio: float, text: str) -> None:
    assert plain(change(ratio)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0 %"), (0.001, "< 1 %"), (0.29, "29 %"), (0.9999, "99 %"), (1.0, "100 %")]
)
def test_share(value: float, text: str) -> None:
    assert plain(share(value)) == text


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_share_is_whole_only_where_nothing_is_missing(part: int, rest: int) -> None:
    assert plain(share(part / (part + rest))) not in ("0 %", "100 %")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (8.44, "8.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (84.0, "1 min 24 s"),
        (3599.6, "1 h"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert plain(duration(seconds)) == text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0.9, "less than 1 min"), (59.9, "59 min"), (60, "1 h"), (47.9 * 60, "47 h"), (48 * 60, "2 days")],
)
def test_age(minutes: float, text: str) -> None:
    assert plain(age_text(timedelta(minutes=minutes))) == text


def test_an_age_carries_the_moment_that_it_counts_from() -> None:
    written = age(NOON - timedelta(minutes=5), NOON)
    assert plain(written) == '<time datetime="2026-06-10T11:55:00+00:00" data-age>5 min</time>'


def test_a_moment_is_local_and_names_the_day_where_it_is_another() -> None:
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        assert moment(NOON, NOON) == "17:30"
        assert moment(NOON - timedelta(hours=18), NOON) == "9 Jun, 23:30"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12 * 60, "12 min ahead"),
        (-9000, "2 h 30 min behind"),
        (86_399.7, "1 d ahead"),
        (1.25 * 86_400, "1 d 6 h ahead"),
        (-400.2 * 86_400, "400 d behind"),
        (25_965.0 * 86_400, "71 years ahead"),
    ],
)
def test_a_wrong_clock(seconds: float, text: str) -> None:
    """Measured with what the way took, so that a clock just a day ahead is some milliseconds less."""
    assert plain(clock_error(timedelta(seconds=seconds))) == plain(skew(timedelta(seconds=seconds))) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "right"), (-0.99, "right"), (-3.2, "3.2 s behind"), (59.0, "59 s ahead")]
)
def test_a_clock_that_is_right_or_nearly(seconds: float, text: str) -> None:
    assert plain(skew(timedelta(seconds=seconds))) == text
