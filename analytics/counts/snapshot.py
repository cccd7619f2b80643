"""Everything that a store's page shows, at one moment and one version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from django.utils import timezone

from analytics.counts import dwell, shelf
from analytics.counts.buckets import Key, read_sums
from analytics.counts.days import (
    Hours,
    LocalDay,
    Milliseconds,
    Span,
    local_date,
    local_day,
    open_spans,
    same_time_on,
    to_ms,
)
from analytics.counts.occupancy import Occupancy, store_occupancy
from analytics.counts.reading import one_moment
from analytics.counts.roster import ChannelFacts, Roster, SensorFacts, read_roster
from analytics.counts.visits import Passage, read_passage
from analytics.ingest.models import StoreVersion
from analytics.metrics import BUCKET_MS
from sensorapp.fleet.health import State, Status, clock_error, sensor_state
from sensorapp.fleet.models import ChannelKind, Store

WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Traffic:
    """A local day at the store's entrances, in quarters of an hour.

    ``starts`` are the buckets' beginnings in Unix seconds, for the whole local day (92, 96 or 100 of
    them where clocks change by an hour). A value is None where it is not known: nothing was observed, or
    the time has not come yet. ``entries_so_far`` and ``exits_so_far`` reach up to the snapshot's local
    time of day; of a day past, the quarter in which that lies counts in proportion.
    ``completeness`` is observed over expected time, 0 to 1, up to that time; None before opening.
    ``completeness_by_bucket`` is None where nothing was expected (yet).
    """

    date: date
    starts: list[int]
    entries: list[int | None]
    exits: list[int | None]
    completeness_by_bucket: list[float | None]
    entries_so_far: int
    exits_so_far: int
    entries_total: int
    completeness: float | None


@dataclass(frozen=True, slots=True)
class ZoneNow:
    """``occupancy`` is None where not known; ``mean_dwell_s`` is None without visits."""

    channel_id: int
    name: str
    occupancy: int | None
    visits: int
    mean_dwell_s: float | None


@dataclass(frozen=True, slots=True)
class SlotNow:
    """``availability`` is the share of today's known time in which the slot was not empty, 0 to 1."""

    channel_id: int
    name: str
    product: str
    sku: str
    facings: int
    capacity: int
    units: int | None
    status: shelf.Status
    availability: float | None
    sensor_id: int


@dataclass(frozen=True, slots=True)
class SensorNow:
    """``catching up`` means that it delivers, but its newest event is old: it works off its outbox.

    ``clock_error`` is how far ahead its clock is, negative where it is behind; None where nobody need care.
    ``set_aside`` counts the events that lay ahead and wait for an administrator.
    """

    sensor_id: int
    public_id: str
    name: str
    status: Status
    received_at: datetime | None
    newest_at: datetime | None
    x: float | None
    y: float | None
    heading: float | None
    clock_error: timedelta | None = None
    set_aside: int = 0

    @property
    def state(self) -> State:
        return sensor_state(self.status, self.clock_error)


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """``occupancy`` is entries minus exits since the local day began; ``occupancy.people`` is None where unknown.

    ``ever_heard`` says whether any sensor was, be it revoked since; ``sensors`` are those in use.
    """

    version: int
    at: datetime
    is_open: bool
    occupancy: Occupancy
    today: Traffic
    last_week: Traffic
    zones: list[ZoneNow]
    slots: list[SlotNow]
    sensors: list[SensorNow]
    ever_heard: bool


def store_snapshot(store: Store, at: datetime | None = None) -> StoreSnapshot:
    """Read a store's page as of now; ``at`` says when now is.

    Seven queries see one state of the database, so the version names exactly the counts beside it. The
    store was narrowed by ``visible_to``.
    """
    at = at or timezone.now()
    with one_moment():
        return read_snapshot(store, at)


