"""A store to look at: one entrance, a zone, a shelf, and a clock that stands still."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from html import unescape

from analytics.counts.days import to_ms
from sensorapp import wire
from sensorapp.fleet.models import ChannelKind, Sensor, Store
from tests.cast import Cast, build_cast, channel, make_door, make_sensor, open_daily, plan
from tests.counts.site import crossing, send, watching

# Wednesday, 14:07 in Hamburg, whose clocks are two hours ahead of UTC in June.
NOW = datetime(2026, 6, 10, 12, 7, 30, tzinfo=UTC)
OPENED = datetime(2026, 6, 10, 7, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Shop:
    """``cast.store`` with a door sensor and a shelf sensor that have observed since it opened."""

    cast: Cast
    store: Store
    door: Sensor
    shelf: Sensor


def build_shop() -> Shop:
    """Today 3 went in and 1 out, last Wednesday 2 went in; a bottle is left of the 6 that have room."""
    cast = build_cast()
    open_daily(cast.store, time(9), time(20))
    door = make_door(cast.store, "Main door")
    shelf, _ = make_sensor(cast.store, "Shelf A", zones=["Aisle"], slots=["A-01"])
    plan(channel(shelf, ChannelKind.SLOT), "Cola", facings=2, capacity=6)
    send(door, [*watching(OPENED - WEEK, NOW - WEEK), *[crossing(NOW - WEEK - timedelta(hours=1))] * 2])
    today = [
        *[crossing(NOW - timedelta(hours=1))] * 3,
        crossing(NOW - timedelta(minutes=30), "backward"),
        *watching(OPENED, NOW),
    ]
    send(door, today, NOW)
    send(shelf, [*watching(OPENED, NOW), *shelf_events()], NOW)
    return Shop(cast, cast.store, door, shelf)


def enter(door: Sensor, number: int) -> None:
    """Somebody comes in just now."""
    send(door, [crossing(NOW - timedelta(seconds=1))] * number, NOW)


def shelf_events() -> list[wire.Event]:
    at = to_ms(NOW)
    return [
        wire.Visit(at - 60_000, 0, 90_000),
        wire.Occupancy(at - 1000, 0, 2),
        wire.Shelf(at - 1000, 0, 1, 0.9),
    ]


def words(html: str) -> str:
    """What a person reads, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def figures(html: str) -> dict[str, str]:
    """The headline's figures by name."""
    found = re.findall(r'data-figure="(\w+)">(.*?)</p>', html, re.S)
    return {name: words(value) for name, value in found}


def fragment_of(page: str) -> str:
    """The part of a store's page that is live."""
    begin = page.index('<div id="store"')
    return page[page.index(">", begin) + 1 : page.index('<section class="card trend"')].rsplit("</div>", 1)[0]
