"""Who reads and records what through the API."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.audit.models import ManualCount
from sensorapp.accounts.models import AuditEntry
from tests.cast import Cast
from tests.export.conftest import Program

STORES = ["hamburg", "pune", "sydney"]
MAY = {"from": "2026-05-01", "to": "2026-06-01"}
COUNT = {
    "from": "2026-05-04T10:00:00+02:00",
    "to": "2026-05-04T10:30:00+02:00",
    "entries": 12,
    "counted_by": "Ada",
}
OPENS = {
    "analyst of one store": {"hamburg"},
    "analyst of the other": {"pune"},
    "manager": {"hamburg"},
    "administrator": {"hamburg", "pune"},
    "stranger": {"sydney"},
}
SHUT = {
    "revoked": (403, "is revoked; ask for a new one."),
    "unknown": (401, "send the header Authorization: Bearer <token>."),
    "nobody": (401, "send the header Authorization: Bearer <token>."),
}
READS = [("lines", {}), ("traffic", MAY | {"step": "day"}), ("manual-counts", MAY), ("accuracy", MAY)]


def problem(response: Any) -> tuple[int, str]:
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["detail"]


def test_each_token_lists_its_stores(programs: dict[str, Program]) -> None:
    listed = {name: {row["slug"] for row in programs[name].json("/stores")["rows"]} for name in OPENS}
    assert listed == OPENS


@pytest.mark.parametrize(("what", "query"), READS)
def test_each_token_reads_its_stores(programs: dict[str, Program], what: str, query: dict[str, str]) -> None:
    for name, opens in OPENS.items():
        for store in STORES:
            response = programs[name].get(f"/stores/{store}/{what}", query)
            if store in opens:
                assert (response.status_code, response.json()["store"]) == (200, store)
            else:
                assert problem(response) == (
                    404,
                    f"There is no store {store} that this token may read; GET /api/v1/stores lists those.",
                )


def test_only_some_tokens_record_counts(programs: dict[str, Program], cast: Cast) -> None:
    recorded = {}
    for name in OPENS:
        body = COUNT | {"counted_by": name}
        answers = {store: programs[name].post(f"/stores/{store}/manual-counts", body) for store in STORES}
        recorded[name] = {store for store, answer in answers.items() if answer.status_code == 201}
        for store in set(STORES) - recorded[name]:
            assert problem(answers[store])[0] == (403 if store in OPENS[name] else 404)
    assert recorded == {
        "analyst of one store": set(),
        "analyst of the other": set(),
        "manager": {"hamburg"},
        "administrator": {"hamburg", "pune"},
        "stranger": {"sydney"},
    }
    assert set(ManualCount.objects.values_list("store__slug", "counted_by")) == {
        ("hamburg", "manager"),
        ("hamburg", "administrator"),
        ("pune", "administrator"),
        ("sydney", "stranger"),
    }
    assert AuditEntry.objects.filter(verb="recorded manual count", organisation=cast.chain).count() == 3


@pytest.mark.parametrize("name", SHUT)
def test_without_a_good_token_there_is_nothing(programs: dict[str, Program], name: str) -> None:
    status, remedy = SHUT[name]
    responses = [programs[name].get("/stores"), programs[name].post("/stores/hamburg/manual-counts", COUNT)]
    responses += [programs[name].get(f"/stores/hamburg/{what}", query) for what, query in READS]
    for response in responses:
        found, detail = problem(response)
        assert (found, detail.endswith(remedy)) == (status, True)
        assert response.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)


def test_a_session_in_the_browser_is_no_token(cast: Cast) -> None:
    nobody = Program(None)
    nobody._client.force_login(cast.owner)
    assert problem(nobody.get("/stores"))[0] == 401
