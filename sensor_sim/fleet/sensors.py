"""What the sensors report of a store's visitors, each for itself and each with its faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sensor_sim.fleet import errors
from sensor_sim.fleet.demand import Day, random
from sensor_sim.fleet.errors import ErrorModel
from sensor_sim.fleet.plan import Drift, Line, Plan, Sensor, Slot, Store
from sensor_sim.fleet.visitors import MINUTE, Bools, Floats, Ints, Passages, Picks, Stops, Stream
from sensorapp import wire

DIRECTIONS: Final[tuple[wire.Direction, wire.Direction]] = ("backward", "forward")
# Confidences of a shelf's readings, in per cent.
CONFIDENCE = (82, 99)
# Shelves are filled before opening, on the same day, and on rounds while the store is open; some rounds are
# skipped, and now and then a product was not delivered for two days.
MORNING_ROUND = 40 * MINUTE
DAY_ROUNDS = (0.42, 0.72)
ROUND_JITTER = 0.05
ROUND_SKIPPED = 0.12
SECONDS_PER_SLOT = 20
NOT_DELIVERED = 0.04
DAYS_WITHOUT_DELIVERY = 2
LEFT_OVER = 0.3


def crossing(at: int, line: int, forward: int) -> wire.Event:
    return wire.Crossing(at, line, DIRECTIONS[forward])


def shelf(at: int, slot: int, reading: int) -> wire.Event:
    units, confidence = divmod(reading, 100)
    return wire.Shelf(at, slot, units, confidence / 100)


# How an event of each kind is made of its time, its channel and its value.
MAKERS: Final = (crossing, wire.Visit, wire.Occupancy, shelf)
CROSSING, VISIT, OCCUPANCY, SHELF = range(len(MAKERS))


@dataclass(frozen=True, slots=True)
class Readings:
    """Events as columns of equal length, in the order of time; ``kind`` is the place in ``MAKERS``.

    For an event of its time, channel and value are kept, and the object is made when it is sent: a day of
    a store has some ten thousand of them.
    """

    at: Ints
    kind: npt.NDArray[np.uint8]
    channel: npt.NDArray[np.uint16]
    value: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.at.size)

    def event(self, place: int) -> wire.Event:
        make = MAKERS[self.kind[place]]
        return make(int(self.at[place]), int(self.channel[place]), int(self.value[place]))

    def between(self, first: int, stop: int) -> Readings:
        """A copy of a part, so that the rest can be forgotten."""
        part = slice(first, stop)
        return Readings(
            self.at[part].copy(), self.kind[part].copy(), self.channel[part].copy(), self.value[part].copy()
        )


def readings(kind: int, at: Ints, channel: Ints | int, value: Ints) -> Readings:
    return Readings(
        at,
        np.full(at.size, kind, np.uint8),
        np.broadcast_to(np.asarray(channel, np.uint16), at.shape),
        value.astype(np.int32),
    )


def together(parts: list[Readings]) -> Readings:
    """All of them in the order of time."""
    if not parts:
        return readings(CROSSING, NOTHING, 0, NOTHING)
    at = np.concatenate([part.at for part in parts])
    order = np.argsort(at, kind="stable")
    return Readings(
        at[order],
        np.concatenate([part.kind for part in parts])[order],
        np.concatenate([part.channel for part in parts])[order],
        np.concatenate([part.value for part in parts])[order],
    )


NOTHING: Final[Ints] = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Look:
    """One sensor's view of one day. Everything but its heartbeats, which follow from the clock alone.

    ``rng`` is for what happens at the sensor's place, ``faults`` for what the sensor makes of it, so that
    the truth is the same under every error model.
    """

    plan: Plan
    store: Store
    sensor: Sensor
    day: Day
    stream: Stream
    model: ErrorModel
    rng: np.random.Generator
    faults: np.random.Generator

    def report(self) -> Readings:
        parts: list[Readings] = []
        for position, (sensor, line) in enumerate(self.store.lines):
            if sensor is self.sensor:
                parts.append(self.crossings(position, line))
        for position, (sensor, zone) in enumerate(self.store.zones):
            if sensor is self.sensor:
                parts.extend(self.stays(position, zone.number))
        slots = [i for i, (sensor, _) in enumerate(self.store.slots) if sensor is self.sensor]
        if slots:
            parts.append(self.units(slots))
        return together(parts)

    # --- doors ---

    def crossings(self, position: int, line: Line) -> Readings:
        passages: Passages = self.stream.passages
        here = passages.line == position
        passed, entering = passages.at[here], passages.entering[here]
        at, passage = errors.crossings(self.model.crossing, passed, self.faults)
        at = self.within_the_day(at)
        counted = self.awake(at)
        if line.drift:
            counted &= self.faults.random(at.size) >= lost_share(line.drift, self.day.number)
        at, passage = at[counted], passage[counted]
        order = np.argsort(at, kind="stable")
        inwards = entering[passage[order]]
        forward = inwards if line.entry_direction == "forward" else ~inwards
        return readings(CROSSING, at[order], line.number, forward)

    # --- zones ---

    def stays(self, position: int, number: int) -> tuple[Readings, Readings]:
        enter, leave = self.seen_stays(position)
        whole = self.awake_throughout(enter, leave)
        order = np.argsort(leave[whole], kind="stable")
        ends, dwell = leave[whole][order], (leave - enter)[whole][order]
        at, people = occupancy(enter, leave)
        at, _, people = self.heard(at, np.zeros_like(at), people)
        return readings(VISIT, ends, number, dwell), readings(OCCUPANCY, at, number, people)

    def seen_stays(self, position: int) -> tuple[Ints, Ints]:
        """When each stay begins and ends to the sensor. A zone's visits and occupancy err together."""
        stops: Stops = self.stream.stops
        here = np.nonzero(stops.zone == position)[0]
        visit = self.model.visit
        stay = here[errors.noticed(visit.missed, visit.double, here.size, self.faults)]
        enter = stops.enter[stay]
        leave = stops.leave[stay] + errors.draw(visit.dwell_error_ms, stay.size, self.faults)
        return enter, self.within_the_day(np.maximum(leave, enter + 1))

    # --- shelves ---

    def units(self, positions: list[int]) -> Readings:
        slots = [self.store.slots[position][1] for position in positions]
        at, slot, units = self.shelf_life(slots, positions)
        late = errors.draw(self.model.shelf.delay_ms, at.size, self.faults)
        capacity = np.array([one.capacity for one in slots])
        units = errors.misread(self.model.shelf, units, capacity[slot], self.faults)
        at = self.within_the_day(never_back(at + late, slot))
        order = np.argsort(at, kind="stable")
        at, slot, units = self.heard(at[order], slot[order], units[order])
        confidence = self.faults.integers(*CONFIDENCE, at.size, endpoint=True)
        numbers = np.array([one.number for one in slots])[slot]
        return readings(SHELF, at, numbers, units * 100 + confidence)

    def shelf_life(self, slots: list[Slot], positions: list[int]) -> tuple[Ints, Ints, Ints]:
        """Every true change of units: when, in which of ``slots`` (by position), and to how many."""
        rounds, level = self.rounds(slots)
        if not len(rounds):
            return NOTHING, NOTHING, NOTHING
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
        begins = np.maximum(begins, self.day.begins)
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

    def within_the_day(self, at: Ints) -> Ints:
        """What is noticed after midnight still belongs to the day that it happened on."""
        return np.minimum(at, self.day.ends - 1)

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


def never_back(at: Ints, key: Ints) -> Ints:
    """Later where an earlier element with the same key comes later: what is noticed late hides what was before."""
    order = np.argsort(key, kind="stable")
    # Far enough apart that the running maximum begins anew with each key.
    apart = key[order] * (1 << 45)
    later = np.empty_like(at)
    later[order] = np.maximum.accumulate(at[order] + apart) - apart
    return later


def rank_within(key: Ints) -> Ints:
    """For each element, how many equal ones stand before it."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    first = np.append(True, ordered[1:] != ordered[:-1])[: key.size]
    position = np.arange(key.size)
    rank = np.empty(key.size, np.int64)
    rank[order] = position - np.maximum.accumulate(np.where(first, position, 0))
    return rank
