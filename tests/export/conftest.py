"""The cast, and programs that call the API with tokens of their own."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

if TYPE_CHECKING:
    from tests.cast import Cast


@pytest.fixture
def cast(db: None) -> Cast:
    from tests.cast import build_cast

    return build_cast()


class Program:
    """Calls the API; ``json`` and ``csv`` expect success and return what was sent."""

    def __init__(self, token: str | None) -> None:
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = Client()

    def get(self, path: str, query: dict[str, str] | None = None, **headers: str) -> Any:
        return self._client.get(f"/api/v1{path}", query, headers=self._headers | headers)

    def post(self, path: str, body: Any) -> Any:
        return self._client.post(f"/api/v1{path}", body, "application/json", headers=self._headers)

    def json(self, path: str, query: dict[str, str] | None = None) -> Any:
        response = self.get(path, query)
        assert (response.status_code, response["Content-Type"]) == (200, "application/json"), response.content
        return response.json()

    def csv(self, path: str, query: dict[str, str] | None = None) -> list[dict[str, str]]:
        response = self.get(path, query, accept="text/csv")
        assert (response.status_code, response["Content-Type"]) == (200, "text/csv; charset=utf-8")
        return list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))


@pytest.fixture
def programs(cast: Cast) -> dict[str, Program]:
    """One program for each token that the cast may hold."""
    from sensorapp.accounts.tokens import create_api_token, revoke_api_token

    made = {
        "analyst of one store": create_api_token(cast.chain, "one", ["hamburg"], actor=cast.analyst),
        "analyst of the other": create_api_token(cast.chain, "other", ["pune"], actor=cast.analyst),
        "manager": create_api_token(
            cast.chain, "counts", ["hamburg"], may_record_counts=True, actor=cast.manager
        ),
        "administrator": create_api_token(
            cast.chain, "chain", None, may_record_counts=True, actor=cast.administrator
        ),
        "stranger": create_api_token(
            cast.other_chain, "other chain", None, may_record_counts=True, actor=cast.stranger
        ),
        "revoked": create_api_token(cast.chain, "old", None, may_record_counts=True),
    }
    revoke_api_token(made["revoked"][0])
    tokens: dict[str, str | None] = {name: bearer for name, (_, bearer) in made.items()}
    return {
        name: Program(token)
        for name, token in {**tokens, "unknown": "t-nobody.secret", "nobody": None}.items()
    }


@pytest.fixture
def program(programs: dict[str, Program]) -> Program:
    """May read and record everything in the chain."""
    return programs["administrator"]
