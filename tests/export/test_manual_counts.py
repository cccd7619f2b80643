"""Manual counts and the accuracy statement through the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from analytics.audit.accuracy import accuracy
from analytics.audit.models import ManualCount
from sensorapp.fleet.models import ChannelKind, Sensor
from tests.audit.passages import crossings
from tests.cast import Cast, channel, make_door, make_sensor
from tests.counts.site import send, utc, watching
from tests.export.conftest import Program

BEGIN = utc("2026-05-04T08:00:00")
MAY = {"from": "2026-05-01", "to": "2026-06-01"}
COUNT: dict[str, Any] = {
    "from": "2026-05-04T10:00:00+02:00",
    "to": "2026-05-04T10:30:00+02:00",
    "counted_by": "Ada",
}


@pytest.fixture
def door(cast: Cast) -> Sensor:
    """Watched from 8:00 to 9:00 UTC; nineteen came in the first half hour."""
    door = make_door(cast.store)
    at = [BEGIN + timedelta(minutes=n) for n in range(19)]
    send(door, [*crossings(at), *watching(BEGIN, BEGIN + timedelta(hours=1))])
    return door


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def test_what_is_recorded_is_read_again_beside_the_sensors_count(program: Program, door: Sensor) -> None:
    line = channel(door, ChannelKind.LINE)
    entrance = line.entrance_id
    bodies = [
        COUNT | {"entries": 20},
        COUNT | {"entrance": entrance, "entries": 20, "exits": 1},
        COUNT | {"line": line.pk, "forward": 18},
        COUNT | {"from": "2026-05-04T14:00:00Z", "to": "2026-05-04T15:00:00Z", "exits": 3},
    ]
    answers = [program.post("/stores/hamburg/manual-counts", body) for body in bodies]
    assert [answer.status_code for answer in answers] == [201] * 4
    utc_times = {"from": "2026-05-04T08:00:00Z", "to": "2026-05-04T08:30:00Z"}
    nothing = dict.fromkeys(("entrance", "line", "entries", "exits", "forward", "backward"))
    recorded = [nothing | body | (utc_times if body["from"] == COUNT["from"] else {}) for body in bodies]
    assert [without(answer.json(), "id", "recorded_at") for answer in answers] == recorded
    table = program.json("/stores/hamburg/manual-counts", MAY)
    rows = table.pop("rows")
    assert table == {"store": "hamburg", "time_zone": "Europe/Berlin"} | MAY
    unknown = dict.fromkeys(("sensor_entries", "sensor_exits", "sensor_forward", "sensor_backward"))
    full = {"completeness": 1.0, "compared": True}
    assert rows == [
        answer.json() | unknown | beside
        for answer, beside in zip(
            answers,
            [
                {"sensor_entries": 19} | full,
                {"sensor_entries": 19, "sensor_exits": 0} | full,
                {"sensor_forward": 19} | full,
                {"completeness": 0.0, "compared": False},
            ],
            strict=True,
        )
    ]


def test_the_accuracy_statement(program: Program, door: Sensor) -> None:
    program.post("/stores/hamburg/manual-counts", COUNT | {"entries": 20})
    program.post("/stores/hamburg/manual-counts", COUNT | {"entries": 25, "from": "2026-04-04T08:00:00Z"})
    table = program.json("/stores/hamburg/accuracy", MAY)
    expected = accuracy([(20, 19)])
    figures = {
        "spans": 1,
        "manual": 20,
        "sensor": 19,
        "bias": -0.05,
        "bias_low": expected.bias_low,
        "bias_high": expected.bias_high,
        "absolute_error": 0.05,
    }
    assert table == {
        "store": "hamburg",
        "time_zone": "Europe/Berlin",
        **MAY,
        "rows": [{"direction": "entries", **figures}, {"direction": "all", **figures}],
    }


def test_without_counts_the_statement_is_empty(program: Program) -> None:
    [row] = program.json("/stores/pune/accuracy", MAY)["rows"]
    assert row == {
        "direction": "all", "spans": 0, "manual": 0, "sensor": 0,
        "bias": None, "bias_low": None, "bias_high": None, "absolute_error": None,
    }  # fmt: skip


def test_a_period_is_one_of_local_days(program: Program) -> None:
    """Ten minutes before and after midnight in Pune, which is half past six in the evening in UTC."""
    for begin, end in (("18:20", "18:30"), ("18:30", "18:40")):
        body = COUNT | {"from": f"2026-05-04T{begin}:00Z", "to": f"2026-05-04T{end}:00Z", "entries": 1}
        assert program.post("/stores/pune/manual-counts", body).status_code == 201
    query = {"from": "2026-05-05", "to": "2026-05-06"}
    [row] = program.json("/stores/pune/manual-counts", query)["rows"]
    assert row["from"] == "2026-05-04T18:30:00Z"


def test_what_is_refused_is_named(program: Program, cast: Cast, door: Sensor) -> None:
    foreign = make_door(cast.other_store)
    listed = "is not known; GET /api/v1/stores/hamburg/lines lists them"
    cases: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"counted_by": "Ada"}, [("from", "Field required"), ("to", "Field required")]),
        (COUNT | {"entries": 1, "weather": "rain"}, [("weather", "Extra inputs are not permitted")]),
        (COUNT | {"entries": -1}, [("entries", "Input should be greater than or equal to 0")]),
        (COUNT | {"entries": 1.5}, [("entries", "Input should be a valid integer, got a number with a fractional part")]),
        (COUNT | {"entries": 1, "from": "2026-05-04T10:00:00"}, [("from", "Input should have timezone info")]),
        (COUNT | {"entries": 1, "to": COUNT["from"]}, [("to", "must lie after from")]),
        (COUNT, [("entries", "nothing was counted; give entries, exits or both")]),
        (COUNT | {"entries": 1, "entrance": foreign.channels.get(kind=ChannelKind.LINE).entrance_id}, [("entrance", listed)]),
        (COUNT | {"forward": 1, "line": channel(foreign, ChannelKind.LINE).pk}, [("line", listed)]),
        (COUNT | {"forward": 1, "line": channel(door, ChannelKind.DEVICE).pk}, [("line", listed)]),
        (COUNT | {"entries": 1, "entrance": 10**30}, [("entrance", listed)]),
        (COUNT | {"entries": 1, "from": "0001-01-01T00:00:00+02:00"}, [("from", "must lie in 2000 or later")]),
        (COUNT | {"forward": 1, "line": 1, "entrance": 1}, [("line", "must be left out where an entrance is given")]),
    ]  # fmt: skip
    for body, errors in cases:
        response = program.post("/stores/hamburg/manual-counts", body)
        assert (response.status_code, response["Content-Type"]) == (422, "application/problem+json"), body
        assert [(each["field"], each["detail"]) for each in response.json()["errors"]] == errors
    assert not ManualCount.objects.exists()


@pytest.mark.parametrize("body", ["{", "[]", "7", '"x"', "null", b"\xff", '{"entries": 1e400}'])
def test_what_is_no_object_is_refused(program: Program, body: str | bytes) -> None:
    response = program.post("/stores/hamburg/manual-counts", body)
    assert response.status_code in (400, 422)
    assert response["Content-Type"] == "application/problem+json"


def test_a_request_that_is_sent_again_counts_once(program: Program) -> None:
    body = COUNT | {"entries": 20}
    assert program.post("/stores/hamburg/manual-counts", body).status_code == 201
    again = program.post("/stores/hamburg/manual-counts", body)
    assert (again.status_code, again.json()["title"], again.json()["detail"]) == (
        409,
        "Conflict",
        "from: Ada has a count of the same place and time already; nothing was added",
    )
    assert ManualCount.objects.count() == 1


def test_lines(program: Program, cast: Cast, door: Sensor) -> None:
    aisle, _ = make_sensor(cast.store, "aisle", lines=["left"], zones=["table"])
    make_door(cast.other_store)
    own, other = channel(door, ChannelKind.LINE), channel(aisle, ChannelKind.LINE)
    assert program.json("/stores/hamburg/lines") == {
        "store": "hamburg",
        "rows": [
            {
                "line": other.pk, "name": "left", "sensor": aisle.public_id, "sensor_name": "aisle",
                "entrance": None, "entrance_name": None, "entry_direction": "forward", "retired_at": None,
            },
            {
                "line": own.pk, "name": "door", "sensor": door.public_id, "sensor_name": "door",
                "entrance": own.entrance_id, "entrance_name": "Main entrance", "entry_direction": "forward",
                "retired_at": None,
            },
        ],
    }  # fmt: skip


def test_queries(program: Program, door: Sensor, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    bodies = [COUNT | {"entries": 20, "counted_by": name} for name in ("Ada", "Grace", "Mary")]
    with django_assert_num_queries(10):
        program.post("/stores/hamburg/manual-counts", bodies[0])
    for body in bodies[1:]:
        program.post("/stores/hamburg/manual-counts", body)
    for path, query, queries in (
        ("/stores", {}, 2),
        ("/stores/hamburg/lines", {}, 3),
        ("/stores/hamburg/manual-counts", MAY, 6),
        ("/stores/hamburg/accuracy", MAY, 6),
    ):
        with django_assert_num_queries(queries):
            program.json(path, query)
