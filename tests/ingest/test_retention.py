"""Batches go when their time is over; their counts stay, and what is left can still be computed again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import psycopg
import pytest
from django.core.management import CommandError
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.ingest import check
from analytics.ingest.archive import archive_locked
from analytics.ingest.check import check_buckets, last_check
from analytics.ingest.commit import commit
from analytics.ingest.decode import incoming, read
from analytics.ingest.models import Rejection
from analytics.ingest.partitions import create_partitions
from analytics.ingest.resent import AGAIN
from analytics.ingest.retention import drop_expired, expire_set_aside
from analytics.ingest.tasks import check_buckets as check_task
from analytics.ingest.tasks import drop_partitions, forget_rejections
from analytics.ingest.tasks import expire_set_aside as expire_task
from sensor_sim.device.outbox import DeadLetter, Outbox
from sensor_sim.device.uplink import Delivery, Token, Totals, Uplink
from sensorapp import wire
from sensorapp.columns import shortened
from sensorapp.fleet.scenes import publish_scene
from tests.ingest.site import Site, database_url
from tests.ingest.test_commit import MODEL, NOW, archive, facts, heartbeat
from tests.ingest.test_partitions import names
from tests.ingest.test_rebuild import HOUR, Sender, assert_rebuilds, minutes, rows, run
from tests.server import Server

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
OLD = TODAY - 10 * DAY


@pytest.fixture
def old_days(connection: psycopg.Connection) -> Iterator[None]:
    """Partitions for three old days, of which tests drop some."""
    create_partitions(connection, OLD.date(), (OLD + 2 * DAY).date())
    yield
    for day in range(3):
        connection.execute(f"DROP TABLE IF EXISTS ingest_batch_{OLD + day * DAY:%Y%m%d}")


def received(connection: psycopg.Connection, when: datetime) -> None:
    """Let what came today have come then."""
    connection.execute("UPDATE ingest_batch SET received_at = %s WHERE received_at >= %s", [when, TODAY])


def stored(connection: psycopg.Connection) -> int:
    [count] = connection.execute("SELECT count(*) FROM ingest_batch").fetchone() or [None]
    assert isinstance(count, int)
    return count


@pytest.mark.usefixtures("old_days")
def test_only_days_that_are_over_go(connection: psycopg.Connection) -> None:
    before = names()
    assert drop_expired(connection, OLD + 4 * DAY - timedelta(seconds=1), 2) == [OLD.date()]
    assert before - names() == {f"ingest_batch_{OLD:%Y%m%d}"}
    assert drop_expired(connection, OLD + 4 * DAY, 2) == [(OLD + DAY).date()]
    assert drop_expired(connection, OLD + 4 * DAY, 2) == []


@pytest.mark.usefixtures("old_days")
def test_the_task_drops_by_the_setting(connection: psycopg.Connection) -> None:
    with override_settings(INGEST_RETENTION_DAYS=9):
        drop_partitions()
    assert f"ingest_batch_{OLD:%Y%m%d}" not in names()
    assert f"ingest_batch_{OLD + DAY:%Y%m%d}" in names()


@pytest.mark.usefixtures("old_days")
@pytest.mark.parametrize("detach", ["", "detached", "half detached"])
def test_a_drop_that_was_cut_off_is_finished(connection: psycopg.Connection, detach: str) -> None:
    name = f"ingest_batch_{OLD:%Y%m%d}"
    if detach == "detached":
        connection.execute(f"ALTER TABLE ingest_batch DETACH PARTITION {name} CONCURRENTLY")
    elif detach:
        connection.execute("SET statement_timeout = '200ms'")
        with psycopg.connect(connection.info.dsn) as reader:
            reader.execute("SELECT FROM ingest_batch")
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(f"ALTER TABLE ingest_batch DETACH PARTITION {name} CONCURRENTLY")
        connection.execute("RESET statement_timeout")
    assert drop_expired(connection, OLD + 3 * DAY, 2) == [OLD.date()]
    assert connection.execute("SELECT to_regclass(%s)", [name]).fetchone() == (None,)


@pytest.mark.usefixtures("old_days")
def test_what_is_left_goes_on_from_what_was_dropped(site: Site, connection: psycopg.Connection) -> None:
    """Readings that were never repeated, a lost epoch, a scene without the zone, and a day dropped after another."""
    random = Random(6)
    door, shelf = Sender(connection, site.door), Sender(connection, site.shelf)
    for sender in (door, shelf):
        sender.send(minutes(NOW, 20, random))
        sender.begin_epoch()
        sender.send([wire.Shelf(NOW + HOUR, 0, 7, 1.0), wire.Occupancy(NOW + HOUR, 0, 3)])
    received(connection, OLD)
    shelf.send([heartbeat(NOW + HOUR + n * 60_000) for n in range(1, 20)])
    door.publish(wire.Scene(version=0))
    door.send([heartbeat(NOW + HOUR + 60_000)])
    received(connection, OLD + DAY)
    door.send([heartbeat(NOW + HOUR + n * 60_000) for n in range(2, 40)])
    shelf.send([heartbeat(NOW + HOUR + n * 60_000) for n in range(20, 60)])
    counted = rows(connection)
    assert drop_expired(connection, OLD + 3 * DAY, 2) == [OLD.date()]
    assert_rebuilds(site, connection, since="2026-05-28T21:45")
    assert drop_expired(connection, OLD + 4 * DAY, 2) == [(OLD + DAY).date()]
    assert stored(connection) == 2
    assert assert_rebuilds(site, connection, since="2026-05-28T22:00") == counted
    with pytest.raises(
        CommandError,
        match=rf"--from: retention has dropped what {site.shelf.public_id} counted before 2026-05",
    ):
        run(site, "--sensor", site.shelf.public_id, "--from", "2026-05-28T21:30")


def test_nobody_drops_what_is_being_read(connection: psycopg.Connection, site: Site) -> None:
    Sender(connection, site.door).send([heartbeat(NOW)])
    with psycopg.connect(connection.info.dsn, autocommit=True) as dropper, archive_locked(dropper):
        connection.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            check_buckets(connection, datetime.now(UTC))


def test_what_nobody_released_in_time_is_given_up_once(site: Site, connection: psycopg.Connection) -> None:
    """A rejection takes the place of the events, for as long as rejections are kept from that day on."""
    sender = Sender(connection, site.door)
    sender.send([heartbeat(NOW)])
    connection.execute(
        "INSERT INTO ingest_set_aside SELECT organisation_id, sensor_id, epoch, 1, %s, first_at, config,"
        " 2, model, events FROM ingest_batch",
        [OLD - timedelta(seconds=1)],
    )
    connection.execute(
        "INSERT INTO ingest_set_aside SELECT organisation_id, sensor_id, epoch, 3, %s, first_at, config,"
        " event_count, model, events FROM ingest_batch",
        [OLD],
    )
    counted = rows(connection)
    now = OLD + 10 * DAY + timedelta(hours=7)
    assert [expire_set_aside(connection, now, 10) for _ in range(2)] == [2, 0]
    assert rows(connection) == counted
    assert connection.execute("SELECT first_seq FROM ingest_set_aside").fetchall() == [(3,)]
    with override_settings(INGEST_RETENTION_DAYS=9):
        expire_task()
    forget_rejections()
    noted = Rejection.objects.order_by("first_seq").values_list(
        "sensor_id", "epoch", "first_seq", "last_seq", "path", "reason"
    )
    assert list(noted) == [
        (site.door.pk, 1, 1, 2, "", "lay ahead of the clock, and was not released within 10 days"),
        (site.door.pk, 1, 3, 3, "", "lay ahead of the clock, and was not released within 9 days"),
    ]


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.booleans(), st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_older_than_batches_are_kept_are_refused_and_no_others(
    site: Site, connection: psycopg.Connection, old: list[bool], short: bool, again: bool
) -> None:
    """As an upload is answered and sent again from there, in one form or the other, and every answer once lost."""
    connection.execute("TRUNCATE ingest_batch, ingest_bucket, ingest_cursor, ingest_rejection")
    now = time.time_ns() // 1_000_000
    sensor = facts(connection, site.door.public_id)
    sent: list[wire.Event] = [
        wire.Crossing(now - round((11.5 if one else 9.9) * 86_400_000) + seq, 0, "forward")
        for seq, one in enumerate(old)
    ]
    first, refused = 0, []
    while first < len(sent):
        message = wire.Batch(sensor.public_id, 1, first, MODEL, 1, sent[first:])
        [batch] = read([shortened(message) if short else message])
        for _ in range(1 + again):
            [ack], _ = commit(connection, [incoming(batch, sensor, "$.batches[0]", now, keep_days=10)])
        assert first <= ack.acked_seq < len(sent)
        assert {old[seq] for seq in range(first, ack.acked_seq + 1)} == {ack.status == "invalid"}
        if ack.status == "invalid":
            assert ack.path == ("$.batches[0].columns.at[0]" if short else "$.batches[0].events[0].at")
            days = "lies 11 days back, beyond the 10 that are kept; if the clock is wrong, set it"
            assert ack.reason == days + AGAIN * again
            refused += range(first, ack.acked_seq + 1)
        first = ack.acked_seq + 1
    assert refused == [seq for seq, one in enumerate(old) if one]
    noted = Rejection.objects.order_by("first_seq").values_list("first_seq", "last_seq")
    assert [seq for begin, end in noted for seq in range(begin, end + 1)] == refused
    kept = [one for seq, one in enumerate(sent) if not old[seq]]
    assert [event for _, _, event in archive(connection, sensor)] == kept


def test_of_a_sensor_whose_clock_began_long_ago_the_rest_counts(
    site: Site, connection: psycopg.Connection, tmp_path: Path
) -> None:
    """As its outbox understands the answers about parts of its batches."""
    now, door = time.time_ns() // 1_000_000, site.door.public_id
    old = [True, False, False, True, False]
    sent: list[wire.Event] = [
        wire.Crossing(now - one * 500 * 86_400_000 + seq, 0, "forward") for seq, one in enumerate(old)
    ]
    with Server(database_url()) as server, Outbox(tmp_path / "outbox", door) as outbox:
        outbox.append(sent, model=MODEL, config=1)
        link = Uplink(server.url, Token(site.door_token, door))
        totals = Delivery(outbox, link, batch_events=100).drain()
        link.close()
        letters = outbox.dead_letters.read_text().splitlines()
    assert totals == Totals(stored=3, invalid=2)
    counted = [event for _, _, event in archive(connection, facts(connection, door))]
    assert counted == [sent[1], sent[2], sent[4]]
    refused = [msgspec.json.decode(letter, type=DeadLetter).batch.events for letter in letters]
    assert refused == [[sent[0]], [sent[3]]]


def test_the_nightly_check_finds_what_differs(
    site: Site, connection: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    yesterday = round((TODAY - DAY).timestamp() * 1000)
    for sensor in (site.door, site.shelf):
        Sender(connection, sensor).send(minutes(yesterday + HOUR, 20, Random(7)))
    publish_scene(site.door, wire.Scene(version=0))
    check_task()
    assert caplog.messages == []
    connection.execute(
        "UPDATE ingest_bucket SET value = value + 1 WHERE channel_id = ANY(%s) AND metric = 5",
        [[*facts(connection, site.door.public_id).channels.values()]],
    )
    assert check_buckets(connection, datetime.now(UTC)) == 2
    found = connection.execute(
        "SELECT day, sensors, buckets, differing FROM ingest_check ORDER BY checked_at"
    ).fetchall()
    counted, day = len(rows(connection)), (TODAY - DAY).date()
    assert found == [(day, 2, counted, 0), (day, 2, counted, 2)]
    assert caplog.messages == [
        f"2 of {counted // 2} buckets of {site.door.public_id} on {day} differ from its batches;"
        " rebuild_buckets puts them right"
    ]


def standing(connection: psycopg.Connection) -> tuple[int, int, int]:
    """What is said of buckets: how many agree in the last check, how many differ still, and of how many sensors."""
    last = last_check(connection)
    assert last
    return last.buckets, last.differing, last.differing_sensors


def test_what_differs_is_told_until_it_agrees(site: Site, connection: psycopg.Connection) -> None:
    """Other sensors of later nights take nothing back; putting buckets right does, at once or in the next night."""
    yesterday = round((TODAY - DAY).timestamp() * 1000)
    for sensor in (site.door, site.shelf):
        Sender(connection, sensor).send(minutes(yesterday + HOUR, 20, Random(7)))
    right, channels = len(rows(connection)), [*facts(connection, site.door.public_id).channels.values()]

    def add(amount: int) -> None:
        connection.execute(
            "UPDATE ingest_bucket SET value = value + %s WHERE channel_id = ANY(%s) AND metric = 5",
            [amount, channels],
        )

    tonight, tomorrow = TODAY + timedelta(hours=3), TODAY + timedelta(days=1, hours=3)
    add(1)
    assert check_buckets(connection, tonight) == 2
    assert standing(connection) == (right, 2, 1)
    assert check_buckets(connection, tomorrow, size=0) == 2
    assert standing(connection) == (0, 2, 1)
    day = (TODAY - DAY).date()
    run(site, "--from", f"{day}T00:15")  # not the whole day
    assert standing(connection) == (0, 2, 1)
    assert check_buckets(connection, tomorrow, size=0) == 0
    assert standing(connection) == (0, 0, 0)
    add(1)
    assert check_buckets(connection, tonight) == 2
    run(site, "--sensor", site.shelf.public_id)
    assert standing(connection) == (right, 2, 1)
    run(site, "--from", f"{day}T00:00", "--to", f"{day + DAY}T00:00")
    assert standing(connection) == (right, 0, 0)


def test_a_check_of_nothing_says_so(
    site: Site, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody was heard, what was is not of that day, or there was no time."""
    check_buckets(connection, datetime.now(UTC))
    assert standing(connection) == (0, 0, 0)
    Sender(connection, site.door).send([heartbeat(NOW)])
    check_buckets(connection, datetime.now(UTC))
    assert standing(connection) == (0, 0, 0)
    Sender(connection, site.shelf).send(minutes(round((TODAY - DAY).timestamp() * 1000), 20, Random(7)))
    monkeypatch.setattr(check, "LONGEST_SECONDS", 0)
    check_buckets(connection, datetime.now(UTC))
    assert (
        connection.execute("SELECT sensors, buckets, differing FROM ingest_check").fetchall()
        == [(0, 0, 0)] * 3
    )
