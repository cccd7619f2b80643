"""Buckets again from the batches: the same rows, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from random import Random
from threading import Thread

import psycopg
import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from analytics.ingest.commit import commit
from analytics.ingest.directory import SensorFacts
from analytics.ingest.rebuild import ALWAYS, rebuild
from analytics.ingest.set_aside import release_set_aside
from analytics.metrics import SLOT_TIME, ZONE_TIME
from sensorapp import wire
from sensorapp.fleet.models import Sensor
from sensorapp.fleet.scenes import publish_scene
from tests.ingest.site import SCENE, Site, clear, database_url
from tests.ingest.strategies import events
from tests.ingest.test_commit import NOW, batch, buckets, crossings, facts, heartbeat

Rows = list[tuple[object, ...]]
HOUR = 3_600_000


def rows(connection: psycopg.Connection) -> Rows:
    return connection.execute(
        "SELECT organisation_id, store_id, channel_id, metric, start, value FROM ingest_bucket ORDER BY 1, 2, 3, 4, 5"
    ).fetchall()


def run(site: Site, *arguments: str) -> list[str]:
    out = StringIO()
    call_command("rebuild_buckets", site.store.organisation.slug, *arguments, stdout=out)
    return out.getvalue().splitlines()


def assert_rebuilds(site: Site, connection: psycopg.Connection, since: str = "2000-01-01T00:00") -> Rows:
    """The check finds no difference, and what is lost entirely or spoilt since comes back exactly."""
    before = rows(connection)
    run(site, "--check")
    span = sql.SQL("start >= {}").format(f"{since}Z")
    connection.execute(sql.SQL("DELETE FROM ingest_bucket WHERE metric % 2 = 0 AND {}").format(span))
    connection.execute(
        sql.SQL("UPDATE ingest_bucket SET value = value + 1 WHERE metric % 3 = 0 AND {}").format(span)
    )
    connection.execute(
        "INSERT INTO ingest_bucket SELECT organisation_id, store_id, channel_id, 1, start + interval '9 days', 7"
        " FROM ingest_bucket LIMIT 1"
    )
    run(site)
    assert rows(connection) == before
    return before


class Sender:
    """A sensor that counts its sequence numbers and numbers its scenes."""

    def __init__(self, connection: psycopg.Connection, sensor: Sensor) -> None:
        self.connection, self.sensor = connection, sensor
        self.epoch, self.next_seq, self.config = 1, 0, 1

    @property
    def facts(self) -> SensorFacts:
        return facts(self.connection, self.sensor.public_id)

    def send(self, sent: Sequence[wire.Event], trusted_until: int | None = None) -> str:
        message = batch(self.facts, self.next_seq, sent, self.epoch, self.config)
        message.trusted_until = trusted_until
        [ack], _ = commit(self.connection, [message])
        self.next_seq += len(sent) if ack.status in ("stored", "invalid") else 0
        return ack.status

    def begin_epoch(self) -> None:
        self.epoch, self.next_seq = self.epoch + 1, 0

    def publish(self, scene: wire.Scene) -> None:
        publish_scene(self.sensor, scene)
        self.config += 1


def minutes(begin: int, count: int, random: Random) -> list[wire.Event]:
    """Every kind of event, a heartbeat a minute."""
    sent: list[wire.Event] = []
    for at in range(begin, begin + count * 60_000, 60_000):
        sent += [
            wire.Crossing(at + random.randrange(60_000), 0, random.choice(["forward", "backward"])),
            wire.Visit(at + random.randrange(60_000), 0, random.randrange(HOUR)),
            wire.Occupancy(at + 20_000, 0, random.randrange(4)),
            wire.Shelf(at + 40_000, 0, random.randrange(3), 0.9),
            heartbeat(at + 60_000),
        ]
    return [*sent, wire.Deployment(begin, 1, "done")]


def test_a_rich_history_comes_out_the_same(site: Site, connection: psycopg.Connection) -> None:
    """Two sensors, late and repeated batches, gaps, lost epochs, silence, events released, channels that come and go."""
    random = Random(4)
    door, shelf = Sender(connection, site.door), Sender(connection, site.shelf)
    no_zone = wire.Scene(version=0, lines=SCENE.lines, slots=SCENE.slots)
    for sender in (door, shelf):
        first, second = minutes(NOW, 40, random), minutes(NOW + 50 * 60_000, 20, random)
        assert sender.send(first) == "stored"
        sender.next_seq -= 30
        assert sender.send([*first[-30:], *second]) == "stored"
        sender.next_seq -= 3
        assert sender.send(second[-3:-1]) == "duplicate"
        sender.next_seq += 5
        assert sender.send(crossings(2)) == "gap"
        sender.next_seq -= 2
        assert sender.send([wire.Crossing(NOW, 9, "forward")]) == "invalid"
        assert sender.send(minutes(NOW + 3 * HOUR, 30, random)) == "stored"
        assert sender.send(minutes(NOW - 90 * 24 * HOUR, 5, random)) == "stored"  # late
        sender.begin_epoch()
        assert sender.send(minutes(NOW + 5 * HOUR, 10, random)) == "stored"
    door.publish(no_zone)
    assert door.send([heartbeat(NOW + 5 * HOUR + n * 60_000) for n in range(11, 30)]) == "stored"
    door.publish(SCENE)
    assert door.send(minutes(NOW + 6 * HOUR, 10, random)) == "stored"
    assert door.send(minutes(NOW + 8 * HOUR, 10, random), NOW + 8 * HOUR + 300_000) == "stored"
    assert release_set_aside(site.door, timedelta(hours=-1)).events > 20
    assert door.send(minutes(NOW + 9 * HOUR, 10, random)) == "stored"
    found = assert_rebuilds(site, connection)
    assert {row[3] for row in found} == set(range(1, 11))
    assert len(found) > 150


CHANGES = st.sampled_from(["", "epoch", "again", "without zone", "with zone"])
STEPS = st.lists(
    st.tuples(
        st.booleans(),
        CHANGES,
        st.lists(events(st.integers(NOW, NOW + HOUR), st.just(0)), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_any_history_comes_out_the_same(
    site: Site, connection: psycopg.Connection, steps: list[tuple[bool, str, list[wire.Event]]]
) -> None:
    clear(connection)
    senders = {True: Sender(connection, site.door), False: Sender(connection, site.shelf)}
    for sender in senders.values():
        sender.sensor.refresh_from_db()
        sender.config = sender.sensor.scene_version
    for who, change, sent in steps:
        sender = senders[who]
        if change == "epoch":
            sender.begin_epoch()
        elif change == "again":
            sender.next_seq = 0
        elif change:
            sender.publish(SCENE if change == "with zone" else wire.Scene(version=0, slots=SCENE.slots))
        sender.send(sent)
    assert_rebuilds(site, connection)


def test_a_channel_ends_with_the_first_batch_of_a_scene_without_it(
    site: Site, connection: psycopg.Connection
) -> None:
    """Whatever the gateway remembers of scenes: batches of the old one may come long after the new is published."""
    door = Sender(connection, site.door)
    zone, slot = door.facts.channels["zone", 0], door.facts.channels["slot", 0]
    door.send([wire.Occupancy(NOW, 0, 5), wire.Shelf(NOW, 0, 5, 1.0), heartbeat(NOW + 60_000)])
    publish_scene(site.door, wire.Scene(version=0, slots=SCENE.slots))
    door.send([heartbeat(NOW + 120_000)])
    door.config = 2
    door.send([heartbeat(NOW + 180_000), wire.Occupancy(NOW + 180_000, 0, 5), heartbeat(NOW + 240_000)])
    door.publish(SCENE)
    door.send([heartbeat(NOW + 300_000)])
    found = buckets(connection)
    assert (found[zone, ZONE_TIME.number, NOW], found[slot, SLOT_TIME.number, NOW]) == (120_000, 300_000)
    gauges = connection.execute("SELECT channel_id FROM ingest_gauge").fetchall()
    assert gauges == [(slot,)]
    assert_rebuilds(site, connection)


def test_only_what_is_asked_for_is_replaced(site: Site, connection: psycopg.Connection) -> None:
    random = Random(5)
    for sensor in (site.door, site.shelf):
        Sender(connection, sensor).send(minutes(NOW, 60, random))
    door = facts(connection, site.door.public_id).channels.values()
    before = rows(connection)
    connection.execute("UPDATE ingest_bucket SET value = value + 1")
    said = run(
        site, "--sensor", site.door.public_id, "--from", "2026-05-28T21:00", "--to", "2026-05-28T21:15"
    )
    after = rows(connection)
    put_right = {row[4] for row in after if row in before}
    assert {row[2] for row in after if row in before} <= set(door)
    assert {f"{start:%H:%M}" for start in put_right} == {"21:00"}  # type: ignore[str-format]
    assert said == [f"{site.door.public_id}: 10 buckets, 10 differed"]
    with pytest.raises(
        CommandError, match=r"\d+ buckets differ from their batches; run this without --check"
    ):
        run(site, "--check")


def test_commits_meanwhile_are_counted_once(site: Site, connection: psycopg.Connection) -> None:
    door = Sender(connection, site.door)
    door.send(minutes(NOW, 300, Random(8)))
    failures: list[Exception] = []

    def rebuild_often() -> None:
        try:
            with psycopg.connect(database_url(), autocommit=True) as other:
                for _ in range(10):
                    other.execute("UPDATE ingest_bucket SET value = value + 1 WHERE metric = 5")
                    rebuild(other, facts(other, site.door.public_id), *ALWAYS)
        except Exception as error:
            failures.append(error)

    rebuilding = Thread(target=rebuild_often)
    rebuilding.start()
    hour = 6
    while rebuilding.is_alive():
        assert door.send(minutes(NOW + hour * HOUR, 2, Random(hour))) == "stored"
        hour += 1
    rebuilding.join()
    assert failures == []
    run(site, "--check")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "yesterday"], "--from: yesterday is no time; write it as 2026-11-16T08:15"),
        (
            ["--to", "2026-11-16T08:10"],
            "--to: 2026-11-16T08:10 lies within a bucket; choose a quarter of an hour",
        ),
        (
            ["--from", "2026-11-28", "--to", "2026-11-27"],
            "--to: 2026-11-27 does not lie after --from, 2026-11-28; choose a later end",
        ),
        (
            ["--from", "2026-11-28", "--to", "2026-11-28T00:00"],
            "--to: 2026-11-28T00:00 does not lie after --from",
        ),
        (["--sensor", "s-none"], "--sensor: s-none is not one of chain-mitte's; name one of its sensors"),
    ],
)
def test_what_cannot_be_meant_is_refused(site: Site, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(site, *arguments)
