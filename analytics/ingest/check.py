"""The nightly check: yesterday's buckets of some sensors, computed again in memory and compared."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final, LiteralString

from psycopg import Connection
from psycopg.rows import class_row

from analytics.ingest.directory import Directory, SensorFacts
from analytics.ingest.rebuild import Comparison, TooEarlyError, compare

logger = logging.getLogger(__name__)

SENSORS_A_NIGHT: Final = 20
# Of each, the whole archive is read: half a minute for 400 days of a sensor with ten slots. No further one is begun
# after this time, well before a task's time is over.
LONGEST_SECONDS: Final = 240
# After so long without one, nothing can be said of buckets but that nobody looks.
OVERDUE_AFTER: Final = timedelta(days=2)

# Others each night, the same ones if a night's check runs twice.
SAMPLE: LiteralString = """
SELECT sensor.public_id FROM fleet_sensor sensor JOIN ingest_cursor cursor ON cursor.sensor_id = sensor.id
WHERE cursor.received_at >= %(day)s ORDER BY md5(sensor.id || ' ' || %(day)s::text), sensor.id LIMIT %(size)s
"""
NOTE: LiteralString = """
INSERT INTO ingest_check (checked_at, sensors, buckets, differing) VALUES (now(), %s, %s, %s)
"""
LAST: LiteralString = """
SELECT checked_at, sensors, buckets, differing FROM ingest_check ORDER BY checked_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Check:
    """How many buckets of how many sensors were computed again, and how many were not as they should be."""

    checked_at: datetime
    sensors: int
    buckets: int
    differing: int


def last_check(connection: Connection) -> Check | None:
    with connection.cursor(row_factory=class_row(Check)) as cursor:
        return cursor.execute(LAST).fetchone()


def verdict(check: Check | None, now: datetime) -> str:
    """What the last check says of buckets, and the remedy, in words."""
    if check is None:
        return "not checked yet"
    when = f"checked {check.checked_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if check.differing:
        return (
            f"some differ from their batches ({when}); the log names sensors, rebuild_buckets puts them right"
        )
    if now - check.checked_at > OVERDUE_AFTER:
        return f"last {when}; see that Celery's beat and a worker run"
    return f"agree with their batches ({when})"


def check_buckets(connection: Connection, now: datetime, size: int = SENSORS_A_NIGHT) -> int:
    """Compare the buckets of the last whole UTC day; returns how many differ, and keeps that in ``ingest_check``."""
    end = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = end - timedelta(days=1)
    names = [name for (name,) in connection.execute(SAMPLE, {"day": begin, "size": size}).fetchall()]
    sensors = Directory().sensors(connection, names)
    until = time.monotonic() + LONGEST_SECONDS
    in_time = takewhile(lambda _: time.monotonic() < until, names)
    found = [one for name in in_time if (one := check_sensor(connection, sensors[name], begin, end))]
    differing = sum(len(one.differing) for one in found)
    connection.execute(NOTE, [len(found), sum(one.buckets for one in found), differing])
    return differing


def check_sensor(
    connection: Connection, sensor: SensorFacts, begin: datetime, end: datetime
) -> Comparison | None:
    """None where retention keeps too little of the sensor."""
    begins_ms, ends_ms = (round(moment.timestamp() * 1000) for moment in (begin, end))
    try:
        found = compare(connection, sensor, begins_ms, ends_ms)
    except TooEarlyError:
        return None
    if found.differing:
        logger.error(
            "%d of %d buckets of %s differ from its batches; rebuild_buckets puts them right",
            len(found.differing),
            found.buckets,
            sensor.public_id,
        )
    return found
