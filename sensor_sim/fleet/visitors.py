"""A store's visitors of one day: who comes when, through which door, past which zones, and takes what.

All sensors of a store look at this one stream, so that what they report belongs together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sensor_sim.fleet.demand import Day, expected_visitors, hours_of_day, random
from sensor_sim.fleet.plan import Store, Zone

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

MINUTE = 60_000
QUARTER = 15 * MINUTE
MOST_STOPS = 6
LAST_ARRIVAL_BEFORE_CLOSING = 5 * MINUTE
GRACE_AFTER_CLOSING = (1 * MINUTE, 12 * MINUTE)
WALK_S, WALK_SPREAD = 22.0, 0.5
SHORTEST_STAY_S, LONGEST_STAY_S = 1.5, 45 * 60.0
SAME_DOOR = 0.7
TURN_BACK = 0.02
# Where people stop if no sensor looks at any zone.
UNSEEN = Zone(0, "unseen", weight=1.0, dwell_s=60.0)


@dataclass(frozen=True, slots=True)
class Passages:
    """Moments at which somebody passes a door, by the line's position in ``Store.lines``."""

    at: Ints
    line: Ints
    entering: Bools


@dataclass(frozen=True, slots=True)
class Stops:
    """Stays in zones, by the zone's position in ``Store.zones``."""

    zone: Ints
    enter: Ints
    leave: Ints


@dataclass(frozen=True, slots=True)
class Picks:
    """Units taken off a shelf, by the slot's position in ``Store.slots``."""

    at: Ints
    slot: Ints


@dataclass(frozen=True, slots=True)
class Stream:
    passages: Passages
    stops: Stops
    picks: Picks


def stream(store: Store, day: Day, seed: int) -> Stream:
    """The visitors of ``day``, from the first who comes in to the last who leaves, all of it within the day."""
    rng = random(seed, store.slug, day.date)
    arrive = arrivals(store, day, expected_visitors(store, day, seed), rng)
    buys = rng.random(arrive.size) < store.demand.buyers
    stops, leave, visitor = paths(store, day, arrive, buys, rng)
    return Stream(passages(store, arrive, leave, rng), stops, picks(store, stops, buys[visitor], rng))


def arrivals(store: Store, day: Day, expected: float, rng: np.random.Generator) -> Ints:
    """Sorted moments of arrival: a Poisson process whose rate follows the hours that the store's clock shows."""
    if day.opening is None:
        return np.empty(0, np.int64)
    opens, closes = day.opening
    hours = store.demand.weekend_hours if day.date.weekday() >= 5 else store.demand.hours
    edges = np.arange(opens, closes - LAST_ARRIVAL_BEFORE_CLOSING, QUARTER // 3, dtype=np.float64)
    rate = np.interp(hours_of_day(edges, store.time_zone), np.arange(24) + 0.5, hours)
    cumulative = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)))
    if cumulative[-1] == 0:  # too short a day, or one of hours in which nobody comes
        return np.empty(0, np.int64)
    chance = np.sort(rng.random(rng.poisson(expected))) * cumulative[-1]
    moments: Ints = np.interp(chance, cumulative, edges).astype(np.int64)
    return moments


def choose(weights: list[float], size: int | tuple[int, int], rng: np.random.Generator) -> Ints:
    cumulative = np.cumsum(weights)
    chosen = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
    within: Ints = np.minimum(chosen, len(weights) - 1)
    return within


