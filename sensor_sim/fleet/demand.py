"""How many people come on a day, and when a store is open."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from sensor_sim.fleet.plan import Store

# The weather of a day is what remains of the last days' weather plus something new: an autoregressive
# process of order one, cut off where it no longer matters so that each day can be computed by itself.
WEATHER_MEMORY = 0.65
WEATHER_DAYS = 10
WEATHER_DEVIATION = 0.11
# Two weeks before Christmas a tenth more, half a year later a tenth fewer.
SEASON_AMPLITUDE = 0.10
SEASON_PEAK_DAY = 348
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Day:
    """A store's local day: its bounds and opening, in Unix milliseconds. ``number`` counts from the origin."""

    date: date
    number: int
    begins: int
    ends: int
    opening: tuple[int, int] | None
    dark: tuple[int, int] | None


def random(*key: object) -> np.random.Generator:
    """A generator that is the same wherever and whenever it is made from the same key."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def day_of(store: Store, origin: date, day: date) -> Day:
    zone = ZoneInfo(store.time_zone)
    number = (day - origin).days
    cuts = (span(day, cut.begins, cut.ends, zone) for cut in store.power_cuts if cut.day == number)
    hours = store.opening_hours[day.weekday()]
    if holiday_factor(store, day) == 0:
        hours = None
    return Day(
        day,
        number,
        at(day, time.min, zone),
        at(day + timedelta(days=1), time.min, zone),
        span(day, *hours, zone) if hours else None,
        next(cuts, None),
    )


def span(day: date, begins: time, ends: time, zone: ZoneInfo) -> tuple[int, int]:
    """From one local time to another; a time that the clocks skip is as much later as they are then."""
    begin = at(day, begins, zone)
    return begin, max(begin, at(day, ends, zone))


def at(day: date, moment: time, zone: ZoneInfo) -> int:
    """Unix milliseconds of a local time, rounded down: no time of a day is midnight of the next."""
    return (datetime.combine(day, moment, zone) - EPOCH) // MILLISECOND


def hours_of_day(moments: npt.NDArray[np.float64], time_zone: str) -> npt.NDArray[np.float64]:
    """What a clock shows at each moment, in hours since midnight; one that is changed shows some twice, or never."""
    zone = ZoneInfo(time_zone)
    shown = (datetime.fromtimestamp(moment / 1000, zone) for moment in moments.tolist())
    return np.array([clock.hour + clock.minute / 60 + clock.second / 3600 for clock in shown])


def local_date(now_ms: int, time_zone: str) -> date:
    return datetime.fromtimestamp(now_ms / 1000, ZoneInfo(time_zone)).date()


def expected_visitors(store: Store, day: Day, seed: int) -> float:
    """The mean of the number of visitors on ``day``; 0 when closed."""
    if day.opening is None:
        return 0.0
    return (
        store.demand.visitors
        * store.demand.weekdays[day.date.weekday()]
        * holiday_factor(store, day.date)
        * season(day.date)
        * weather(seed, store.slug, day.date)
        * campaign_factor(store, day.number)
    )


def holiday_factor(store: Store, day: date) -> float:
    return next((holiday.factor for holiday in store.holidays if holiday.is_on(day)), 1.0)


def campaign_factor(store: Store, number: int) -> float:
    running = (c.factor for c in store.campaigns if c.begins <= number < c.begins + c.days)
    return math.prod(running)


def season(day: date) -> float:
    phase = 2 * math.pi * (day.timetuple().tm_yday - SEASON_PEAK_DAY) / 365.25
    return 1.0 + SEASON_AMPLITUDE * math.cos(phase)


def weather(seed: int, slug: str, day: date) -> float:
    """A factor around 1 that changes slowly from day to day."""
    innovation = WEATHER_DEVIATION * math.sqrt(1 - WEATHER_MEMORY**2)
    value = sum(
        WEATHER_MEMORY**age * novelty(seed, slug, day.toordinal() - age) for age in range(WEATHER_DAYS)
    )
    return math.exp(innovation * value - WEATHER_DEVIATION**2 / 2)


@lru_cache(maxsize=256)
def novelty(seed: int, slug: str, ordinal: int) -> float:
    return float(random(seed, "weather", slug, ordinal).standard_normal())
