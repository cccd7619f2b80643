"""What the sensors report of a store's visitors, each for itself and each with its faults."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np

from sensor_sim.fleet.demand import Day, random
from sensor_sim.fleet.plan import Drift, Line, Plan, Sensor, Slot, Store
from sensor_sim.fleet.visitors import MINUTE, QUARTER, Bools, Floats, Ints, Passages, Picks, Stops, Stream
from sensorapp import wire

HISTORY_HEARTBEAT, LIVE_HEARTBEAT = QUARTER, MINUTE
FRAMES_PER_S, INFERRED = 30, 0.97
DNN_US, DNN_US_DEVIATION = 13_960, 45
DIRECTIONS: Final[tuple[wire.Direction, wire.Direction]] = ("backward", "forward")
# A visitor whom a zone's sensor never sees.
OVERLOOKED = 0.02
# Shelves are filled before opening and on rounds during the day; some rounds are skipped, and now and then
# a product was not delivered for two days.
MORNING_ROUND = 40 * MINUTE
DAY_ROUNDS = (0.42, 0.72)
ROUND_JITTER = 0.05
ROUND_SKIPPED = 0.12
SECONDS_PER_SLOT = 20
NOT_DELIVERED = 0.04
DAYS_WITHOUT_DELIVERY = 2
LEFT_OVER = 0.3


@dataclass(frozen=True, slots=True)
class Readings:
    """Events of one kind: when, and how to make them."""

    at: Ints
    events: Callable[[], Iterator[wire.Event]]


@dataclass(frozen=True, slots=True)
class Look:
    """One sensor's view of one day."""

    plan: Plan
    store: Store
    sensor: Sensor
    day: Day
    stream: Stream
    rng: np.random.Generator

    def report(self) -> list[Readings]:
        readings = [self.heartbeats()]
        for position, (sensor, line) in enumerate(self.store.lines):
            if sensor is self.sensor:
                readings.append(self.crossings(position, line))
        for position, (sensor, zone) in enumerate(self.store.zones):
            if sensor is self.sensor:
                readings.extend(self.stays(position, zone.number))
        slots = [i for i, (sensor, _) in enumerate(self.store.slots) if sensor is self.sensor]
        if slots:
            readings.append(self.units(slots))
        return readings

    # --- doors ---

    def crossings(self, position: int, line: Line) -> Readings:
        passages: Passages = self.stream.passages
        seen = (passages.line == position) & self.awake(passages.at)
        if line.drift:
            seen &= self.rng.random(seen.size) >= lost_share(line.drift, self.day.number)
        at, entering = passages.at[seen], passages.entering[seen]
        forward = entering if line.entry_direction == "forward" else ~entering

        def events() -> Iterator[wire.Event]:
            words = (DIRECTIONS[ahead] for ahead in forward.tolist())
            return map(wire.Crossing, at.tolist(), repeat(line.number), words)

        return Readings(at, events)

    # --- zones ---

    def stays(self, position: int, number: int) -> tuple[Readings, Readings]:
        stops: Stops = self.stream.stops
        seen = (stops.zone == position) & (self.rng.random(stops.zone.size) >= OVERLOOKED)
        enter, leave = stops.enter[seen], stops.leave[seen]
        whole = self.awake_throughout(enter, leave)
        order = np.argsort(leave[whole], kind="stable")
        ends, dwell = leave[whole][order], (leave - enter)[whole][order]

        def visits() -> Iterator[wire.Event]:
            return map(wire.Visit, ends.tolist(), repeat(number), dwell.tolist())

        at, people = occupancy(enter, leave)
        at, _, people = self.heard(at, np.zeros_like(at), people)

        def counts() -> Iterator[wire.Event]:
            return map(wire.Occupancy, at.tolist(), repeat(number), people.tolist())

        return Readings(ends, visits), Readings(at, counts)

    # --- shelves ---

    def units(self, positions: list[int]) -> Readings:
        slots = [self.store.slots[position][1] for position in positions]
        at, slot, units = self.shelf_life(slots, positions)
        at, slot, units = self.heard(at, slot, units)
        confidence = np.round(self.rng.uniform(0.82, 0.99, at.size), 2)
        numbers = np.array([one.number for one in slots])[slot]

        def events() -> Iterator[wire.Event]:
            return map(wire.Shelf, at.tolist(), numbers.tolist(), units.tolist(), confidence.tolist())

        return Readings(at, events)

    def shelf_life(self, slots: list[Slot], positions: list[int]) -> tuple[Ints, Ints, Ints]:
        """Every change of units: when, in which of ``slots`` (by position), and to how many."""
        rounds, level = self.rounds(slots)
        if not len(rounds):
            empty = np.empty(0, np.int64)
            return empty, empty, empty
        picks: Picks = self.stream.picks
        place = np.full(len(self.store.slots), -1)
        place[positions] = np.arange(len(positions))
        slot = place[picks.slot]
        taken, slot = picks.at[slot >= 0], slot[slot >= 0]
        # Between two rounds, the n-th pick from a slot finds n - 1 units fewer than the first.
        latest = (taken >= rounds[:, slot]).sum(axis=0) - 1
        left = level[latest, slot] - 1 - rank_within(slot * len(rounds) + latest)
        sold = left >= 0
        # The morning round touches every slot, a later one those that were sold from.
        touched = np.zeros((len(rounds) + 1, len(slots)), bool)
        touched[latest[sold] + 1, slot[sold]] = True
        touched[0] = True
        filled, filled_slot = np.nonzero(touched[:-1] & (rounds < self.day.ends))
        at = np.concatenate((rounds[filled, filled_slot], taken[sold]))
        which = np.concatenate((filled_slot, slot[sold]))
        units = np.concatenate((level[filled, filled_slot], left[sold]))
        order = np.argsort(at, kind="stable")
        return at[order], which[order], units[order]

    def rounds(self, slots: list[Slot]) -> tuple[Ints, Ints]:
        """When each round fills each slot, and to how many units: two arrays of shape (rounds, slots)."""
        if self.day.opening is None:
            return np.empty((0, 0), np.int64), np.empty((0, 0), np.int64)
        opens, closes = self.day.opening
        later = (np.array(DAY_ROUNDS) + self.rng.uniform(-ROUND_JITTER, ROUND_JITTER, len(DAY_ROUNDS))) * (
            closes - opens
        )
        later = later[self.rng.random(len(DAY_ROUNDS)) >= ROUND_SKIPPED]
        begins = opens + np.concatenate(([-MORNING_ROUND], later)).astype(np.int64)
        rounds = begins[:, None] + 1000 * SECONDS_PER_SLOT * np.arange(len(slots))
        capacity = np.array([slot.capacity for slot in slots])
        level = np.tile(capacity, (len(begins), 1))
        short = self.shortage(len(slots))
        level[0] = np.where(short < 1.0, (capacity * short).astype(np.int64), capacity)
        # What was not delivered cannot be filled up: such a slot's later rounds come after the day.
        rounds[1:, short < 1.0] = self.day.ends
        return rounds, level

    def shortage(self, slots: int) -> Floats:
        """For each slot 1, or the part of its capacity that is left over where nothing was delivered."""
        period = self.day.date.toordinal() // DAYS_WITHOUT_DELIVERY
        rng = random(self.plan.seed, "delivery", self.store.slug, self.sensor.name, period)
        missing = rng.random(slots) < NOT_DELIVERED
        return np.where(missing, rng.uniform(0.0, LEFT_OVER, slots), 1.0)

    # --- the sensor itself ---

    def heartbeats(self) -> Readings:
        at, observed = beats(self.day, self.plan.live_from, self.phase())
        if self.day.dark:
            on_again = self.day.dark[1]
            observed = np.where(at > on_again, np.minimum(observed, at - on_again), observed)
        awake = self.awake(at)
        at, observed = at[awake], observed[awake]
        frames = observed * FRAMES_PER_S // 1000
        inferences = (frames * (INFERRED + self.rng.uniform(-0.01, 0.01, at.size))).astype(np.int64)
        noon = (at - self.day.begins) / (self.day.ends - self.day.begins) * 2 * np.pi
        warmth = np.round(37.5 - 3.5 * np.cos(noon) + self.rng.normal(0.0, 0.4, at.size), 1)
        dnn = self.rng.normal(DNN_US, DNN_US_DEVIATION, at.size).astype(np.int64)

        def events() -> Iterator[wire.Event]:
            columns = (at, observed, frames, inferences, warmth, dnn)
            return map(wire.Heartbeat, *(column.tolist() for column in columns))

        return Readings(at, events)

    def phase(self) -> int:
        """When within a minute this sensor sends its heartbeats, so that not all send at once."""
        return zlib.crc32(f"{self.store.slug}/{self.sensor.name}".encode()) % MINUTE

    def awake(self, at: Ints) -> Bools:
        if self.day.dark is None:
            return np.ones(at.size, bool)
        return (at < self.day.dark[0]) | (at >= self.day.dark[1])

    def awake_throughout(self, begin: Ints, end: Ints) -> Bools:
        if self.day.dark is None:
            return np.ones(begin.size, bool)
        return (end < self.day.dark[0]) | (begin >= self.day.dark[1])

    def heard(self, at: Ints, channel: Ints, value: Ints) -> tuple[Ints, Ints, Ints]:
        """A gauge's changes less those in the dark; when the light comes back, the sensor says what it sees."""
        if self.day.dark is None:
            return at, channel, value
        off, on = self.day.dark
        before = at < on
        last = dict(zip(channel[before].tolist(), value[before].tolist(), strict=True))
        kept = self.awake(at)
        seen = np.array(list(last), np.int64)
        split = int((at < off).sum())
        return (
            np.insert(at[kept], split, np.full(seen.size, on)),
            np.insert(channel[kept], split, seen),
            np.insert(value[kept], split, np.array(list(last.values()), np.int64)),
        )