def paths(
    store: Store, day: Day, arrive: Ints, buys: Bools, rng: np.random.Generator
) -> tuple[Stops, Ints, Ints]:
    """The stops of all visitors, when each visitor leaves, and whose each stop is."""
    zones = [zone for _, zone in store.zones] or [UNSEEN]
    count = np.minimum(1 + rng.poisson(store.demand.stops - 1, arrive.size) + buys, MOST_STOPS)
    chosen = choose([0.0 if z.checkout else z.weight for z in zones], (arrive.size, MOST_STOPS), rng)
    tills = choose([z.weight if z.checkout else 0.0 for z in zones], arrive.size, rng)
    chosen[buys, count[buys] - 1] = tills[buys]
    real = np.arange(MOST_STOPS) < count[:, None]

    median = np.log([zone.dwell_s for zone in zones])
    spread = np.array([zone.spread for zone in zones])
    stay = np.exp(median[chosen] + spread[chosen] * rng.standard_normal(chosen.shape))
    stay = np.clip(stay, SHORTEST_STAY_S, LONGEST_STAY_S) * real
    walk = WALK_S * np.exp(WALK_SPREAD * rng.standard_normal(chosen.shape)) * real
    ends = np.cumsum(stay + walk, axis=1)
    total = ends[:, -1] + WALK_S * np.exp(WALK_SPREAD * rng.standard_normal(arrive.size))

    # Whoever is still inside after closing hurries: all that is left of the visit, in proportion. The later
    # the store closes the more, so that all are out before midnight.
    closes = min(day.opening[1], day.ends - MINUTE) if day.opening else 0
    part = min(1.0, (day.ends - closes) / (GRACE_AFTER_CLOSING[1] + MINUTE))
    allowed = (closes + part * rng.uniform(*GRACE_AFTER_CLOSING, arrive.size) - arrive) / 1000
    hurry = np.minimum(1.0, allowed / np.maximum(total, 1.0))
    enter = arrive[:, None] + ((ends - stay) * hurry[:, None] * 1000).astype(np.int64)
    end = arrive[:, None] + (ends * hurry[:, None] * 1000).astype(np.int64)
    leave = arrive + (total * hurry * 1000).astype(np.int64)
    visitor = np.nonzero(real)[0]
    return Stops(chosen[real], enter[real], np.maximum(end[real], enter[real] + 1)), leave, visitor


def passages(store: Store, arrive: Ints, leave: Ints, rng: np.random.Generator) -> Passages:
    """Everybody comes in and goes out once; a few turn back in the door."""
    shares = [line.share for _, line in store.lines] or [1.0]
    come = choose(shares, arrive.size, rng)
    go = np.where(rng.random(arrive.size) < SAME_DOOR, come, choose(shares, arrive.size, rng))
    turning = np.nonzero(rng.random(arrive.size) < TURN_BACK)[0]
    turn_in = arrive[turning] + rng.integers(1_000, 30_000, turning.size)
    turn_out = turn_in + rng.integers(3_000, 15_000, turning.size)
    at = np.concatenate((arrive, turn_in, leave, turn_out))
    line = np.concatenate((come, come[turning], go, come[turning]))
    order = np.argsort(at, kind="stable")
    return Passages(at[order], line[order], (np.arange(at.size) < arrive.size + turning.size)[order])


def picks(store: Store, stops: Stops, buying: Bools, rng: np.random.Generator) -> Picks:
    """What buyers take off the shelves of the zones where they stop, while they stop there."""
    at: list[Ints] = [np.empty(0, np.int64)]
    slot: list[Ints] = [np.empty(0, np.int64)]
    for position, (_, zone) in enumerate(store.zones):
        shelf = [i for i, (_, one) in enumerate(store.slots) if one.zone == zone.name]
        if not shelf or not zone.picks:
            continue
        here = np.nonzero((stops.zone == position) & buying)[0]
        taken = np.repeat(here, rng.poisson(zone.picks, here.size))
        stay = stops.leave[taken] - stops.enter[taken]
        at.append(stops.enter[taken] + (stay * rng.random(taken.size)).astype(np.int64))
        weights = [store.slots[i][1].weight for i in shelf]
        slot.append(np.array(shelf, np.int64)[choose(weights, taken.size, rng)])
    moments, slots = np.concatenate(at), np.concatenate(slot)
    order = np.argsort(moments, kind="stable")
    return Picks(moments[order], slots[order])