def read_snapshot(store: Store, at: datetime) -> StoreSnapshot:
    version = read_version(store)
    roster = read_roster(store)
    hours = list(store.opening_hours.all())
    day = local_day(store.zone, local_date(store.zone, at))
    spans = open_spans(hours, store.zone, [day])
    now_ms = to_ms(at)
    today = traffic(
        read_passage(store, roster, [day], at), day, spans, now_ms - now_ms % BUCKET_MS + BUCKET_MS
    )
    zones, slots = roster.in_use(ChannelKind.ZONE), roster.in_use(ChannelKind.SLOT)
    sums = read_sums(store, (*dwell.METRICS, *shelf.METRICS), day.begins_ms, day.ends_ms)
    return StoreSnapshot(
        version=version,
        at=at,
        is_open=any(begin <= now_ms < end for begin, end in spans),
        occupancy=store_occupancy(roster, today.entries_so_far, today.exits_so_far, today.completeness, at),
        today=without_future(today, now_ms),
        last_week=read_last_week(store, roster, hours, at),
        zones=[zone_now(roster, zone, sums, at) for zone in zones],
        slots=[slot_now(roster, slot, sums, at) for slot in slots],
        sensors=[sensor_now(sensor, at) for sensor in roster.sensors.values() if sensor.active],
        ever_heard=any(sensor.heard for sensor in roster.sensors.values()),
    )


def read_version(store: Store) -> int:
    """0 before the first commit."""
    return StoreVersion.objects.filter(pk=store.pk).values_list("version", flat=True).first() or 0


def read_last_week(store: Store, roster: Roster, hours: Sequence[Hours], at: datetime) -> Traffic:
    """The same weekday last week, up to the same local time of day."""
    day = local_day(store.zone, local_date(store.zone, at) - WEEK)
    passage = read_passage(store, roster, [day], at)
    return traffic(passage, day, open_spans(hours, store.zone, [day]), same_time_on(store.zone, at, day.date))


def traffic(passage: Passage, day: LocalDay, spans: Sequence[Span], until_ms: int) -> Traffic:
    known = passage.known.tolist()
    return Traffic(
        date=day.date,
        starts=(passage.starts_ms // 1000).tolist(),
        entries=where(known, passage.entries),
        exits=where(known, passage.exits),
        completeness_by_bucket=passage.completeness_by_bucket(spans, day.ends_ms),
        entries_so_far=passage.sum_until(passage.entries, until_ms),
        exits_so_far=passage.sum_until(passage.exits, until_ms),
        entries_total=int(passage.entries.sum()),
        completeness=passage.completeness(spans, until_ms),
    )


def where(known: Sequence[bool], counts: Milliseconds) -> list[int | None]:
    return [count if is_known else None for is_known, count in zip(known, counts.tolist(), strict=True)]


def without_future(today: Traffic, now_ms: int) -> Traffic:
    """A sensor whose clock runs ahead may have filled buckets that nobody can know yet."""
    begun = [start * 1000 <= now_ms for start in today.starts]
    return replace(
        today,
        entries=[count if is_past else None for is_past, count in zip(begun, today.entries, strict=True)],
        exits=[count if is_past else None for is_past, count in zip(begun, today.exits, strict=True)],
        entries_total=today.entries_so_far,
    )


def zone_now(roster: Roster, zone: ChannelFacts, sums: dict[Key, int], at: datetime) -> ZoneNow:
    stay = dwell.stay(sums, zone.id)
    return ZoneNow(zone.id, zone.name, roster.value_now(zone, at), stay.visits, stay.mean_s)


def slot_now(roster: Roster, slot: ChannelFacts, sums: dict[Key, int], at: datetime) -> SlotNow:
    units = roster.value_now(slot, at)
    return SlotNow(
        channel_id=slot.id,
        name=slot.name,
        product=slot.product,
        sku=slot.sku,
        facings=slot.facings,
        capacity=slot.capacity,
        units=units,
        status=shelf.slot_status(units, slot.facings, slot.capacity),
        availability=shelf.availability(sums, slot.id),
        sensor_id=slot.sensor_id,
    )


def sensor_now(sensor: SensorFacts, at: datetime) -> SensorNow:
    return SensorNow(
        sensor_id=sensor.id,
        public_id=sensor.public_id,
        name=sensor.name,
        status=sensor.status(at),
        received_at=sensor.heard.received_at if sensor.heard else None,
        newest_at=sensor.heard.counted_until if sensor.heard else None,
        x=sensor.x,
        y=sensor.y,
        heading=sensor.heading,
        clock_error=clock_error(sensor.skew_ms),
        set_aside=sensor.set_aside,
    )
