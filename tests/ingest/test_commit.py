"""Exactly once: what the database holds, against a ledger of what the sensor recorded."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.ingest.commit import ROW_EVENTS, Incoming, commit
from analytics.ingest.decode import incoming, read
from analytics.ingest.directory import Directory, SensorFacts
from analytics.ingest.fold import Deltas, SensorState, fold
from analytics.ingest.packed import unpack
from analytics.ingest.tasks import forget_rejections
from analytics.metrics import FORWARD, SLOT_TIME, ZONE_TIME
from sensorapp import columns as c
from sensorapp import wire
from sensorapp.fleet.scenes import publish_scene
from tests.ingest.site import SCENE, Site, clear, database_url
from tests.ingest.strategies import events

# The beginning of a bucket, so that a few minutes after it are in the same one.
NOW = 1_780_000_200_000
MODEL = "0123456789abcdef"


def facts(connection: psycopg.Connection, sensor_id: str) -> SensorFacts:
    return Directory().sensors(connection, [sensor_id])[sensor_id]


def batch(
    sensor: SensorFacts, first_seq: int, sent: Sequence[wire.Event], epoch: int = 1, config: int = 1
) -> Incoming:
    message = wire.Batch(sensor.public_id, epoch, first_seq, MODEL, config, list(sent))
    return incoming(*read([message]), sensor, "$.batches[0]")


def crossings(count: int, at: int = NOW) -> list[wire.Event]:
    return [wire.Crossing(at + place, 0, "forward") for place in range(count)]


def buckets(connection: psycopg.Connection) -> Deltas:
    rows = connection.execute(
        "SELECT channel_id, metric, (extract(epoch FROM start) * 1000)::bigint, value FROM ingest_bucket"
    )
    return {(channel, metric, start): value for channel, metric, start, value in rows}


def archive(connection: psycopg.Connection, sensor: SensorFacts) -> list[tuple[int, int, wire.Event]]:
    """Every stored event with its epoch and sequence number, in their order."""
    rows = connection.execute(
        "SELECT epoch, first_seq, first_at, event_count, events FROM ingest_batch"
        " WHERE sensor_id = %s ORDER BY epoch, first_seq",
        [sensor.id],
    )
    return [
        (epoch, first_seq + place, event)
        for epoch, first_seq, *packed in rows
        for place, event in enumerate(c.decode(unpack(*packed)))
    ]


def expected_buckets(sensor: SensorFacts, recorded: Sequence[wire.Event]) -> Deltas:
    deltas: Deltas = {}
    fold(c.encode(recorded), SensorState(sensor.channels, {}), deltas)
    return deltas


@pytest.mark.parametrize(
    ("first_seq", "count", "epoch", "status", "ack_epoch", "acked_seq"),
    [
        (5, 3, 2, "stored", 2, 7),
        (2, 3, 2, "duplicate", 2, 4),
        (3, 4, 2, "stored", 2, 6),
        (6, 1, 2, "gap", 2, 4),
        (5, 1, 1, "stale_epoch", 2, 4),
        (0, 2, 3, "stored", 3, 1),
        (1, 2, 3, "gap", 3, -1),
    ],
)
def test_the_cursor_decides(
    site: Site,
    connection: psycopg.Connection,
    first_seq: int,
    count: int,
    epoch: int,
    status: str,
    ack_epoch: int,
    acked_seq: int,
) -> None:
    """After five events in epoch 2."""
    sensor = facts(connection, site.door.public_id)
    commit(connection, [batch(sensor, 0, crossings(5), epoch=2)])
    [ack], versions = commit(connection, [batch(sensor, first_seq, crossings(count, NOW + first_seq), epoch)])
    assert (ack.status, ack.epoch, ack.acked_seq) == (status, ack_epoch, acked_seq)
    assert versions == ({site.store.pk: 2} if status == "stored" else {})


def test_a_batch_is_one_row_with_its_counts(site: Site, connection: psycopg.Connection) -> None:
    sensor = facts(connection, site.door.public_id)
    sent = [*crossings(3), wire.Heartbeat(NOW + 60_000, 60_000, 1_800, 1_740, 41.5, 13_960)]
    [ack], versions = commit(connection, [batch(sensor, 0, sent)])
    assert ack == wire.Ack(sensor.public_id, 1, 3, "stored")
    assert versions == {site.store.pk: 1}
    assert archive(connection, sensor) == [(1, seq, event) for seq, event in enumerate(sent)]
    start = NOW - NOW % 900_000
    assert buckets(connection) == {
        (sensor.channels["line", 0], FORWARD.number, start): 3,
        (sensor.channels["device", 0], 5, start): 60_000,
    }
    cursor = connection.execute(
        "SELECT sensor_id, epoch, next_seq, (extract(epoch FROM newest_at) * 1000)::bigint, heartbeat_ms"
        " FROM ingest_cursor"
    ).fetchall()
    assert cursor == [(sensor.id, 1, 4, NOW + 60_000, 60_000)]


def test_an_invalid_batch_is_noted_and_its_neighbours_are_stored(
    site: Site, connection: psycopg.Connection
) -> None:
    sensor = facts(connection, site.door.public_id)
    sent = [
        batch(sensor, 0, crossings(2)),
        batch(sensor, 2, [wire.Crossing(NOW, 7, "forward")]),
        batch(sensor, 3, crossings(1), config=2),
        batch(sensor, 4, crossings(1)),
    ]
    acks, _ = commit(connection, sent)
    assert [(ack.status, ack.acked_seq, ack.path, ack.reason) for ack in acks] == [
        ("stored", 1, "", ""),
        (
            "invalid",
            2,
            "$.batches[0].events[0].line",
            "the sensor has no line 7; add it to its scene",
        ),
        (
            "invalid",
            3,
            "$.batches[0].config",
            "scene version 2 was never published for this sensor; the newest is 1",
        ),
        ("stored", 4, "", ""),
    ]
    rejections = connection.execute(
        "SELECT sensor_id, epoch, first_seq, last_seq, path FROM ingest_rejection ORDER BY first_seq"
    ).fetchall()
    assert rejections == [
        (sensor.id, 1, 2, 2, "$.batches[0].events[0].line"),
        (sensor.id, 1, 3, 3, "$.batches[0].config"),
    ]
    assert [seq for _, seq, _ in archive(connection, sensor)] == [0, 1, 4]


def test_batches_that_follow_each_other_share_a_row(site: Site, connection: psycopg.Connection) -> None:
    door, shelf = (facts(connection, sensor.public_id) for sensor in (site.door, site.shelf))
    sent = crossings(ROW_EVENTS + 10)

    def part(begin: int, end: int, **head: int) -> Incoming:
        return batch(door, begin, sent[begin:end], **head)

    parts = [part(0, 2), part(2, 5), part(5, 6, config=0), part(6, 7), part(7, ROW_EVENTS + 6)]
    parts += [part(ROW_EVENTS + begin, ROW_EVENTS + end) for begin, end in ((6, 7), (8, 9), (7, 9))]
    parts += [batch(door, 0, sent[:1], epoch=2)]
    acks, _ = commit(connection, [parts[0], batch(shelf, 0, crossings(1)), *parts[1:]])
    assert [ack.status for ack in acks] == [*["stored"] * 7, "gap", "stored", "stored"]
    rows = connection.execute(
        "SELECT epoch, first_seq, event_count, config FROM ingest_batch WHERE sensor_id = %s ORDER BY 1, 2",
        [door.id],
    ).fetchall()
    assert rows == [
        (1, 0, 5, 1),
        (1, 5, 1, 0),
        (1, 6, 1000, 1),
        (1, ROW_EVENTS + 6, 3, 1),
        (2, 0, 1, 1),
    ]
    assert archive(connection, door) == [
        *((1, seq, event) for seq, event in enumerate(sent[:-1])),
        (2, 0, sent[0]),
    ]
    # Sent again, also in other pieces, it is known.
    acks, _ = commit(connection, [part(3, 9), batch(door, 6, crossings(1))])
    assert [(ack.status, ack.acked_seq) for ack in acks] == [("duplicate", 8), ("stale_epoch", 0)]


def test_nothing_is_kept_of_a_group_that_fails(site: Site, connection: psycopg.Connection) -> None:
    good, bad = (facts(connection, sensor.public_id) for sensor in (site.door, site.shelf))
    poison = batch(bad, 0, crossings(1))
    poison.epoch = 2**70
    with pytest.raises(OverflowError):
        commit(connection, [batch(good, 0, crossings(3)), poison])
    assert buckets(connection) == {}
    assert archive(connection, good) == []
    [ack], _ = commit(connection, [batch(good, 0, crossings(3))])
    assert ack.status == "stored"


def test_two_processes_count_the_same_sensors_once(site: Site, connection: psycopg.Connection) -> None:
    """Each sends all of both sensors' batches, in an order of sensors of its own; the cursors' locks decide."""
    sensors = [facts(connection, sensor.public_id) for sensor in (site.door, site.shelf)]
    recorded = [*crossings(60), wire.Heartbeat(NOW + 60_000, 60_000, 1_800, 1_740, 41.5, 13_960)]

    def send(own_order: Sequence[SensorFacts]) -> list[set[str]]:
        with psycopg.connect(database_url(), autocommit=True) as own:
            return [
                {
                    ack.status
                    for ack in commit(
                        own, [batch(sensor, place, recorded[place : place + 1]) for sensor in own_order]
                    )[0]
                }
                for place in range(len(recorded))
            ]

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, [sensors, sensors[::-1]] * 2))
    assert set().union(*itertools.chain(*answers)) <= {"stored", "duplicate"}
    for sensor in sensors:
        assert archive(connection, sensor) == [(1, seq, event) for seq, event in enumerate(recorded)]
    expected = [expected_buckets(sensor, recorded) for sensor in sensors]
    assert buckets(connection) == expected[0] | expected[1]


CHANNELS = st.just(0)
MOMENTS = st.integers(NOW, NOW + 3_600_000)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    recorded=st.lists(events(MOMENTS, CHANNELS), min_size=1, max_size=30),
    cuts=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 12)), max_size=20),
)
def test_whatever_is_resent_counts_once(
    site: Site,
    connection: psycopg.Connection,
    recorded: list[wire.Event],
    cuts: list[tuple[int, int]],
) -> None:
    """Batches cut at random, early, late, twice and overlapping; then all that is missing, as a sensor would."""
    clear(connection)
    sensor = facts(connection, site.door.public_id)
    settled = 0
    for first, length in [*cuts, (0, len(recorded))]:
        sent = recorded[first : first + length]
        if not sent:
            continue
        [ack], _ = commit(connection, [batch(sensor, first, sent)])
        if first > settled:
            assert (ack.status, ack.acked_seq) == ("gap", settled - 1)
        elif first + len(sent) <= settled:
            assert (ack.status, ack.acked_seq) == ("duplicate", settled - 1)
        else:
            settled = first + len(sent)
            assert (ack.status, ack.acked_seq) == ("stored", settled - 1)
    assert archive(connection, sensor) == [(1, seq, event) for seq, event in enumerate(recorded)]
    assert buckets(connection) == expected_buckets(sensor, recorded)


def test_what_a_scene_no_longer_names_is_not_known_any_more(
    site: Site, connection: psycopg.Connection
) -> None:
    sensor = facts(connection, site.door.public_id)
    zone, slot = sensor.channels["zone", 0], sensor.channels["slot", 0]
    sent = [wire.Occupancy(NOW, 0, 5), wire.Shelf(NOW, 0, 5, 1.0), heartbeat(NOW + 60_000)]
    commit(connection, [batch(sensor, 0, sent)])
    publish_scene(site.door, wire.Scene(version=0, slots=SCENE.slots))
    sensor = facts(connection, site.door.public_id)
    commit(connection, [batch(sensor, 3, [heartbeat(NOW + 120_000)], config=2)])
    assert buckets(connection)[zone, ZONE_TIME.number, NOW] == 60_000
    assert buckets(connection)[slot, SLOT_TIME.number, NOW] == 120_000


def heartbeat(at: int) -> wire.Heartbeat:
    return wire.Heartbeat(at, 60_000, 1_800, 1_740, 41.5, 13_960)


def test_rejections_are_forgotten_after_ninety_days(site: Site, connection: psycopg.Connection) -> None:
    for days in (1, 89, 91):
        connection.execute(
            "INSERT INTO ingest_rejection (sensor_id, epoch, first_seq, last_seq, path, reason, received_at)"
            " VALUES (1, 1, 0, 0, '$', '', now() - make_interval(days => %s))",
            [days],
        )
    forget_rejections()
    ages = connection.execute(
        "SELECT extract(day FROM now() - received_at)::int FROM ingest_rejection ORDER BY 1"
    ).fetchall()
    assert ages == [(1,), (89,)]


def test_updates_of_buckets_stay_on_their_page(site: Site, connection: psycopg.Connection) -> None:
    """A quarter of an hour is updated every minute: each time elsewhere, it would leave dead rows in table and index."""
    sensor = facts(connection, site.door.public_id)
    commit(connection, [batch(sensor, 0, [wire.Occupancy(NOW, 0, 5), wire.Shelf(NOW, 0, 5, 1.0)])])
    connection.execute("SELECT pg_stat_reset_single_table_counters('ingest_bucket'::regclass)")
    for step in range(60):
        sent = [*crossings(1, NOW + step * 60_000), heartbeat(NOW + (step + 1) * 60_000)]
        commit(connection, [batch(sensor, 2 + 2 * step, sent)])
    connection.execute("SELECT pg_stat_force_next_flush()")
    [updates, hot] = connection.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'ingest_bucket'"
    ).fetchone() or [0, 0]
    assert updates > 300
    assert hot > 0.9 * updates
