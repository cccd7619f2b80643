"""The same data as JSON and CSV, and the OpenAPI document."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics.export.api import api
from sensorapp.fleet.models import Store
from tests.audit.passages import crossings
from tests.cast import Cast, make_door
from tests.counts.site import send, utc, watching
from tests.export.conftest import Program

BEGIN = utc("2026-05-04T08:00:00")
DAY = {"from": "2026-05-04", "to": "2026-05-05"}
TABLES: list[tuple[str, dict[str, str], int]] = [
    ("/stores", {}, 2),
    ("/stores/hamburg/lines", {}, 1),
    ("/stores/hamburg/traffic", DAY | {"step": "quarter"}, 96),
    ("/stores/hamburg/traffic", DAY | {"step": "hour"}, 24),
    ("/stores/hamburg/traffic", DAY | {"step": "day"}, 1),
    ("/stores/hamburg/manual-counts", DAY, 2),
    ("/stores/hamburg/accuracy", DAY, 3),
]
OPENAPI = Path(__file__).parent / "openapi.json"


@pytest.fixture
def filled(cast: Cast, program: Program) -> Program:
    """Known and unknown numbers, true and false, and names that CSV must quote."""
    Store.objects.filter(pk=cast.store.pk).update(name='The "Elbe", Hamburg', city="Hamburg\nAltona")
    at = [BEGIN + timedelta(minutes=n) for n in range(20)]
    send(make_door(cast.store), [*crossings(at), *watching(BEGIN, BEGIN + timedelta(hours=1))])
    for begin, end in (("10:00", "10:17"), ("17:00", "18:00")):
        body = {"from": f"2026-05-04T{begin}:00.250+02:00", "to": f"2026-05-04T{end}:00+02:00"}
        counted = {"entries": 18, "exits": 0, "counted_by": 'Ada "the first", L.'}
        assert program.post("/stores/hamburg/manual-counts", body | counted).status_code == 201
    return program


def text(value: Any) -> str:
    """A JSON value as its CSV cell."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize(("path", "query", "rows"), TABLES)
def test_csv_holds_what_json_holds(filled: Program, path: str, query: dict[str, str], rows: int) -> None:
    table = filled.json(path, query)
    shared = {name: table[name] for name in ("store", "time_zone") if name in table}
    expected = [{name: text(value) for name, value in (shared | row).items()} for row in table["rows"]]
    assert len(expected) == rows
    assert filled.csv(path, query) == expected
    assert [list(row) for row in filled.csv(path, query)] == [list(row) for row in expected]


def test_an_empty_table_still_names_its_columns(cast: Cast, program: Program) -> None:
    response = program.get("/stores/hamburg/manual-counts", DAY | {"format": "csv"})
    assert response.content.decode() == (
        "store,time_zone,id,from,to,entrance,line,counted_by,recorded_at,entries,exits,forward,backward,"
        "sensor_entries,sensor_exits,sensor_forward,sensor_backward,completeness,compared\r\n"
    )


@pytest.mark.parametrize(
    ("accept", "format", "media_type"),
    [
        ("*/*", None, "application/json"),
        ("text/csv", None, "text/csv; charset=utf-8"),
        ("text/csv, application/json;q=0.5", None, "text/csv; charset=utf-8"),
        ("text/html, */*;q=0.1", None, "application/json"),
        ("application/json", "csv", "text/csv; charset=utf-8"),
        ("text/csv", "json", "application/json"),
        ("image/png", "csv", "text/csv; charset=utf-8"),
    ],
)
def test_the_form_is_chosen(program: Program, accept: str, format: str | None, media_type: str) -> None:
    response = program.get("/stores", {"format": format} if format else {}, accept=accept)
    assert (response.status_code, response["Content-Type"]) == (200, media_type)
    assert response["Vary"].startswith("Accept, Authorization")


def test_no_other_form_is_sent(program: Program) -> None:
    response = program.get("/stores", accept="application/xml")
    assert (response.status_code, response["Content-Type"]) == (406, "application/problem+json")
    assert response.json()["detail"] == "Accept application/json or text/csv."


@pytest.mark.parametrize(
    "path", ["/store", "/stores/hamburg", "/stores/hamburg/visits", "/stores/ham burg/lines"]
)
def test_there_is_nothing_elsewhere(program: Program, path: str) -> None:
    response = program.get(path)
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


def test_the_openapi_document_is_the_one_that_is_kept() -> None:
    """Whoever changes the API sees here what callers will see."""
    document = json.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("RENEW_OPENAPI"):
        OPENAPI.write_text(document)
    assert document == OPENAPI.read_text(), (
        "The API has changed. If that is intended and keeps v1 compatible, write the document anew: "
        "RENEW_OPENAPI=1 pytest tests/export/test_forms.py -k openapi"
    )


def test_the_openapi_document_is_served_and_whole(program: Program) -> None:
    document = Program(None).get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/api/v1/stores",
        *(f"/api/v1/stores/{{slug}}/{what}" for what in ("lines", "traffic", "manual-counts", "accuracy")),
    }
    names = {reference.rpartition("/")[2] for reference in references(document)}
    assert names <= set(document["components"]["schemas"])


@pytest.mark.parametrize(("path", "query", "rows"), TABLES)
def test_the_openapi_document_names_fields_as_they_come(
    filled: Program, path: str, query: dict[str, str], rows: int
) -> None:
    document, table = filled.json("/openapi.json"), filled.json(path, query)
    operation = document["paths"]["/api/v1" + path.replace("hamburg", "{slug}")]["get"]
    schema = resolved(document, operation["responses"]["200"]["content"]["application/json"]["schema"])
    row_schema = resolved(document, schema["properties"]["rows"]["items"])
    for described, sent in [(schema, table), *((row_schema, row) for row in table["rows"])]:
        assert list(described["properties"]) == described["required"] == list(sent)


def test_the_openapi_document_names_the_fields_of_a_recorded_count(filled: Program) -> None:
    document = filled.json("/openapi.json")
    body = {"from": "2026-05-04T12:00:00Z", "to": "2026-05-04T13:00:00Z", "entries": 1, "counted_by": "Ada"}
    recorded = filled.post("/stores/hamburg/manual-counts", body).json()
    described = document["components"]["schemas"]["ManualCountOut"]
    assert list(described["properties"]) == described["required"] == list(recorded)


def resolved(document: Any, schema: Any) -> Any:
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()
