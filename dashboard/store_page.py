"""What a store's page says: its snapshot as comparisons, sentences and lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from analytics.counts.completeness import OBSERVED
from analytics.counts.snapshot import SensorNow, SlotNow, StoreSnapshot, Traffic
from dashboard.plan_drawing import PlanDrawing, plan_drawing
from dashboard.traffic_chart import TrafficChart, traffic_chart
from sensorapp.fleet.models import OpeningHours, Store

SENSOR_STATES = ("never heard", "silent", "catching up", "wrong clock", "live")
SLOT_STATES = ("empty", "low", "unknown", "ok")
SLOTS_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Comparison:
    """A count so far against the same weekday last week at the same time of day; None is not known."""

    count: int | None
    date: date
    before: int | None
    completeness_before: float | None

    @property
    def difference(self) -> int | None:
        if self.count is None or self.before is None:
            return None
        return self.count - self.before

    @property
    def ratio(self) -> float | None:
        """The difference as a share of last week's count."""
        return self.difference / self.before if self.before and self.difference is not None else None

    @property
    def trend(self) -> Literal["up", "down", "same"]:
        """Which way the difference goes as it is written, that is, in whole percent."""
        change = self.difference or 0 if self.ratio is None else round(self.ratio * 100)
        return "up" if change > 0 else "down" if change < 0 else "same"

    @property
    def partly_observed(self) -> bool:
        """Whether last week's count misses so much that the comparison needs a word of warning.

        Before opening nothing is expected, so nothing is missing.
        """
        return self.completeness_before is not None and self.completeness_before < OBSERVED

    @property
    def is_nothing(self) -> bool:
        return self.count == 0 and self.before == 0


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that puts the figures in the right light."""

    level: Literal["info", "warning"]
    text: str


@dataclass(frozen=True, slots=True)
class ShelfSlot:
    """A slot, and the name of the sensor that watches it, which is the name of the shelf."""

    slot: SlotNow
    shelf: str


@dataclass(frozen=True, slots=True)
class StorePage:
    """What is in trouble comes first, the worst before the rest; tallies leave out what there is none of.

    ``other_slots`` are those in stock, and those that would make a list of trouble too long to read.
    ``not_observed`` says why no part of today was to be observed, and is empty where some was.
    """

    store: Store
    snapshot: StoreSnapshot
    opening: str
    has_hours: bool
    not_observed: str
    entries: Comparison
    exits: int | None
    chart: TrafficChart
    plan: PlanDrawing | None
    notices: list[Notice]
    troubled_sensors: list[SensorNow]
    live_sensors: list[SensorNow]
    troubled_slots: list[ShelfSlot]
    other_slots: list[ShelfSlot]
    sensor_tally: list[tuple[str, int]]
    slot_tally: list[tuple[str, int]]

    @property
    def lower_bound(self) -> str:
        """Why today's counts are a lower bound; empty where they are all that there is to count."""
        if any(sensor.status == "catching up" for sensor in self.troubled_sensors):
            return "Some sensors are still catching up, so this is a lower bound"
        completeness = self.snapshot.today.completeness
        if completeness is not None and completeness < OBSERVED:
            return "Only a part of today was observed, so this is a lower bound"
        return ""


def store_page(store: Store, snapshot: StoreSnapshot) -> StorePage:
    hours = list(store.opening_hours.all())
    local = snapshot.at.astimezone(store.zone)
    slots = shelf_slots(snapshot)
    troubled = [slot for slot in slots if slot.slot.status != "ok"][:SLOTS_AT_ONCE]
    today, last_week = snapshot.today, snapshot.last_week
    return StorePage(
        store=store,
        snapshot=snapshot,
        opening=opening_words(hours, local, snapshot.is_open),
        has_hours=bool(hours),
        not_observed=not_observed_words(snapshot, hours, local),
        entries=Comparison(
            count=today.entries_so_far if is_known(today) else None,
            date=last_week.date,
            before=last_week.entries_so_far if is_known(last_week) else None,
            completeness_before=last_week.completeness,
        ),
        exits=today.exits_so_far if is_known(today) else None,
        chart=traffic_chart(
            snapshot,
            store.zone,
            [(span.opens, span.closes) for span in spans_of(hours, local)],
        ),
        plan=plan_drawing(store, snapshot),
        notices=notices(snapshot.sensors) if snapshot.ever_heard else [],
        troubled_sensors=sorted(
            (sensor for sensor in snapshot.sensors if is_troubled(sensor)),
            key=lambda sensor: SENSOR_STATES.index(sensor.state),
        ),
        live_sensors=[sensor for sensor in snapshot.sensors if not is_troubled(sensor)],
        troubled_slots=troubled,
        other_slots=[slot for slot in slots if slot not in troubled],
        sensor_tally=tally((sensor.state for sensor in snapshot.sensors), SENSOR_STATES),
        slot_tally=tally((slot.status for slot in snapshot.slots), SLOT_STATES),
    )


