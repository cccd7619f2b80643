"""Events ahead of the clock: acknowledged, kept, not counted, and counted once when they are released."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.ingest.commit import Incoming, commit
from analytics.ingest.decode import incoming, read
from analytics.ingest.directory import Directory, SensorFacts
from analytics.ingest.packed import unpack
from analytics.ingest.set_aside import SetAside, list_set_aside, release_set_aside
from analytics.metrics import BUCKET_MS, FORWARD
from sensorapp import columns as c
from sensorapp import wire
from sensorapp.accounts.models import AuditEntry
from tests.ingest.site import Site, clear
from tests.ingest.strategies import events
from tests.ingest.test_commit import archive, buckets, expected_buckets

MODEL = "0123456789abcdef"
MINUTE = 60_000
HOUR = 60 * MINUTE
TOLERANCE = 5 * MINUTE
# The beginning of a bucket some hours ago.
NOW = int(time.time() * 1000) // BUCKET_MS * BUCKET_MS - 6 * HOUR


@pytest.fixture
def door(site: Site, connection: psycopg.Connection) -> SensorFacts:
    return Directory().sensors(connection, [site.door.public_id])[site.door.public_id]


def batch(
    sensor: SensorFacts,
    first_seq: int,
    sent: Sequence[wire.Event],
    now: int = NOW,
    sent_at: int | None = None,
) -> Incoming:
    message = wire.Batch(sensor.public_id, 1, first_seq, MODEL, 1, list(sent), sent_at)
    return incoming(*read([message]), sensor, "$.batches[0]", now, TOLERANCE)


def crossing(at: int) -> wire.Event:
    return wire.Crossing(at, 0, "forward")


def set_aside(connection: psycopg.Connection) -> list[tuple[int, wire.Event]]:
    """Sequence number and event of all that is set aside."""
    rows = connection.execute(
        "SELECT first_seq, first_at, event_count, events FROM ingest_set_aside ORDER BY epoch, first_seq"
    )
    return [
        (first_seq + place, event)
        for first_seq, *packed in rows
        for place, event in enumerate(c.decode(unpack(*packed)))
    ]


def entries(connection: psycopg.Connection, sensor: SensorFacts) -> dict[int, int]:
    """How many went in, by the beginning of the bucket."""
    line = sensor.channels["line", 0]
    return {
        start: value
        for (channel, metric, start), value in buckets(connection).items()
        if (channel, metric) == (line, FORWARD.number)
    }


MOMENTS = st.integers(NOW - HOUR, NOW + 2 * TOLERANCE)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    recorded=st.lists(events(MOMENTS, st.just(0)), min_size=1, max_size=30),
    cuts=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 12)), max_size=10),
)
def test_each_event_is_counted_or_set_aside_whatever_is_resent(
    door: SensorFacts,
    connection: psycopg.Connection,
    recorded: list[wire.Event],
    cuts: list[tuple[int, int]],
) -> None:
    clear(connection)
    for first, length in [*cuts, (0, len(recorded))]:
        if sent := recorded[first : first + length]:
            [ack], _ = commit(connection, [batch(door, first, sent)])
            assert ack.status in ("stored", "duplicate", "gap")
    ahead = [(seq, event) for seq, event in enumerate(recorded) if event.at > NOW + TOLERANCE]
    known = [(1, seq, event) for seq, event in enumerate(recorded) if event.at <= NOW + TOLERANCE]
    assert set_aside(connection) == ahead
    assert archive(connection, door) == known
    assert buckets(connection) == expected_buckets(door, [event for _, _, event in known])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moments=st.lists(st.lists(MOMENTS, min_size=1, max_size=8), min_size=1, max_size=5),
    shift_s=st.integers(-7_200, 3_600),
)
def test_what_is_released_counts_once_at_its_shifted_time(
    site: Site,
    door: SensorFacts,
    connection: psycopg.Connection,
    moments: list[list[int]],
    shift_s: int,
) -> None:
    clear(connection)
    sent = 0
    for some in moments:
        commit(connection, [batch(door, sent, [crossing(at) for at in some])])
        sent += len(some)
    ahead = [at for some in moments for at in some if at > NOW + TOLERANCE]
    shift = timedelta(seconds=shift_s)
    assert release_set_aside(site.door, shift) == len(ahead)
    assert release_set_aside(site.door, shift) == 0
    true = [at + shift_s * 1000 if at in ahead else at for some in moments for at in some]
    assert entries(connection, door) == Counter(at - at % BUCKET_MS for at in true)
    assert [event.at for _, _, event in archive(connection, door)] == true
    assert set_aside(connection) == []


@pytest.fixture
def hour_ahead(site: Site, door: SensorFacts, connection: psycopg.Connection) -> int:
    """Two events an hour ahead of a clock that is right, between two that are not; the clock's time."""
    now = int(time.time() * 1000)
    sent = [crossing(now - 1), crossing(now + HOUR), crossing(now + HOUR + 1), crossing(now)]
    acks, _ = commit(connection, [batch(door, 0, sent, now, sent_at=now + HOUR)])
    assert acks == [wire.Ack(door.public_id, 1, 3, "stored")]
    return now


