"""Broken batches: what is said of them, what is still known of them, and what looking at them may cost."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest

from analytics.ingest import decode
from analytics.ingest.decode import Broken
from sensorapp import wire
from sensorapp.columns import shortened
from tests.ingest.uploads import MODEL, NOW, batch

DOOR = "s-0123456789ab"
HEAD = {"sensor": DOOR, "epoch": 3, "first_seq": 7, "model": MODEL, "config": 1}
EVENT = {"type": "crossing", "at": NOW, "line": 0, "direction": "forward"}
both = pytest.mark.parametrize("media_type", [wire.JSON, wire.MSGPACK])


def read(media_type: str, *batches: Any) -> list[wire.Batch | Broken]:
    encode = msgspec.json.encode if media_type == wire.JSON else msgspec.msgpack.encode
    return decode.batches(encode({"batches": batches}), media_type)


def event(**fields: Any) -> dict[str, Any]:
    return HEAD | {"events": [EVENT, EVENT | fields]}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in event().items() if key != name}


FIELDS = "Object contains unknown field; allowed are "
BATCH_FIELDS = FIELDS + "sensor, epoch, first_seq, model, config, events, sent_at and columns"
TYPES = "crossing, visit, occupancy, shelf, heartbeat and deployment"
TIMES = "; times are Unix milliseconds, from 2000 to 2099"
DEPLOYMENT = {"type": "deployment", "at": NOW, "rollout": 1, "state": "finished"}
HEARTBEAT = {"type": "heartbeat", "at": NOW, "observed": 60_000}
STATES = (
    "done, downloading, failed, failed_download_retry_exceeded, failed_invalid_argument, failed_token_expired, "
    "installing and request_received"
)


@both
@pytest.mark.parametrize(
    ("broken", "path", "reason"),
    [
        (event() | {"image": "/9j/"}, "", BATCH_FIELDS),
        (event() | {"x - at `$.columns": 1}, "", BATCH_FIELDS),
        (event(colour="red"), ".events[1]", FIELDS + "type, at, line and direction"),
        (
            HEAD | {"events": [HEARTBEAT]},
            ".events[0]",
            FIELDS + "type, at, observed_ms, frames, inferences, temperature_c and dnn_us",
        ),
        (
            HEAD | {"columns": {"kinds": b"", "at": b"", "channel": b"", "value": b""}},
            ".columns",
            FIELDS + "kind, at, channel, value and extra",
        ),
        (
            event(direction="left"),
            ".events[1].direction",
            "Invalid enum value; allowed are backward and forward",
        ),
        (HEAD | {"events": [DEPLOYMENT]}, ".events[0].state", f"Invalid enum value; allowed are {STATES}"),
        (event(type="picture"), ".events[1].type", f"Invalid value; allowed are {TYPES}"),
        (event(at=1), ".events[1].at", "Expected `int` >= 946684800000" + TIMES),
        (event(at=NOW * 1000), ".events[1].at", "Expected `int` <= 4102444799999" + TIMES),
        (event() | {"sent_at": NOW // 1000}, ".sent_at", "Expected `int` >= 946684800000" + TIMES),
        (event(line=-1), ".events[1].line", "Expected `int` >= 0"),
        (event(line="0"), ".events[1].line", "Expected `int`, got `str`"),
        (without("model"), "", "Object missing required field `model`"),
        (without("events"), "", "events: give them one by one, or else in columns"),
        (HEAD | {"events": [EVENT] * 10_001}, ".events", "Expected `array` of length <= 10000"),
        (7, "", "Expected `object`, got `int`"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(media_type: str, broken: Any, path: str, reason: str) -> None:
    _, found = read(media_type, HEAD | {"events": [EVENT]}, broken)
    assert isinstance(found, Broken)
    assert (found.path, found.reason) == ("$.batches[1]" + path, reason)


@both
@pytest.mark.parametrize(
    ("broken", "sensor", "at", "unread"),
    [
        (event(line=-1), DOOR, [NOW, NOW], 0),
        (event(at=1), DOOR, [NOW, None], 0),
        (HEAD | {"events": [EVENT, None, 7]}, DOOR, [NOW, None, None], 0),
        (HEAD | {"events": [None, 7]}, DOOR, [None, None], 0),
        (HEAD | {"events": [EVENT] * 10_001}, DOOR, (), 0),
        (HEAD | {"evnts": [EVENT]}, DOOR, (), 0),
        (HEAD | {"events": EVENT}, DOOR, (), 0),
        (HEAD, DOOR, (), 0),
        (event() | {"sensor": "door"}, "", (), 0),
        (event() | {"epoch": 0}, "", (), 0),
        (without("first_seq"), "", (), 0),
        ([], "", (), 0),
    ],
)
def test_what_is_still_known_of_a_broken_batch(
    media_type: str, broken: Any, sensor: str, at: Any, unread: int
) -> None:
    [found] = read(media_type, broken)
    assert isinstance(found, Broken)
    epoch, first_seq = (3, 7) if sensor else (1, 0)
    assert (found.sensor, found.epoch, found.first_seq) == (sensor, epoch, first_seq)
    assert (found.at, found.unread) == (at, unread)


@both
def test_what_is_still_known_of_broken_columns(media_type: str) -> None:
    columns = msgspec.to_builtins(shortened(batch(DOOR, 0, 2)).columns, builtin_types=(bytes,))
    never = bytes(16)
    broken = [
        HEAD | {"columns": columns, "image": 1},
        HEAD | {"columns": columns | {"at": never}, "image": 1},
        HEAD | {"columns": columns | {"at": b""}},
        HEAD | {"columns": columns | {"kind": bytes(10_001)}},
        HEAD | {"columns": columns, "events": [EVENT]},
    ]
    found = decode.read(read(media_type, *broken))
    assert [(list(one.at), one.unread) for one in found if isinstance(one, Broken)] == [
        ([NOW, NOW + 1], 0),
        ([None, None], 0),
        ([None, None], 0),
        ([], 0),
        ([], 0),
    ]


def test_of_many_broken_columns_not_all_are_looked_at() -> None:
    """One byte of each event is enough to say how many there are."""
    columns = wire.Columns(b"\1" * 4_000, b"", b"", b"")
    batches = [wire.Batch(DOOR, 1, place * 4_000, MODEL, 1, columns=columns) for place in range(4)]
    found = decode.read(batches)
    assert [len(one.at) for one in found if isinstance(one, Broken)] == [4_000, 4_000, 0, 0]
    assert [one.count for one in found] == [4_000] * 4


@both
def test_of_many_broken_events_not_all_are_looked_at(media_type: str) -> None:
    """Ten thousand one by one; how many there are is known all the same."""
    broken = HEAD | {"events": [EVENT, None] * 2_000}
    easy = HEAD | {"events": [EVENT | {"line": -1}] * 4_000}
    found = read(media_type, broken, broken, broken, easy)
    assert [len(one.at) for one in found if isinstance(one, Broken)] == [4_000, 4_000, 0, 4_000]
    assert [one.count for one in found] == [4_000] * 4


def test_long_lists_of_json_are_looked_through_before_they_are_taken_apart() -> None:
    """Each of eight million zeros would take seventy bytes."""
    zeros = b"0," * (decode.OUTLINED_BYTES // 2) + b"0"
    with pytest.raises(wire.WireError) as caught:
        decode.batches(b'{"batches":[' + zeros + b"]}", wire.JSON)
    assert str(caught.value) == "$.batches[0]: Expected `object`, got `int`"
    head = msgspec.json.encode(HEAD)[:-1]
    [found] = decode.batches(b'{"batches":[' + head + b',"events":[' + zeros + b"]}]}", wire.JSON)
    assert found == Broken("$.batches[0].events[0]", "Expected `object`, got `int`", DOOR, 3, 7)


def test_an_error_can_be_sent_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(wire.WireError("$.batches[0].epoch", "Expected `int` >= 1")))
    assert (error.path, error.reason) == ("$.batches[0].epoch", "Expected `int` >= 1")
    assert str(error) == "$.batches[0].epoch: Expected `int` >= 1"
