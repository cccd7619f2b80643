"""The schedule: every event of every sensor, numbered, computed when it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

import numpy as np

from sensor_sim.fleet.demand import Day, day_of, local_date, random
from sensor_sim.fleet.plan import Plan, PlanError, Sensor, Store
from sensor_sim.fleet.sensors import Look, Readings
from sensor_sim.fleet.visitors import Ints, Stream, stream
from sensorapp import wire

EPOCH = 1
# Streams of a store kept while its sensors work through the same days one after the other.
STREAMS_KEPT = 16


@dataclass(frozen=True)
class SensorDay:
    """A sensor's events of a local day in the order of their time."""

    readings: list[Readings]

    def __len__(self) -> int:
        return sum(one.at.size for one in self.readings)

    @cached_property
    def order(self) -> Ints:
        return np.argsort(np.concatenate([one.at for one in self.readings]), kind="stable")

    @cached_property
    def at(self) -> list[int]:
        moments: list[int] = np.concatenate([one.at for one in self.readings])[self.order].tolist()
        return moments

    @cached_property
    def events(self) -> list[wire.Event]:
        unordered = [event for one in self.readings for event in one.events()]
        return [unordered[position] for position in self.order.tolist()]

    def until(self, moment: int) -> int:
        """How many of the events are not later than ``moment``."""
        return bisect_right(self.at, moment)


class Schedule:
    """The days of one store."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        self.store = store
        self.day = lru_cache(maxsize=64)(self._day)
        self.stream = lru_cache(maxsize=STREAMS_KEPT)(self._stream)

    def sensor_day(self, sensor: Sensor, day: date) -> SensorDay:
        rng = random(self.plan.seed, self.store.slug, sensor.name, day)
        look = Look(self.plan, self.store, sensor, self.day(day), self.stream(day), rng)
        return SensorDay(look.report())

    def today(self, now_ms: int) -> date:
        return local_date(now_ms, self.store.time_zone)

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
        self._offset = 0
        self._stopped = False
        self._open: tuple[date, SensorDay] | None = None
        self._counts: dict[date, int] = {}

    @property
    def next_at(self) -> int:
        """When the next event happens, in Unix milliseconds."""
        return self._day().at[self._offset]

    def take(self, until: int, limit: int) -> wire.Batch | None:
        """The next events not later than ``until``, at most ``limit``; goes on behind them."""
        if self._stopped:
            return None
        first = self.seq
        events: list[wire.Event] = []
        while len(events) < limit:
            day = self._day()
            stop = min(day.until(until), self._offset + limit - len(events))
            if stop <= self._offset:
                break
            events += day.events[self._offset : stop]
            self.seq += stop - self._offset
            self._offset = stop
        if not events:
            return None
        return wire.Batch(self.sensor.id, EPOCH, first, self.sensor.model, self.sensor.config, events)

    def stop(self) -> None:
        """Have no more events."""
        self._stopped = True

    def seek(self, seq: int, now_ms: int) -> None:
        """Go to the event numbered ``seq``; raises :class:`PlanError` where that lies beyond tomorrow."""
        self.seq, self._date, self._offset = seq, self.schedule.plan.origin, seq
        tomorrow = self.schedule.today(now_ms) + timedelta(days=1)
        while self._offset >= (count := self.count(self._date)):
            self._offset -= count
            self._date += timedelta(days=1)
            if self._date > tomorrow:
                raise PlanError(
                    f"sensor {self.sensor.id}: the backend has {seq} events of it, more than the plan has;"
                    " load the demo into an empty database"
                )

    def waiting(self, now_ms: int) -> int:
        """How many events from the next one on are not later than ``now_ms``."""
        today = self.schedule.today(now_ms)
        if self._date > today:
            return 0
        days = (today - self._date).days
        whole = sum(self.count(self._date + timedelta(days=number)) for number in range(days))
        return whole + self.schedule.sensor_day(self.sensor, today).until(now_ms) - self._offset

    def count(self, day: date) -> int:
        """How many events a day has. Counting the same day for all sensors of a store in turn is cheapest."""
        if day not in self._counts:
            self._counts[day] = len(self.schedule.sensor_day(self.sensor, day))
        return self._counts[day]

    def _day(self) -> SensorDay:
        """The day of the next event."""
        while True:
            if self._open is None or self._open[0] != self._date:
                self._open = self._date, self.schedule.sensor_day(self.sensor, self._date)
                self._counts[self._date] = len(self._open[1])
            if self._offset < len(self._open[1]):
                return self._open[1]
            self._offset -= len(self._open[1])
            self._date += timedelta(days=1)
