"""A partition for each day, made ahead, whoever asks."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.db import connection as django_connection

from analytics.ingest.partitions import create_partitions, create_partitions_ahead, partition_statement
from analytics.ingest.tasks import create_partitions as task
from tests.ingest.site import database_url

PARTITIONS = """
SELECT child.relname, pg_get_expr(child.relpartbound, child.oid)
FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
WHERE inhparent = 'ingest_batch'::regclass AND child.relname < 'ingest_batch_2010' ORDER BY 1
"""
FIRST, LAST = date(2000, 2, 28), date(2000, 3, 1)
WANTED = [
    ("ingest_batch_20000228", "FOR VALUES FROM ('2000-02-28 00:00:00+00') TO ('2000-02-29 00:00:00+00')"),
    ("ingest_batch_20000229", "FOR VALUES FROM ('2000-02-29 00:00:00+00') TO ('2000-03-01 00:00:00+00')"),
    ("ingest_batch_20000301", "FOR VALUES FROM ('2000-03-01 00:00:00+00') TO ('2000-03-02 00:00:00+00')"),
]


def names() -> set[str]:
    with django_connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ingest_batch'::regclass"
        )
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.django_db
def test_each_day_once() -> None:
    with django_connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        create_partitions(cursor, FIRST, LAST - timedelta(days=1))
        create_partitions(cursor, FIRST, LAST)
        create_partitions(cursor, FIRST, LAST)
        cursor.execute(PARTITIONS)
        assert cursor.fetchall() == WANTED


@pytest.mark.django_db
def test_bounds_are_utc_whatever_the_session_speaks() -> None:
    with django_connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'Asia/Kathmandu'")
        create_partitions(cursor, FIRST, LAST)
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor.execute(PARTITIONS)
        assert cursor.fetchall() == WANTED


@pytest.mark.django_db
def test_a_batch_finds_its_partition() -> None:
    with django_connection.cursor() as cursor:
        create_partitions(cursor, FIRST, FIRST)
        cursor.execute(
            "INSERT INTO ingest_batch VALUES (1, 2, 1, 0, '2000-02-28T23:59:59.999Z', 1, 1, 1, false, '', '')"
            " RETURNING tableoid::regclass::text"
        )
        assert cursor.fetchone() == ("ingest_batch_20000228",)


@pytest.mark.django_db
def test_migrating_and_the_task_make_days_ahead() -> None:
    today = datetime.now(UTC).date()
    wanted = {f"ingest_batch_{today + timedelta(days=n):%Y%m%d}" for n in range(8)}
    assert wanted <= names()
    task()
    assert wanted <= names()


@pytest.mark.django_db
def test_ahead_is_counted_from_now() -> None:
    before = names()
    with django_connection.cursor() as cursor:
        create_partitions_ahead(cursor, datetime(2000, 2, 28, 23, 59, tzinfo=UTC))
    days = [date(2000, 2, 27) + timedelta(days=n) for n in range(16)]
    assert names() - before == {f"ingest_batch_{day:%Y%m%d}" for day in days}


def test_two_who_ask_at_the_same_time_both_succeed(transactional_db: None) -> None:
    failures: list[Exception] = []

    def ask() -> None:
        try:
            with psycopg.connect(database_url(), autocommit=True) as connection:
                create_partitions(connection, FIRST, LAST)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert {name for name, _ in WANTED} <= names()
    finally:
        with django_connection.cursor() as cursor:
            cursor.execute("DROP TABLE " + ", ".join(name for name, _ in WANTED))


def test_writers_do_not_wait_for_new_partitions(transactional_db: None) -> None:
    """Whoever is in the middle of storing batches holds a lock that making a partition must not need."""
    with psycopg.connect(database_url()) as writer, psycopg.connect(database_url()) as maker:
        writer.execute("LOCK TABLE ingest_batch IN ROW EXCLUSIVE MODE")
        maker.execute("SET lock_timeout = '200ms'")
        create_partitions(maker, FIRST, FIRST)
        maker.rollback()


def test_the_wrong_way_round() -> None:
    with pytest.raises(
        ValueError, match="last_day: 2000-02-28 lies before first_day 2000-03-01; exchange them"
    ):
        partition_statement(LAST, FIRST)
