"""Events ahead of the clock: acknowledged, kept, not counted, and counted once when they are released."""

from __future__ import annotations

import re
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from random import Random

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
from analytics.ingest.rebuild import ALWAYS, compare
from analytics.ingest.set_aside import MS, Lot, SetAside, in_ms, list_set_aside, release_set_aside
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


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    if ahead:
        assert release_set_aside(site.door, shift) == (len(ahead), shift)
    with pytest.raises(ValidationError, match=f"nothing of {door.public_id} is set aside"):
        release_set_aside(site.door, shift)
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
    # What was measured once is not true for ever: a batch that does not say when it was sent leaves nothing known.
    commit(connection, [batch(door, 4, [crossing(hour_ahead)])])
    assert connection.execute("SELECT skew_ms FROM ingest_cursor").fetchone() == (None,)


def test_they_are_listed_by_sensor(site: Site, connection: psycopg.Connection, hour_ahead: int) -> None:
    [(received,)] = connection.execute("SELECT received_at FROM ingest_set_aside").fetchall()
    least, most = ((hour_ahead + HOUR + n - in_ms(received)) * MS for n in (0, 1))
    organisation = site.store.organisation.slug
    lot = Lot(2, received, received, least, most)
    found = [SetAside(organisation, site.store.slug, site.door.public_id, "door", lot)]
    assert list_set_aside() == list_set_aside([site.door.public_id]) == found
    assert list_set_aside([site.shelf.public_id]) == []


def test_while_they_still_lie_ahead_they_stay(
    site: Site, door: SensorFacts, connection: psycopg.Connection, hour_ahead: int
) -> None:
    with pytest.raises(
        ValidationError, match=r"lie 5[45] min [0-9]+ s too far ahead; move them further back"
    ) as caught:
        release_set_aside(site.door, timedelta(0))
    assert list(caught.value.message_dict) == ["shift"]
    with pytest.raises(ValidationError, match="over 400 days back; move them less"):
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
    for span, named, said in [
        (
            (None, received - minute),
            "received_until",
            "nothing came in this span of time; what is set aside came",
        ),
        ((received + minute, None), "received_from", "nothing came in this span of time"),
        ((received + minute, received - minute), "received_until", "lies before the beginning of the span"),
    ]:
        with pytest.raises(ValidationError, match=said) as caught:
            release_set_aside(site.door, shift, *span)
        assert list(caught.value.message_dict) == [named]
    assert release_set_aside(site.door, shift, received - minute, received + minute) == (2, shift)


ERRORS = st.sampled_from([8 * MINUTE, 2 * HOUR, 3 * HOUR, 400 * 24 * HOUR])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=st.lists(
        st.lists(st.tuples(ERRORS, st.integers(0, 90_000)), min_size=1, max_size=8), min_size=1, max_size=4
    ),
    seed=st.randoms(use_true_random=False),
)
def test_each_error_of_a_clock_is_released_by_itself(
    site: Site,
    door: SensorFacts,
    connection: psycopg.Connection,
    sent: list[list[tuple[int, int]]],
    seed: Random,
) -> None:
    """Whatever errors a batch mixes: by default each event is moved to when it was, but for how long the newest took."""
    clear(connection)
    now = int(time.time() * 1000)
    recorded = [(error, now - late + error) for some in sent for error, late in some]
    first_seq = 0
    for some in sent:
        commit(
            connection, [batch(door, first_seq, [crossing(now - late + error) for error, late in some], now)]
        )
        first_seq += len(some)
    listed = list_set_aside()
    errors = sorted({error for error, _ in recorded})
    assert [one.lot.events for one in listed] == [sum(own == e for own, _ in recorded) for e in errors]
    if len(errors) > 1:
        with pytest.raises(ValidationError, match="ahead, by errors of their own; choose one") as caught:
            release_set_aside(site.door)
        assert list(caught.value.message_dict) == ["ahead"]
    seed.shuffle(listed)
    for place, one in enumerate(listed):
        done = release_set_aside(site.door, ahead=one.lot.clock_error)
        assert done == (one.lot.events, -one.lot.clock_error)
        assert {other.lot for other in list_set_aside()} == {other.lot for other in listed[place + 1 :]}
    found = [event.at for _, _, event in archive(connection, door)]
    shifts = {
        error: one.lot.clock_error // MS
        for error, one in zip(errors, sorted(listed, key=ahead_of), strict=True)
    }
    assert found == [at - shifts[error] for error, at in recorded]
    assert all(abs(shift - error) <= 90_000 + MINUTE for error, shift in shifts.items())
    assert_rebuilds(connection, door, found)


def ahead_of(one: SetAside) -> timedelta:
    return one.lot.most_ahead


