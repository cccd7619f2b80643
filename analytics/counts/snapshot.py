"""Everything that a store's page shows, at one moment and one version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Traffic:
    """A local day at the store's entrances, in quarters of an hour.

    ``starts`` are the buckets' beginnings in Unix seconds, for the whole local day (92, 96 or 100 of
    them). A value is None where it is not known: nothing was observed, or the time has not come yet.
    ``entries_so_far`` and ``exits_so_far`` reach up to the snapshot's local time of day.
    ``completeness`` is observed over expected time, 0 to 1, up to that time; None before opening.
    """

    date: date
    starts: list[int]
    entries: list[int | None]
    exits: list[int | None]
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
    status: Literal["ok", "low", "empty", "unknown"]
    availability: float | None


@dataclass(frozen=True, slots=True)
class SensorNow:
    """``catching up`` means that it delivers, but its newest event is old: it works off its outbox."""

    sensor_id: int
    public_id: str
    name: str
    status: Literal["live", "catching up", "silent", "never heard"]
    received_at: datetime | None
    newest_at: datetime | None
    x: float | None
    y: float | None
    heading: float | None


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """``occupancy`` is entries minus exits since the local day began, never below zero; None where unknown."""

    version: int
    at: datetime
    is_open: bool
    occupancy: int | None
    today: Traffic
    last_week: Traffic
    zones: list[ZoneNow]
    slots: list[SlotNow]
    sensors: list[SensorNow]
