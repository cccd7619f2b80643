"""What is answered to batches whose numbers are known already."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from analytics.ingest import decode
from analytics.ingest.commit import Incoming, commit
from analytics.ingest.directory import SensorFacts
from analytics.ingest.partitions import create_partitions
from analytics.ingest.set_aside import release_set_aside
from sensorapp import wire
from tests.ingest.site import Site
from tests.ingest.test_commit import NOW, archive, batch, facts

BAD = 7  # no scene has this line
REASON = ("$.batches[0].events[0].line", "the sensor has no line 7; add it to its scene")
REFUSED_AGAIN = (
    REASON[0],
    f"{REASON[1]} (refused under this number before; once mended, send it under a new one)",
)
Answer = tuple[str, int, int]


def crossings(first: int, last: int, line: int = 0, shift: int = 0) -> list[wire.Event]:
    return [wire.Crossing(NOW + shift + seq, line, "forward") for seq in range(first, last + 1)]


@pytest.fixture(params=[0, 3])
def door(request: pytest.FixtureRequest, site: Site, connection: psycopg.Connection) -> SensorFacts:
    """Known of epoch 2: 0 to 4 stored, 5 to 6 refused, 7 to 9 stored; of epoch 1: 0 to 2 stored, 3 refused.

    What is stored came so many days ago.
    """
    sensor = facts(connection, site.door.public_id)
    commit(connection, [batch(sensor, 0, crossings(0, 2)), batch(sensor, 3, crossings(3, 3, BAD))])
    for first, last, line in ((0, 2, 0), (3, 4, 0), (5, 6, BAD), (7, 9, 0)):
        commit(connection, [batch(sensor, first, crossings(first, last, line), epoch=2)])
    if ago := timedelta(days=request.param):
        day = (datetime.now(UTC) - ago).date()
        create_partitions(connection, day, day)
        connection.execute("UPDATE ingest_batch SET received_at = received_at - %s", [ago])
    return sensor


def answered(connection: psycopg.Connection, *batches: Incoming) -> list[Answer]:
    acks, _ = commit(connection, batches)
    refused = [(ack.path, ack.reason) for ack in acks if ack.status == "invalid"]
    assert set(refused) <= {REASON, REFUSED_AGAIN}
    assert all((ack.path, ack.reason) == ("", "") for ack in acks if ack.status != "invalid")
    return [(ack.status, ack.epoch, ack.acked_seq) for ack in acks]


@pytest.mark.parametrize(
    ("epoch", "first", "last", "answer"),
    [
        # The same once more, and some that is new with it.
        (2, 0, 2, ("duplicate", 2, 9)),
        (2, 8, 9, ("duplicate", 2, 9)),
        (2, 8, 12, ("stored", 2, 12)),
        # Refused is still refused; what was cut otherwise is told part by part.
        (2, 5, 6, ("invalid", 2, 9)),
        (2, 6, 8, ("invalid", 2, 6)),
        (2, 3, 12, ("duplicate", 2, 4)),
        # Of an earlier epoch, what is known is told before it is said to be over.
        (1, 0, 2, ("duplicate", 1, 2)),
        (1, 1, 8, ("duplicate", 1, 2)),
        (1, 3, 3, ("invalid", 1, 3)),
        (1, 4, 8, ("stale_epoch", 2, 9)),
    ],
)
def test_each_is_told_what_became_of_it(
    door: SensorFacts, connection: psycopg.Connection, epoch: int, first: int, last: int, answer: Answer
) -> None:
    sent = crossings(first, last)
    if first <= 6 and last >= 5:
        bad = max(5 - first, 0)
        sent[bad : bad + 1] = crossings(first + bad, first + bad, BAD)
    if (epoch, first) == (1, 3):
        sent = crossings(3, 3, BAD)
    assert answered(connection, batch(door, first, sent, epoch)) == [answer]


@pytest.mark.parametrize(
    ("epoch", "sent", "answer"),
    [
        (2, crossings(0, 2, shift=1), ("stale_epoch", 2, 9)),
        (2, [*crossings(0, 1), *crossings(2, 3, shift=1)], ("duplicate", 2, 1)),
        (1, [*crossings(0, 0), *crossings(1, 2, shift=1)], ("duplicate", 1, 0)),
        (2, [wire.Crossing(NOW, 0, "backward")], ("stale_epoch", 2, 9)),
        (2, [wire.Visit(NOW, 0, 1)], ("stale_epoch", 2, 9)),
    ],
)
def test_other_events_under_known_numbers_are_not_acknowledged(
    door: SensorFacts, connection: psycopg.Connection, epoch: int, sent: list[wire.Event], answer: Answer
) -> None:
    before = archive(connection, door)
    assert answered(connection, batch(door, 0, sent, epoch)) == [answer]
    assert archive(connection, door) == before


@pytest.mark.parametrize(
    ("epoch", "first", "sent", "answer"),
    [
        (2, 5, crossings(5, 6, shift=1), ("stale_epoch", 2, 9)),
        (2, 5, crossings(5, 6, BAD, shift=1), ("stale_epoch", 2, 9)),
        (2, 5, [*crossings(5, 5), *crossings(6, 6, shift=1)], ("invalid", 2, 5)),
        (2, 4, crossings(4, 6, shift=1), ("stale_epoch", 2, 9)),
        (2, 4, [*crossings(4, 4), *crossings(5, 6, shift=1)], ("duplicate", 2, 4)),
        (1, 3, crossings(3, 3, shift=1), ("stale_epoch", 2, 9)),
    ],
)
def test_other_events_under_refused_numbers_are_not_refused(
    door: SensorFacts,
    connection: psycopg.Connection,
    epoch: int,
    first: int,
    sent: list[wire.Event],
    answer: Answer,
) -> None:
    assert answered(connection, batch(door, first, sent, epoch)) == [answer]


@pytest.mark.parametrize("at", [NOW, 0, "noon", None])
def test_of_events_that_cannot_be_read_their_times_are_known(
    site: Site, connection: psycopg.Connection, at: object
) -> None:
    """Whether they can be read is known too: what has a time was not refused for having none."""
    shelf = facts(connection, site.shelf.public_id)
    event = {"type": "crossing", "at": at, "line": 0, "direction": "up"}
    raw = {"sensor": shelf.public_id, "epoch": 1, "first_seq": 0, "model": "00" * 8, "config": 1}
    [broken] = decode.batches(json.dumps({"batches": [raw | {"events": [event]}]}).encode(), wire.JSON)
    for _ in range(2):
        [ack], _ = commit(connection, [decode.incoming(broken, shelf, "$.batches[0]")])
        assert (ack.status, ack.acked_seq) == ("invalid", 0)
    for shift, status in ((0, "invalid" if at == NOW else "stale_epoch"), (1, "stale_epoch")):
        [ack], _ = commit(connection, [batch(shelf, 0, crossings(0, 0, shift=shift))])
        assert ack.status == status


def test_within_one_transaction(site: Site, connection: psycopg.Connection) -> None:
    """Both come at once, and neither is in the database yet."""
    shelf = facts(connection, site.shelf.public_id)
    bad = batch(shelf, 3, crossings(3, 3, BAD))
    again = [
        batch(shelf, 0, crossings(0, 2)),
        batch(shelf, 0, crossings(0, 2, shift=1)),
        bad,
        bad,
        batch(shelf, 2, [*crossings(2, 2), *crossings(3, 3, BAD), *crossings(4, 4)]),
    ]
    assert answered(connection, batch(shelf, 0, crossings(0, 2)), *again) == [
        ("stored", 1, 2),
        ("duplicate", 1, 2),
        ("stale_epoch", 1, 2),
        ("invalid", 1, 3),
        ("invalid", 1, 3),
        ("duplicate", 1, 2),
    ]


def test_a_batch_to_be_refused_of_which_the_beginning_was_counted(
    site: Site, connection: psycopg.Connection
) -> None:
    """Its beginning is told apart, as it must not be among the dead letters."""
    shelf = facts(connection, site.shelf.public_id)
    commit(connection, [batch(shelf, 0, crossings(0, 4))])
    grown = batch(shelf, 0, [*crossings(0, 4), *crossings(5, 5, BAD)])
    assert answered(connection, grown) == [("duplicate", 1, 4)]
    last = batch(shelf, 5, crossings(5, 5, BAD))
    answers = [commit(connection, [last])[0][0] for _ in range(2)]
    assert [(ack.status, ack.acked_seq) for ack in answers] == [("invalid", 5)] * 2
    assert [(ack.path, ack.reason) for ack in answers] == [REASON, REFUSED_AGAIN]


def test_set_aside_and_released(site: Site, connection: psycopg.Connection) -> None:
    """Released events have other times than those that were sent."""
    shelf = facts(connection, site.shelf.public_id)
    sent = batch(shelf, 0, crossings(0, 4))
    sent.trusted_until = NOW + 2
    for is_released in (False, True):
        for other in (sent, batch(shelf, 0, crossings(0, 4))):
            assert answered(connection, other)[0][0] in ("stored", "duplicate")
        wrong = [*crossings(0, 2), wire.Visit(NOW, 0, 1)]
        assert answered(connection, batch(shelf, 0, wrong)) == [("duplicate", 1, 2)]
        if not is_released:
            release_set_aside(site.shelf, timedelta(seconds=-10))
