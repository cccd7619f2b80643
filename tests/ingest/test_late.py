"""Which buckets are late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from analytics.ingest.late import late_starts, mark_late, take_late

# Ahead of the database's clock, so that it is the one that decides.
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


@pytest.mark.django_db
def test_a_gateway_whose_clock_is_behind_still_marks() -> None:
    start = NOW - timedelta(days=1, minutes=26)
    with connection.cursor() as cursor:
        mark_late(cursor, [(1, round(start.timestamp() * 1000))], start)
        assert take_late(cursor, 1) == [start]


@pytest.mark.django_db
def test_a_bucket_is_late_25_minutes_after_its_beginning() -> None:
    ages = [timedelta(minutes=25), timedelta(minutes=25, seconds=1), timedelta(days=90), timedelta(0)]
    changed = [(store, round((NOW - age).timestamp() * 1000)) for age in ages for store in (1, 2)]
    late = [NOW - ages[2], NOW - ages[1]]
    with connection.cursor() as cursor:
        mark_late(cursor, [*changed, *changed], NOW)
        assert sorted(late_starts(cursor, 1)) == late
        assert sorted(take_late(cursor, 1)) == late
        assert take_late(cursor, 1) == []
        assert sorted(take_late(cursor, 2)) == late
