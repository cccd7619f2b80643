"""Answers are tables: JSON with a few common fields and ``rows``, or the same rows as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any, Final, Literal

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from ninja import Field, Query, Schema
from ninja.errors import HttpError
from pydantic import BaseModel

from analytics.export.problems import RESPONSES

JSON: Final = "application/json"
CSV: Final = "text/csv"

# For OpenAPI: ninja adds the JSON answer itself.
TABLE: Final[dict[str, Any]] = {
    "responses": {
        200: {"content": {CSV: {"schema": {"type": "string"}}}},
        **RESPONSES,
    }
}


class Table(BaseModel):
    """``rows`` is a list of one kind of schema; a table's other strings stand before each row in CSV."""


class FormatIn(Schema):
    format: Literal["json", "csv"] | None = Field(
        None, description="Overrides the header Accept: application/json or text/csv."
    )


Format = Query[FormatIn]


def answer(request: HttpRequest, table: Table, format: Literal["json", "csv"] | None = None) -> HttpResponse:
    """A table in the form that the request asks for.

    It is sent in one piece, for every operation limits its rows to about ten thousand.
    """
    media_type = {"json": JSON, "csv": CSV, None: request.get_preferred_type([JSON, CSV])}[format]
    content = table.model_dump(mode="json", by_alias=True)
    match media_type:
        case "application/json":
            response: HttpResponse = JsonResponse(content)
        case "text/csv":
            response = HttpResponse(csv_text(columns(table), content), content_type=f"{CSV}; charset=utf-8")
        case _:
            raise HttpError(406, f"Accept {JSON} or {CSV}.")
    patch_vary_headers(response, ["Accept", "Authorization"])
    return response


def columns(table: Table) -> list[str]:
    """The names of the CSV's columns: what every row shares, then what is in a row."""
    (row,) = type(table).model_fields["rows"].annotation.__args__  # type: ignore[union-attr]
    return [*common(table), *(field.alias or name for name, field in row.model_fields.items())]


def common(table: Table) -> list[str]:
    return [name for name in ("store", "time_zone") if name in type(table).model_fields]


def csv_text(names: list[str], content: dict[str, Any]) -> str:
    """RFC 4180, with a line of names; what is not known is empty."""
    shared = {name: content[name] for name in names if name in content}
    lines = io.StringIO()
    writer = csv.DictWriter(lines, names)
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in (shared | row).items()} for row in content["rows"])
    return lines.getvalue()


def cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
