"""The schedule: every event of every sensor, numbered, computed when it is asked for.

A store's day is computed whole, as the number of people inside and of units on a shelf are sums since its
opening. It costs milliseconds and is thrown away again: of each sensor's day no more is kept than a part of
some minutes, as columns of numbers, from which events are made when they are sent. So what a fleet holds in
memory does not grow with the time that it runs, nor with how far it is behind.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache
from operator import attrgetter

import msgspec

from sensor_sim.fleet import errors
from sensor_sim.fleet.demand import Day, day_of, local_date, random
from sensor_sim.fleet.errors import FAULTLESS, ErrorModel
from sensor_sim.fleet.heartbeats import Heartbeats, heartbeats
from sensor_sim.fleet.plan import Plan, PlanError, Sensor, Store
from sensor_sim.fleet.sensors import Look, Readings
from sensor_sim.fleet.visitors import Stream, stream
from sensorapp import wire

EPOCH = 1
# What is kept of a store while its sensors work through the same days one after the other: the streams of so
# many days, and of each sensor so many days.
STREAMS_KEPT = 16
DAYS_KEPT = 2


@dataclass(slots=True)
class Part:
    """A sensor's events in a part of a local day, in the order of their time; a heartbeat before its equals.

    Events are numbered within the day; the part's are those from ``first`` to before ``stop``. A place
    between two of them is a split: how many readings and how many heartbeats come before it. ``ends_day``
    says that no event of the day comes after them.
    """

    day: Day
    first: int
    readings: Readings
    beats: Heartbeats
    ends_day: bool = True
    stop: int = field(init=False)
    end: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.end = len(self.readings), len(self.beats)
        self.stop = self.first + len(self)

    def __len__(self) -> int:
        return sum(self.end)

    @property
    def events(self) -> list[wire.Event]:
        return self.between((0, 0), self.end)

    def until(self, moment: int) -> int:
        """The number behind the last event that is not later than ``moment``."""
        return self.first + sum(self.split_at(moment))

    def split_at(self, moment: int) -> tuple[int, int]:
        """How many readings and how many heartbeats are not later than ``moment``."""
        return bisect_right(self.readings.at, moment), self.beats.until(moment)

    def split(self, number: int) -> tuple[int, int]:
        """How many readings and how many heartbeats come before the event with this number."""
        before = number - self.first

        def place(beat: int) -> int:
            return beat + bisect_left(self.readings.at, self.beats.at(beat))

        beats = bisect_left(range(len(self.beats)), before, key=place)
        return before - beats, beats

    def at(self, number: int) -> int:
        """The moment of the event with this number."""
        reading, beat = self.split(number)
        return self.moment(reading, beat)

    def moment(self, reading: int, beat: int) -> int:
        """The earlier of two moments, that of the next reading and that of the next heartbeat."""
        readings, beats = self.end
        if beat == beats:
            return int(self.readings.at[reading])
        if reading == readings:
            return self.beats.at(beat)
        return min(int(self.readings.at[reading]), self.beats.at(beat))

    def between(self, begin: tuple[int, int], end: tuple[int, int]) -> list[wire.Event]:
        """The events between two splits."""
        events = [self.beats.event(number) for number in range(begin[1], end[1])]
        if begin[0] < end[0]:
            events += [self.readings.event(place) for place in range(begin[0], end[0])]
            events.sort(key=attrgetter("at"))
        return events

    def cut(self, begin: int, end: int) -> Part:
        """The events from the moment ``begin`` on and before ``end``, as a copy."""
        (reading, beat), last = self.split_at(begin - 1), self.split_at(end - 1)
        return Part(
            self.day,
            self.first + reading + beat,
            self.readings.between(reading, last[0]),
            self.beats.between(beat, last[1]),
            self.ends_day and last == self.end,
        )


class Schedule:
    """The days of one store. ``model`` is what its sensors' errors are drawn from."""

    def __init__(self, plan: Plan, store: Store, model: ErrorModel | None = None) -> None:
        self.plan = plan
        self.store = store
        self.model = model or errors.measured()
        self.day = lru_cache(maxsize=4)(self._day)
        self.stream = lru_cache(maxsize=STREAMS_KEPT)(self._stream)
        self._sensors = {sensor.id: sensor for sensor in store.sensors}
        self._report = lru_cache(maxsize=DAYS_KEPT * len(store.sensors))(self._sensor_day)

    def sensor_day(self, sensor: Sensor, day: date) -> Part:
        """What the sensor reports of a local day."""
        return self._report(sensor.id, day)

    def truth(self, sensor: Sensor, day: date) -> Part:
        """What it would report of the same day without any fault: no error, no drift, no power cut."""
        lines = [msgspec.structs.replace(line, drift=None) for line in sensor.lines]
        at_its_best = msgspec.structs.replace(sensor, lines=lines)
        sensors = [at_its_best if one is sensor else one for one in self.store.sensors]
        store = msgspec.structs.replace(self.store, sensors=sensors)
        without = Schedule(self.plan, store, FAULTLESS)
        without.stream = self.stream
        return without._look(at_its_best, replace(self.day(day), dark=None), FAULTLESS)

    def _look(self, sensor: Sensor, day: Day, model: ErrorModel) -> Part:
        key = self.plan.seed, self.store.slug, sensor.name, day.date
        here, faults = random(*key), random(*key, "faults")
        look = Look(self.plan, self.store, sensor, day, self.stream(day.date), model, here, faults)
        phase = zlib.crc32(f"{self.store.slug}/{sensor.name}".encode()) % self.plan.heartbeat_ms
        beats = heartbeats(day, self.plan.live_from, self.plan.heartbeat_ms, phase)
        part = Part(day, 0, look.report(), beats)
        return (
            part if self.plan.since <= day.begins else replace(part.cut(self.plan.since, day.ends), first=0)
        )

    def forget(self) -> None:
        """Keep no day of the store."""
        self.stream.cache_clear()
        self._report.cache_clear()

    def today(self, now_ms: int) -> date:
        return local_date(now_ms, self.store.time_zone)

    def _sensor_day(self, sensor: wire.SensorId, day: date) -> Part:
        return self._look(self._sensors[sensor], self.day(day), self.model)

    def _day(self, day: date) -> Day:
        return day_of(self.store, self.plan.origin, day)

    def _stream(self, day: date) -> Stream:
        return stream(self.store, self.day(day), self.plan.seed)


