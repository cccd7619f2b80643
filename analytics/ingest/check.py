"""The nightly check: yesterday's buckets of some sensors, computed again in memory and compared.

What differs is remembered, and checked again each night, until it agrees or ``rebuild_buckets`` has replaced it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
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
SELECT sensor.public_id, %(day)s::date
FROM fleet_sensor sensor JOIN ingest_cursor cursor ON cursor.sensor_id = sensor.id
WHERE cursor.received_at >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
ORDER BY md5(sensor.id || ' ' || %(day)s::date), sensor.id LIMIT %(size)s
"""
DIFFERED: LiteralString = """
SELECT sensor.public_id, day FROM ingest_differing JOIN fleet_sensor sensor ON sensor.id = sensor_id
ORDER BY day, sensor_id
"""
KEEP: LiteralString = """
INSERT INTO ingest_differing (sensor_id, day, buckets, found_at) VALUES (%s, %s, %s, now())
ON CONFLICT (sensor_id, day) DO UPDATE SET buckets = excluded.buckets
"""
FORGET: LiteralString = "DELETE FROM ingest_differing WHERE sensor_id = %s AND day = %s"
NOTE: LiteralString = """
INSERT INTO ingest_check (checked_at, day, sensors, buckets, differing) VALUES (now(), %s, %s, %s, %s)
"""
LAST: LiteralString = """
SELECT checked_at, ingest_check.day, sensors, ingest_check.buckets,
       coalesce(sum(found.buckets), 0)::bigint AS differing, count(DISTINCT sensor_id) AS differing_sensors
FROM (SELECT * FROM ingest_check ORDER BY checked_at DESC LIMIT 1) AS ingest_check
LEFT JOIN ingest_differing found ON true
GROUP BY 1, 2, 3, 4
"""


@dataclass(frozen=True, slots=True)
class Check:
    """The last check: how many buckets of how many sensors of a day were computed again.

    ``differing`` are those, of any day, that this or an earlier one found not to be as they should be, and that nobody
    has put right since.
    """

    checked_at: datetime
    day: date
    sensors: int
    buckets: int
    differing: int
    differing_sensors: int


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
            f"{check.differing} of {many_sensors(check.differing_sensors)} differ from their batches ({when});"
            " the log names sensors, rebuild_buckets puts them right"
        )
    if now - check.checked_at > OVERDUE_AFTER:
        return f"last {when}; see that Celery's beat and a worker run"
    if not check.buckets:
        return f"nothing of {check.day} could be checked ({when}); see that sensors send"
    return (
        f"{check.buckets} of {many_sensors(check.sensors)} agree with their batches of {check.day} ({when})"
    )


def many_sensors(number: int) -> str:
    return f"{number} sensor{'s' if number > 1 else ''}"


def check_buckets(connection: Connection, now: datetime, size: int = SENSORS_A_NIGHT) -> int:
    """Compare buckets of the last whole UTC day, and first those that differed before; returns how many differ.

    What was compared of that day is kept in ``ingest_check``, what differs in ``ingest_differing`` until it agrees.
    """
    day = now.astimezone(UTC).date() - timedelta(days=1)
    sample = connection.execute(SAMPLE, {"day": day, "size": size}).fetchall()
    work = dict.fromkeys([*connection.execute(DIFFERED).fetchall(), *sample])
    sensors = Directory().sensors(connection, {name for name, _ in work})
    until = time.monotonic() + LONGEST_SECONDS
    in_time = takewhile(lambda _: time.monotonic() < until, work)
    found = [(its_day, check_sensor(connection, sensors[name], its_day)) for name, its_day in in_time]
    ours = [one for its_day, one in found if its_day == day and one and one.buckets]
    buckets, differing = sum(one.buckets for one in ours), sum(len(one.differing) for one in ours)
    connection.execute(NOTE, [day, len(ours), buckets, differing])
    return sum(len(one.differing) for _, one in found if one)


def check_sensor(connection: Connection, sensor: SensorFacts, day: date) -> Comparison | None:
    """None where retention keeps too little of the sensor, so that nothing can be said or done any more."""
    begin = datetime.combine(day, datetime.min.time(), UTC)
    begins_ms, ends_ms = (round(moment.timestamp() * 1000) for moment in (begin, begin + timedelta(days=1)))
    try:
        found = compare(connection, sensor, begins_ms, ends_ms)
    except TooEarlyError:
        found = None
    if not found or not found.differing:
        connection.execute(FORGET, [sensor.id, day])
        return found
    connection.execute(KEEP, [sensor.id, day, len(found.differing)])
    logger.error(
        "%d of %d buckets of %s on %s differ from its batches; rebuild_buckets puts them right",
        len(found.differing),
        found.buckets,
        sensor.public_id,
        day,
    )
    return found