def is_known(day: Traffic) -> bool:
    """A day of which nothing was observed has no count; that is not a count of zero."""
    return day.completeness != 0 and any(entries is not None for entries in day.entries)


def is_troubled(sensor: SensorNow) -> bool:
    return sensor.status != "live" or sensor.clock_error is not None or sensor.set_aside > 0


def shelf_slots(snapshot: StoreSnapshot) -> list[ShelfSlot]:
    names = {sensor.sensor_id: sensor.name for sensor in snapshot.sensors}
    slots = [ShelfSlot(slot, names.get(slot.sensor_id, "")) for slot in snapshot.slots]
    return sorted(slots, key=lambda one: (SLOT_STATES.index(one.slot.status), one.shelf, one.slot.name))


def spans_of(hours: Sequence[OpeningHours], local: datetime) -> list[OpeningHours]:
    """Those of the day."""
    return [span for span in hours if span.weekday == local.weekday()]


def opening_words(hours: Sequence[OpeningHours], local: datetime, is_open: bool) -> str:
    if not hours:
        return ""
    spans = spans_of(hours, local)
    if is_open:
        closes = [span.closes for span in spans if span.opens <= local.time() < span.closes]
        return f"Open until {closes[0]:%H:%M}" if closes else "Open"
    opens = [span.opens for span in spans if local.time() < span.opens]
    if opens:
        return f"Closed, opens at {min(opens):%H:%M}"
    return "Closed for today" if spans else "Closed today"


def not_observed_words(snapshot: StoreSnapshot, hours: Sequence[OpeningHours], local: datetime) -> str:
    """Why nothing was expected of today yet, where that is so."""
    if snapshot.today.completeness is not None:
        return ""
    if snapshot.occupancy.doubt == "not watched":
        return "no entrance is watched"
    spans = spans_of(hours, local)
    if hours and not spans:
        return "closed today"
    if snapshot.is_open:
        return "just begun"
    return "before opening" if any(local.time() < span.opens for span in spans) else "after closing"


def notices(sensors: Sequence[SensorNow]) -> list[Notice]:
    """What to know of the sensors of a store that has been heard."""
    total = len(sensors)
    number = Counter(sensor.status for sensor in sensors)
    if total == 0:
        return [Notice("info", "This store has no sensors any more. Its figures go on with the next one.")]
    if number["never heard"] == total:
        return [
            Notice(
                "info",
                "No sensor in use has been heard yet. Figures go on as soon as the first one delivers.",
            )
        ]
    found = []
    if some := number["catching up"]:
        found.append(Notice("info", f"{of(some, total)} still catching up; the figures of today will grow."))
    if some := number["silent"]:
        found.append(
            Notice("warning", f"{of(some, total)} silent; what they would have counted is not known.")
        )
    if some := number["never heard"]:
        found.append(
            Notice(
                "info",
                f"{some} of {total} sensors {'has' if some == 1 else 'have'} been enrolled and never heard; "
                "once installed, check power, network and token.",
            )
        )
    return found


def of(some: int, total: int) -> str:
    return f"{some} of {total} sensors {'is' if some == 1 else 'are'}"


def tally(states: Iterable[str], order: Sequence[str]) -> list[tuple[str, int]]:
    number = Counter(states)
    return [(state, number[state]) for state in order if number[state]]