def test_the_cursor_goes_past_them_and_its_newest_event_is_one_that_counts(
    door: SensorFacts, connection: psycopg.Connection, hour_ahead: int
) -> None:
    [(next_seq, newest, skew)] = connection.execute(
        "SELECT next_seq, (extract(epoch FROM newest_at) * 1000)::bigint, skew_ms FROM ingest_cursor"
    ).fetchall()
    assert (next_seq, newest) == (4, hour_ahead)
    assert HOUR - MINUTE < skew <= HOUR
    # A batch that does not say when it was sent measures nothing.
    commit(connection, [batch(door, 4, [crossing(hour_ahead)])])
    assert connection.execute("SELECT skew_ms FROM ingest_cursor").fetchone() == (skew,)


def test_they_are_listed_by_sensor(site: Site, connection: psycopg.Connection, hour_ahead: int) -> None:
    [(received,)] = connection.execute("SELECT received_at FROM ingest_set_aside").fetchall()
    ahead = datetime.fromtimestamp((hour_ahead + HOUR + 1) / 1000, UTC) - received
    [found] = list_set_aside()
    assert found == SetAside(
        site.store.organisation.slug,
        site.store.slug,
        site.door.public_id,
        "door",
        2,
        received,
        received,
        found.least_ahead,
        found.most_ahead,
    )
    assert found.least_ahead == found.most_ahead == pytest.approx(ahead, abs=timedelta(milliseconds=1))


def test_while_they_still_lie_ahead_they_stay(
    site: Site, door: SensorFacts, connection: psycopg.Connection, hour_ahead: int
) -> None:
    with pytest.raises(ValidationError, match="too far ahead; shift them further back") as caught:
        release_set_aside(site.door)
    assert list(caught.value.message_dict) == ["shift"]
    with pytest.raises(ValidationError, match="over 400 days back; shift less"):
        release_set_aside(site.door, -timedelta(days=500))
    with override_settings(INGEST_RETENTION_DAYS=7), pytest.raises(ValidationError, match="over 7 days back"):
        release_set_aside(site.door, -timedelta(days=8))
    assert [seq for seq, _ in set_aside(connection)] == [1, 2]
    assert len(archive(connection, door)) == 2
    assert not AuditEntry.objects.filter(verb="released events set aside").exists()


def test_what_came_in_another_span_of_time_stays(
    site: Site, connection: psycopg.Connection, hour_ahead: int
) -> None:
    received = datetime.fromtimestamp(hour_ahead / 1000, UTC)
    shift, minute = -timedelta(hours=1), timedelta(minutes=1)
    assert release_set_aside(site.door, shift, received_until=received - minute) == 0
    assert release_set_aside(site.door, shift, received_from=received + minute) == 0
    assert release_set_aside(site.door, shift, received - minute, received + minute) == 2


def test_what_is_released_can_be_told_in_the_archive(
    site: Site, connection: psycopg.Connection, hour_ahead: int
) -> None:
    release_set_aside(site.door, -timedelta(hours=1))
    rows = connection.execute(
        "SELECT first_seq, event_count, released FROM ingest_batch ORDER BY first_seq"
    ).fetchall()
    assert rows == [(0, 1, False), (1, 2, True), (3, 1, False)]
    [noted] = AuditEntry.objects.filter(verb="released events set aside")
    assert (noted.subject_name, noted.detail) == (str(site.door), {"events": 2, "shift_s": -3600.0})


def test_readings_of_then_do_not_become_those_of_now(
    site: Site, door: SensorFacts, connection: psycopg.Connection
) -> None:
    """And days that are closed are summed again for them."""
    sent: list[wire.Event] = [wire.Occupancy(NOW, 0, 2), wire.Occupancy(NOW + 2 * TOLERANCE, 0, 9)]
    commit(connection, [batch(door, 0, [*sent, crossing(NOW + 2 * TOLERANCE)])])
    connection.execute("TRUNCATE ingest_late_bucket")
    release_set_aside(site.door, -timedelta(minutes=5))
    assert connection.execute("SELECT value, at FROM ingest_gauge").fetchall() == [(2, NOW)]
    assert connection.execute("SELECT store_id FROM ingest_late_bucket").fetchall() == [(site.store.pk,)]


# --- the commands ----------------------------------------------------------------------------------


def run(name: str, *arguments: str) -> str:
    output = StringIO()
    call_command(name, *arguments, stdout=output)
    return output.getvalue()


def test_an_administrator_lists_and_releases(
    site: Site, door: SensorFacts, connection: psycopg.Connection, hour_ahead: int
) -> None:
    listed = run("list_set_aside")
    assert all(word in listed for word in (door.public_id, site.store.slug, "3600 s"))
    assert run("release_set_aside", door.public_id, "--shift", "-3600") == (
        f"2 events of {door.public_id} are counted.\n"
    )
    assert sum(entries(connection, door).values()) == 4
    assert run("list_set_aside") == "Nothing is set aside.\n"


def test_bad_input_names_the_field_and_the_remedy(site: Site, hour_ahead: int) -> None:
    sensor = site.door.public_id
    with pytest.raises(CommandError, match="sensor 's-nobody' is not known; list_set_aside shows"):
        run("release_set_aside", "s-nobody")
    with pytest.raises(CommandError, match="--shift: the newest of the events would lie"):
        run("release_set_aside", sensor)
    with pytest.raises(CommandError, match="time 'noon': write it as 2026-11-25T06:00"):
        run("release_set_aside", sensor, "--received-from", "noon")
