"""Which buckets are late."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection as django_connection

from analytics.ingest.arrays import register
from analytics.ingest.commit import Group, lock, settle, write
from analytics.ingest.late import late_starts, mark_late, take_late
from analytics.metrics import BUCKET_MS
from tests.ingest.site import Site
from tests.ingest.test_commit import batch, crossings, facts

NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def test_a_gateway_whose_clock_is_behind_still_marks(site: Site, connection: psycopg.Connection) -> None:
    sensor = facts(connection, site.door.public_id)
    now = int(time.time() * 1000)
    late, recent = (now - minutes * 60_000 for minutes in (45, 5))
    with connection.transaction(), psycopg.Cursor(connection) as cursor:
        register(cursor)
        group = Group(datetime.now(UTC) - timedelta(days=1))
        progress = lock(cursor, {sensor.id: sensor}, group.received_at)
        settle(batch(sensor, 0, [*crossings(1, late), *crossings(1, recent)]), progress[sensor.id], group)
        write(cursor, group, progress)
        [mark] = late_starts(cursor, site.store.pk)
    assert round(mark.timestamp() * 1000) == late - late % BUCKET_MS


@pytest.mark.django_db
def test_a_bucket_is_late_25_minutes_after_its_beginning() -> None:
    ages = [timedelta(minutes=25), timedelta(minutes=25, seconds=1), timedelta(days=90), timedelta(0)]
    changed = [(store, round((NOW - age).timestamp() * 1000)) for age in ages for store in (1, 2)]
    late = [NOW - ages[2], NOW - ages[1]]
    with django_connection.cursor() as cursor:
        mark_late(cursor, [*changed, *changed], NOW)
        assert sorted(late_starts(cursor, 1)) == late
        assert sorted(take_late(cursor, 1)) == late
        assert take_late(cursor, 1) == []
        assert sorted(take_late(cursor, 2)) == late
