"""The plan of a fleet: its stores, its sensors and their habits. It is a file, and holds secrets."""

from __future__ import annotations

import os
import re
from collections import Counter
from datetime import date, time
from functools import cached_property
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from sensor_sim.fields import known_fields
from sensor_sim.fleet import errors
from sensorapp import wire

# What a plan's days contain depends on the code that computes them. A database filled under one number
# cannot be continued under another: the sequence numbers would mean other events.
SCHEDULE = 4
QUARTER = 15 * 60_000

WRITERS = "`manage.py load_demo` or `manage.py create_fleet`"
START_ANEW = "load the demo into an empty database, or create the fleet anew"

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]
Weight = Annotated[float, Meta(ge=0.0)]
LocalTime = Annotated[time, Meta(tz=False)]
OpeningHours = tuple[LocalTime, LocalTime]


class PlanError(Exception):
    """A plan that cannot be used; the message is one sentence with the remedy."""


class OutdatedError(PlanError):
    """A plan whose sequence numbers mean other events than this program's."""


class Part(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A part of the plan."""


class Drift(Part, frozen=True):
    """A sensor that loses a growing share of crossings: from day ``begins`` by ``per_day``, up to ``at_most``."""

    begins: int
    per_day: Share
    at_most: Share


class Line(Part, frozen=True):
    """A line across a door. ``share`` is the part of the visitors who come this way, among all lines."""

    number: wire.ChannelNumber
    entry_direction: wire.Direction
    share: Positive
    drift: Drift | None = None


class Zone(Part, frozen=True):
    """A zone. ``weight`` is how often it is visited, among all zones; ``dwell_s`` the median stay.

    The stay is log-normal with standard deviation ``spread`` of its logarithm. Buyers end at a
    ``checkout``. ``picks`` is the mean number of units that a buyer's visit takes from the zone's shelves.
    """

    number: wire.ChannelNumber
    name: wire.Name
    weight: Positive
    dwell_s: Positive
    spread: Positive = 0.7
    checkout: bool = False
    picks: Annotated[float, Meta(ge=0.0)] = 0.0


class Slot(Part, frozen=True):
    """A slot of a shelf, in the zone of that name. ``weight`` is how well it sells there."""

    number: wire.ChannelNumber
    zone: wire.Name
    capacity: Annotated[int, Meta(ge=1)]
    weight: Positive = 1.0


class Sensor(Part, frozen=True):
    """``name`` is what its randomness is drawn from, so that another enrolment gives the same days."""

    id: wire.SensorId
    name: wire.Name
    model: wire.PackageDigest
    config: wire.ConfigVersion
    lines: list[Line] = []
    zones: list[Zone] = []
    slots: list[Slot] = []


class Demand(Part, frozen=True):
    """How many visitors a normal day has, and how they spread.

    ``weekdays`` are seven factors from Monday on; ``hours`` and ``weekend_hours`` 24 weights each:
    nobody comes on a day whose open hours all weigh 0.
    ``buyers`` is the share of visitors who buy, ``stops`` the mean number of zones a visitor stops at.
    """

    visitors: Annotated[float, Meta(gt=0.0, le=1_000_000.0)]
    weekdays: Annotated[list[Positive], Meta(min_length=7, max_length=7)]
    hours: Annotated[list[Weight], Meta(min_length=24, max_length=24)]
    weekend_hours: Annotated[list[Weight], Meta(min_length=24, max_length=24)]
    buyers: Share = 0.4
    stops: Annotated[float, Meta(ge=1.0, le=4.0)] = 2.0


class Holiday(Part, frozen=True):
    """``days`` are dates, or MM-DD for every year; ``factor`` 0 means closed."""

    name: str
    days: list[Annotated[str, Meta(pattern=r"^(\d{4}-)?\d{2}-\d{2}$")]]
    factor: Annotated[float, Meta(ge=0.0)]

    def is_on(self, day: date) -> bool:
        return day.isoformat() in self.days or day.strftime("%m-%d") in self.days


class Campaign(Part, frozen=True):
    """A sale: ``days`` days from day ``begins`` on bring ``factor`` times the visitors."""

    name: str
    begins: int
    days: int
    factor: Positive


class PowerCut(Part, frozen=True):
    """On day ``day``, the store's sensors are without power between two local times."""

    day: int
    begins: LocalTime
    ends: LocalTime

    def __post_init__(self) -> None:
        if self.begins >= self.ends:
            raise ValueError(
                f"begins: {self.begins:%H:%M} to {self.ends:%H:%M} does not end on the day on which it begins; "
                "give two power cuts, one a day"
            )


class Store(Part, frozen=True, dict=True):
    """A store with its gateway's ``token``. ``opening_hours`` are seven from Monday on, None where closed.

    Visitors come to all of it: without lines or zones nothing sees them come, or stop.
    """

    slug: str
    token: str
    time_zone: str
    opening_hours: Annotated[list[OpeningHours | None], Meta(min_length=7, max_length=7)]
    demand: Demand
    sensors: list[Sensor]
    holidays: list[Holiday] = []
    campaigns: list[Campaign] = []
    power_cuts: list[PowerCut] = []

    def __post_init__(self) -> None:
        if not re.fullmatch("[!-~]+", self.token):  # not told: it is a secret
            raise ValueError("token: it is empty or holds spaces or letters beyond ASCII, as no token does")
        try:
            ZoneInfo(self.time_zone)
        except (LookupError, OSError, ValueError):  # not there, a folder of them, or no such name
            raise ValueError(
                f"time_zone: {self.time_zone!r} is not known; use a name like Europe/Berlin"
            ) from None
        for opens, closes in filter(None, self.opening_hours):
            if opens >= closes:
                raise ValueError(
                    f"opening_hours: {opens:%H:%M} to {closes:%H:%M} does not end on the day on which it begins; "
                    "close at 23:59 at the latest"
                )
        for day, cuts in Counter(cut.day for cut in self.power_cuts).items():
            if cuts > 1:
                raise ValueError(f"power_cuts: day {day} has {cuts}; give one a day")

    @cached_property
    def lines(self) -> list[tuple[Sensor, Line]]:
        return [(sensor, line) for sensor in self.sensors for line in sensor.lines]

    @cached_property
    def zones(self) -> list[tuple[Sensor, Zone]]:
        return [(sensor, zone) for sensor in self.sensors for zone in sensor.zones]

    @cached_property
    def slots(self) -> list[tuple[Sensor, Slot]]:
        return [(sensor, slot) for sensor in self.sensors for slot in sensor.slots]


class Plan(Part, frozen=True):
    """Days are counted from ``origin``, the first local day of history, in every store.

    From ``live_from`` on (Unix milliseconds, a multiple of 15 minutes), each sensor has a heartbeat every
    ``heartbeat_ms``, before it every 15 minutes. A store uploads every ``upload_ms`` what is new, if anything
    is: with both at 1 000, each sensor sends a batch a second. Before ``since`` (Unix milliseconds) nothing is
    reported. ``errors`` is the fingerprint of the error model that the events were drawn from.
    """

    schedule: int
    seed: int
    origin: date
    live_from: int
    stores: Annotated[list[Store], Meta(min_length=1)]
    heartbeat_ms: Annotated[int, Meta(ge=1_000, le=QUARTER)] = 60_000
    upload_ms: Annotated[int, Meta(ge=100, le=3_600_000)] = 100
    since: int = 0
    errors: str = msgspec.field(default_factory=errors.fingerprint)

    def __post_init__(self) -> None:
        if not 2000 <= self.origin.year < 2100:
            raise ValueError(
                f"origin: {self.origin} is no day of this century; give the first day of history"
            )
        ids = Counter(sensor.id for store in self.stores for sensor in store.sensors)
        if twice := [sensor for sensor, times in ids.items() if times > 1]:
            raise ValueError(f"stores: sensor {twice[0]} is there twice; keep one of them")
        if self.live_from % QUARTER:
            raise ValueError(f"live_from: {self.live_from} is no full quarter of an hour")
        if QUARTER % self.heartbeat_ms:
            raise ValueError(f"heartbeat_ms: {self.heartbeat_ms} must divide {QUARTER}, as 1000 and 60000 do")


def read(path: Path) -> Plan:
    """Read a plan; raises :class:`PlanError`."""
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}; {WRITERS} writes it") from None
    except msgspec.ValidationError as error:
        known = known_fields(error, Plan)
        raise PlanError(f"{path}: {error}{known}; give a plan as {WRITERS} writes it") from None
    except msgspec.DecodeError as error:
        raise PlanError(f"{path}: {error}; give a plan as {WRITERS} writes it") from None
    if plan.schedule != SCHEDULE:
        raise OutdatedError(
            f"{path}: it was made for schedule {plan.schedule} and this program has schedule {SCHEDULE};"
            f" {START_ANEW}"
        )
    if plan.errors != errors.fingerprint():
        raise OutdatedError(f"{path}: it was made with other figures than {errors.FILE.name}; {START_ANEW}")
    return plan


def write(plan: Plan, path: Path) -> None:
    write_secret(path, msgspec.json.format(msgspec.json.encode(plan), indent=1).decode())


def write_secret(path: Path, text: str) -> None:
    """Write a file for its owner's eyes only, whole or not at all; leave it alone where nothing changes."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
