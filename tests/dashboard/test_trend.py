"""The last six weeks."""

from __future__ import annotations

from datetime import date, timedelta

from django.template.loader import render_to_string
from django.test import Client

from analytics.counts.daily import DayTraffic
from dashboard.trend import trend
from tests.dashboard.site import NOW, Shop, words

TODAY = date(2026, 6, 10)


def days(*values: tuple[int | None, int, int]) -> list[DayTraffic]:
    first = TODAY - timedelta(days=len(values) - 1)
    return [
        DayTraffic(first + timedelta(days=n), entries, entries, observed, expected)
        for n, (entries, observed, expected) in enumerate(values)
    ]


def test_a_day_is_known_in_part_or_not_at_all() -> None:
    found = trend(days((100, 11, 11), (50, 5, 11), (None, 0, 11), (40, 0, 0), (0, 11, 11), (25, 6, 6)), TODAY)
    assert found.most == 100
    assert [(day.entries, day.height, day.state) for day in found.days] == [
        (100, 100.0, "known"),
        (50, 50.0, "partly"),
        (None, 0.0, "unknown"),
        (40, 40.0, "known"),
        (0, 0.0, "known"),
        (25, 25.0, "today"),
    ]


def test_weeks_in_which_nothing_was_known_are_empty() -> None:
    found = trend(days((None, 0, 0), (None, 0, 0)), TODAY)
    assert found.is_empty
    html = render_to_string("dashboard/_trend.html", {"trend": found})
    assert words(html) == "Nothing has been observed in these weeks yet."


def test_the_page_lists_each_day_in_words(shop: Shop) -> None:
    client = Client()
    client.force_login(shop.cast.manager)
    html = client.get("/nordlicht/hamburg/trend/").text
    assert html.count("<li") == 5 * 7 + NOW.isoweekday()
    said = words(html)
    assert "Wednesday 10 June: 3 entries so far" in said
    assert "Tuesday 9 June: not known" in said
    assert "Wednesday 3 June: 2 entries" in said
