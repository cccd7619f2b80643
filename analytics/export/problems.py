"""Errors as problem details (RFC 9457): what is wrong, in which field, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.errors import ValidationError as RequestError
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sensorapp.outage import OUTAGES, RETRY_AFTER_SECONDS, is_outage

MEDIA_TYPE: Final = "application/problem+json"


class FieldProblem(BaseModel):
    """``field`` is the parameter or the path into the body."""

    field: str
    detail: str


class Problem(BaseModel):
    """RFC 9457. ``errors`` names each field at fault."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


# For OpenAPI: every operation may answer so.
PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
RESPONSES: Final = {
    "4XX": {"description": "What is wrong, and what to do about it.", "content": PROBLEM},
    "503": {
        "description": "The database is not available.",
        "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
        "content": PROBLEM,
    },
}
COMPONENTS: Final[dict[str, Any]] = models_json_schema(
    [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
)[1]["$defs"]


def problem(status: int, detail: str, errors: Iterable[FieldProblem] = ()) -> HttpResponse:
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors))
    response = JsonResponse(body.model_dump(), status=status, content_type=MEDIA_TYPE)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    return response


def field_problem(status: int, errors: list[FieldProblem]) -> HttpResponse:
    return problem(status, "; ".join(f"{error.field}: {error.detail}" for error in errors), errors)


def unreadable(error: RequestError) -> HttpResponse:
    """The request does not have the types that the operation declares."""
    return field_problem(422, [FieldProblem(field=path(each), detail=each["msg"]) for each in error.errors])


def path(error: dict[str, Any]) -> str:
    """``("body", "count", "from")`` as ``from``: where it stands (query, body) and under which name are ours."""
    where, *rest = error["loc"]
    names = rest[1:] if where == "body" else rest
    return ".".join(str(name) for name in names) or str(where)


def refused(error: ValidationError) -> HttpResponse:
    """A verb refused a value."""
    codes = {each.code for errors in error.error_dict.values() for each in errors}
    errors = [
        FieldProblem(field=field, detail=message)
        for field, messages in error.message_dict.items()
        for message in messages
    ]
    return field_problem(409 if codes == {"exists"} else 422, errors)


def add_problem_handlers(api: NinjaAPI) -> None:
    """Let everything that the API refuses be answered by this module."""

    @api.exception_handler(RequestError)
    def _unreadable(request: HttpRequest, error: RequestError) -> HttpResponse:
        return unreadable(error)

    @api.exception_handler(ValidationError)
    def _refused(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return refused(error)

    @api.exception_handler(PermissionDenied)
    def _forbidden(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
        return problem(403, str(error))

    @api.exception_handler(Http404)
    def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
        return problem(404, str(error))

    @api.exception_handler(HttpError)
    def _other(request: HttpRequest, error: HttpError) -> HttpResponse:
        return problem(error.status_code, str(error))

    for kind in OUTAGES:
        api.add_exception_handler(kind, _unavailable)


def _unavailable(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    if not (isinstance(error, Exception) and is_outage(error)):
        raise error
    response = problem(503, "The database is not available; ask again later.")
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