class Feed:
    """A sensor's events as an outbox that is never written down: what is next can always be computed.

    ``seq`` is the number of the next event to take.
    """

    def __init__(self, schedule: Schedule, sensor: Sensor) -> None:
        self.schedule = schedule
        self.sensor = sensor
        self.seq = 0
        self._date = schedule.plan.origin
        self._number = 0  # of the next event, within its day
        self.stopped = False
        self._open: Part | None = None
        self._place = (0, 0)  # the next event in the open part, as a split
        self._kept: deque[Part] = deque()
        self._counts: dict[date, int] = {}

    @property
    def next_at(self) -> int:
        """When the next event happens, in Unix milliseconds."""
        return self._part().moment(*self._place)

    def take(self, until: int, limit: int) -> wire.Batch | None:
        """The next events not later than ``until``, at most ``limit``; goes on behind them."""
        if self.stopped:
            return None
        first = self.seq
        events: list[wire.Event] = []
        while (room := limit - len(events)) > 0:
            part = self._part()
            end = part.split_at(until)
            due = part.first + end[0] + end[1] - self._number
            if due <= 0:
                break
            if due > room:
                end, due = part.split(self._number + room), room
            events += part.between(self._place, end)
            self._place = end
            self._number += due
            if end != part.end:
                break
        if not events:
            return None
        self.seq += len(events)
        return wire.Batch(self.sensor.id, EPOCH, first, self.sensor.model, self.sensor.config, events)

    def stop(self) -> None:
        """Have no more events."""
        self.stopped = True

    def keep(self, until: int) -> None:
        """Have ready what comes from here to before ``until`` (Unix milliseconds), and nothing else."""
        begin, day = self.next_at, self._date
        parts = deque[Part]()
        while self.schedule.day(day).begins < until:
            parts.append(self.schedule.sensor_day(self.sensor, day).cut(begin, until))
            day += timedelta(days=1)
        self._open, self._kept = None, parts

    def rest(self) -> None:
        """Have nothing ready: it is computed anew when it is asked for."""
        self._open = None
        self._kept.clear()

    def seek(self, seq: int, now_ms: int) -> None:
        """Go to the event numbered ``seq``; raises :class:`PlanError` where that lies beyond tomorrow."""
        self.rest()
        self.seq, self._date, self._number = seq, self.schedule.plan.origin, seq
        tomorrow = self.schedule.today(now_ms) + timedelta(days=1)
        while self._number >= (count := self.count(self._date)):
            self._number -= count
            self._date += timedelta(days=1)
            if self._date > tomorrow:
                raise PlanError(
                    f"sensor {self.sensor.id}: the backend has {seq} events of it, more than the plan has;"
                    " load the demo into an empty database"
                )

    def waiting(self, now_ms: int) -> int:
        """How many events from the next one on are not later than ``now_ms``; none where another fleet is ahead."""
        today = self.schedule.today(now_ms)
        if self._date > today:
            return 0
        days = (today - self._date).days
        whole = sum(self.count(self._date + timedelta(days=number)) for number in range(days))
        return max(0, whole + self.schedule.sensor_day(self.sensor, today).until(now_ms) - self._number)

    def count(self, day: date) -> int:
        """How many events a day has. Counting the same day for all sensors of a store in turn is cheapest."""
        if day not in self._counts:
            self._counts[day] = len(self.schedule.sensor_day(self.sensor, day))
        return self._counts[day]

    def _part(self) -> Part:
        """The part of the schedule with the next event."""
        while self._open is None or self._number >= self._open.stop:
            if self._open is not None and self._open.ends_day:
                self._counts.pop(self._date, None)
                self._date += timedelta(days=1)
                self._number = 0
            self._open = (
                self._kept.popleft() if self._kept else self.schedule.sensor_day(self.sensor, self._date)
            )
            self._place = self._open.split(self._number)
        return self._open
