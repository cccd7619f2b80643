"""REST v1 at ``/api/v1/``. Every operation reads through the stores that the caller's token opens."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import NinjaAPI, Path, Query
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from analytics.audit.accuracy import accuracy_statement
from analytics.audit.models import ManualCount
from analytics.audit.recording import record_manual_count
from analytics.audit.sensor_counts import Comparison, compare
from analytics.counts.days import from_ms, local_day
from analytics.export import schemas, tables
from analytics.export.auth import ApiTokenAuth, Caller, store_of
from analytics.export.problems import COMPONENTS, RESPONSES, add_problem_handlers
from analytics.export.tables import Format, answer
from analytics.export.traffic import MAX_DAYS, read_traffic
from sensorapp.fleet.models import Channel, ChannelKind, Entrance, Store


class Api(NinjaAPI):
    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        document["components"]["schemas"].update(COMPONENTS)
        return document


api = Api(
    title="sensorapp",
    version="1",
    description=(
        "Counts of the stores that a token opens, as JSON, or as CSV with `Accept: text/csv` or `?format=csv`. "
        "What is not known is null (empty in CSV), never zero. Errors are problem details (RFC 9457). "
        "What sensors and gateways send is not part of this document: docs/ingest.md of the project describes it."
    ),
    urls_namespace="api-v1",
    # The pages of documentation that ninja offers load their scripts from another host.
    docs_url=None,
    auth=ApiTokenAuth(),
)
add_problem_handlers(api)


@api.get("/stores", response=schemas.Stores, openapi_extra=tables.TABLE, summary="The stores")
def stores(request: Caller, form: Format) -> HttpResponse:
    rows = [
        schemas.StoreRow.model_validate(store, from_attributes=True)
        for store in Store.objects.visible_to_token(request.auth)
    ]
    return answer(request, schemas.Stores(rows=rows), form.format)


@api.get(
    "/stores/{slug:slug}/lines",
    response=schemas.Lines,
    openapi_extra=tables.TABLE,
    summary="The lines of its sensors, with the entrances they count for",
)
def lines(request: Caller, slug: str, form: Format) -> HttpResponse:
    store = store_of(request, slug)
    found = (
        Channel.objects.filter(sensor__store=store, kind=ChannelKind.LINE)
        .select_related("sensor", "entrance")
        .order_by("sensor__name", "sensor", "number")
    )
    rows = [line_row(line) for line in found]
    return answer(request, schemas.Lines(store=store.slug, rows=rows), form.format)


@api.get(
    "/stores/{slug:slug}/traffic",
    response=schemas.Traffic,
    by_alias=True,
    openapi_extra=tables.TABLE,
    summary="Entries, exits and their completeness",
)
def traffic(request: Caller, slug: str, period: Query[schemas.TrafficPeriod], form: Format) -> HttpResponse:
    """One row for each step without gaps, in local time with its offset from UTC: days have 23 to 25 hours
    where clocks change. At most 100 days by quarter, 400 by hour, 10 000 by day."""
    store = store_of(request, slug)
    check_period(period, MAX_DAYS[period.step])
    last = period.to - timedelta(days=1)
    rows = [
        schemas.TrafficRow(
            start=interval.begins,
            end=interval.ends,
            entries=interval.entries,
            exits=interval.exits,
            completeness=interval.completeness,
        )
        for interval in read_traffic(store, period.from_, last, period.step, timezone.now())
    ]
    return answer(
        request, schemas.Traffic(**of_store(store, period), step=period.step, rows=rows), form.format
    )


@api.post(
    "/stores/{slug:slug}/manual-counts",
    response={201: schemas.ManualCountOut},
    by_alias=True,
    openapi_extra={"responses": RESPONSES},
    summary="Record what a person counted",
)
def add_manual_count(request: Caller, slug: str, count: schemas.ManualCountIn) -> HttpResponse:
    """Only for tokens that may record counts. The same count again is refused with 409."""
    store = store_of(request, slug)
    recorded = record_manual_count(
        store,
        place_of(store, count),
        count.from_,
        count.to,
        count.counted,
        count.counted_by,
        actor=request.auth,
    )
    content = schemas.ManualCountOut.of(recorded).model_dump(mode="json", by_alias=True)
    return JsonResponse(content, status=201)


@api.get(
    "/stores/{slug:slug}/manual-counts",
    response=schemas.ManualCounts,
    by_alias=True,
    openapi_extra=tables.TABLE,
    summary="Manual counts beside sensor counts",
)
def manual_counts(request: Caller, slug: str, period: Query[schemas.Period], form: Format) -> HttpResponse:
    """Those that begin in the period, at most 400 days. The sensors' counts are of the same time to the
    millisecond."""
    store = store_of(request, slug)
    rows = [schemas.ManualCountRow.beside(comparison) for comparison in compared(store, period)]
    return answer(request, schemas.ManualCounts(**of_store(store, period), rows=rows), form.format)


@api.get(
    "/stores/{slug:slug}/accuracy",
    response=schemas.Accuracies,
    by_alias=True,
    openapi_extra=tables.TABLE,
    summary="How far sensor counts are from manual counts",
)
def accuracy(request: Caller, slug: str, period: Query[schemas.Period], form: Format) -> HttpResponse:
    """By direction and for all of them, over the manual counts that begin in the period, at most 400 days,
    and that every sensor observed fully."""
    store = store_of(request, slug)
    rows = [
        schemas.AccuracyRow(direction=statement.direction, **asdict(statement.accuracy))
        for statement in accuracy_statement(compared(store, period))
    ]
    return answer(request, schemas.Accuracies(**of_store(store, period), rows=rows), form.format)


@api.get("/{path:rest}", include_in_schema=False)
def nothing(request: HttpRequest, rest: Path[str]) -> HttpResponse:
    raise Http404(f"There is nothing at {request.path}; GET /api/v1/openapi.json lists what there is.")


# --- parts ---


def of_store(store: Store, period: schemas.Period) -> dict[str, Any]:
    """What every table of a store states."""
    return {"store": store.slug, "time_zone": store.time_zone, "from": period.from_, "to": period.to}


def check_period(period: schemas.Period, max_days: int) -> None:
    if period.to <= period.from_:
        raise ValidationError({"to": "must lie after from; for one day, give the day after it"})
    if (period.to - period.from_).days > max_days:
        raise ValidationError({"to": f"must lie at most {max_days} days after from; ask in parts"})


def compared(store: Store, period: schemas.Period) -> list[Comparison]:
    check_period(period, MAX_DAYS["hour"])
    begins, ends = (from_ms(local_day(store.zone, day).begins_ms) for day in (period.from_, period.to))
    counts = ManualCount.objects.filter(store=store, begins__gte=begins, begins__lt=ends)
    return compare(store, list(counts))


def place_of(store: Store, count: schemas.ManualCountIn) -> Entrance | Channel | None:
    if count.entrance is not None and count.line is not None:
        raise ValidationError({"line": "must be left out where an entrance is given"})
    place: Entrance | Channel | None = None
    if count.entrance is not None:
        place = store.entrances.filter(pk=count.entrance).first()
    elif count.line is not None:
        place = Channel.objects.filter(sensor__store=store, kind=ChannelKind.LINE, pk=count.line).first()
    else:
        return None
    if place is None:
        field = "line" if count.entrance is None else "entrance"
        raise ValidationError({field: f"is not known; GET /api/v1/stores/{store.slug}/lines lists them"})
    return place


def line_row(line: Channel) -> schemas.LineRow:
    return schemas.LineRow(
        line=line.pk,
        name=line.name,
        sensor=line.sensor.public_id,
        sensor_name=line.sensor.name,
        entrance=line.entrance_id,
        entrance_name=line.entrance.name if line.entrance else None,
        entry_direction=line.entry_direction,
        retired_at=line.retired_at,
    )