def lost_share(drift: Drift, number: int) -> float:
    return min(max(number - drift.begins, 0) * drift.per_day, drift.at_most)


def occupancy(enter: Ints, leave: Ints) -> tuple[Ints, Ints]:
    """When the number of people in a zone changes, and to what. One change a moment."""
    at = np.concatenate((enter, leave))
    step = np.concatenate((np.ones_like(enter), -np.ones_like(leave)))
    order = np.argsort(at, kind="stable")
    at, people = at[order], np.cumsum(step[order])
    last = np.append(at[1:] != at[:-1], True)[: at.size]
    return at[last], people[last]


def rank_within(key: Ints) -> Ints:
    """For each element, how many equal ones stand before it."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    first = np.append(True, ordered[1:] != ordered[:-1])[: key.size]
    position = np.arange(key.size)
    rank = np.empty(key.size, np.int64)
    rank[order] = position - np.maximum.accumulate(np.where(first, position, 0))
    return rank


def beats(day: Day, live_from: int, phase: int) -> tuple[Ints, Ints]:
    """A day's heartbeats and what each observed: the time since the one before. Both in milliseconds.

    Quarters of an hour and minutes lie on the same grid in every time zone, and ``live_from`` is on it.
    """
    change = live_from + phase
    rare = np.arange(first_beat(day.begins, QUARTER, phase), min(day.ends, change + 1), QUARTER)
    often = np.arange(first_beat(max(day.begins, change + 1), MINUTE, phase), day.ends, MINUTE)
    observed = np.repeat([HISTORY_HEARTBEAT, LIVE_HEARTBEAT], [rare.size, often.size])
    return np.concatenate((rare, often)), observed


def first_beat(begin: int, interval: int, phase: int) -> int:
    """The first moment from ``begin`` on that is a multiple of ``interval`` plus ``phase``."""
    return begin + (phase - begin) % interval