def assert_rebuilds(connection: psycopg.Connection, door: SensorFacts, found: list[int]) -> None:
    assert entries(connection, door) == Counter(at - at % BUCKET_MS for at in found)
    assert compare(connection, door, *ALWAYS).differing == set()


def test_an_error_that_no_event_has_is_refused(site: Site, hour_ahead: int) -> None:
    with pytest.raises(
        ValidationError, match="nothing lies 2 h 0 min ahead, but 1 h 0 min; choose"
    ) as caught:
        release_set_aside(site.door, ahead=timedelta(hours=2))
    assert list(caught.value.message_dict) == ["ahead"]


def test_what_a_slow_outbox_sends_stays_together(
    site: Site, door: SensorFacts, connection: psycopg.Connection
) -> None:
    """Of an hour's backlog the oldest event lies an hour less ahead, and none far from the next."""
    now = int(time.time() * 1000)
    sent = [crossing(now + 2 * HOUR - n * 4 * MINUTE) for n in range(15, -1, -1)]
    commit(connection, [batch(door, 0, sent[:8], now), batch(door, 8, sent[8:], now)])
    [one] = list_set_aside()
    assert one.lot.events == 16
    done = release_set_aside(site.door)
    assert done.shift == -one.lot.clock_error == pytest.approx(-timedelta(hours=2), abs=timedelta(minutes=1))
    assert len(archive(connection, door)) == 16


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


def test_an_administrator_lists_and_pastes_what_is_listed(
    site: Site, door: SensorFacts, connection: psycopg.Connection, hour_ahead: int
) -> None:
    """Even beside a time that no clock has, and in a span of the times that are listed."""
    year_2099 = 4_070_908_800_000
    commit(connection, [batch(door, 4, [crossing(year_2099)], hour_ahead)])
    listed = run("list_set_aside")
    days = round((year_2099 - hour_ahead) / 86_400_000)
    assert all(word in listed for word in (door.public_id, site.store.slug, "1 h 0 min", f"{days} d"))
    commands = re.findall(r"manage\.py (release_set_aside .+)", listed)
    assert [shlex.split(command)[:2] for command in commands] == [["release_set_aside", door.public_id]] * 2
    [(begin, end)] = re.findall(r"1 h 0 min │ (\S+) – (\S+)", listed)
    span = ["--received-from", begin, "--received-until", end]
    assert run(*shlex.split(commands[0]), *span) == (
        f"2 events of {door.public_id} are counted, moved back by 1 h 0 min.\n"
    )
    assert run(*shlex.split(commands[1])) == (
        f"1 event of {door.public_id} is counted, moved back by {days} d.\n"
    )
    assert sum(entries(connection, door).values()) == 5
    assert run("list_set_aside") == "Nothing is set aside.\n"


def test_bad_input_names_the_argument_and_what_would_work(
    site: Site, door: SensorFacts, connection: psycopg.Connection, hour_ahead: int
) -> None:
    sensor = site.door.public_id
    commit(connection, [batch(door, 4, [crossing(hour_ahead + 3 * HOUR)], hour_ahead)])
    commands = "\n".join(f"  {one.command}" for one in list_set_aside())
    assert commands.count("\n") == 1
    for arguments, said in [
        ([], "--ahead: they lie 1 h 0 min and 3 h 0 min ahead, by errors of their own; choose one of them"),
        (
            ["--ahead", "2h"],
            "--ahead: nothing lies 2 h 0 min ahead, but 1 h 0 min and 3 h 0 min; choose from these",
        ),
        (["--shift=-500d"], "--shift: the oldest of them would lie over 400 days back; move them less"),
        (
            ["--received-from=2026-11-26", "--received-until=2026-11-25"],
            "--received-until: lies before the beginning",
        ),
    ]:
        with pytest.raises(CommandError) as caught:
            run("release_set_aside", sensor, *arguments)
        assert str(caught.value).startswith(said)
        assert str(caught.value).endswith(f"\nCommands that count what is set aside of it:\n{commands}")
    for arguments, said in [
        (["s-nobody"], "sensor 's-nobody' is not known; list_set_aside shows"),
        ([site.shelf.public_id], f"sensor: nothing of {site.shelf.public_id} is set aside"),
        (
            [sensor, "--received-from", "2026-13-01"],
            "argument --received-from: '2026-13-01' is no time; write it as",
        ),
        ([sensor, "--received-until", "noon"], "argument --received-until: 'noon' is no time; write it as"),
        ([sensor, "--shift", "soon"], "argument --shift: 'soon' is no span of time; write it as 2h"),
    ]:
        with pytest.raises(CommandError, match=said):
            run("release_set_aside", *arguments)
