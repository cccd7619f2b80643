"""What goes in and comes out, as OpenAPI shows it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from ninja import Field, Schema
from pydantic import AwareDatetime, BaseModel, ConfigDict

from analytics.audit.models import DIRECTIONS, ManualCount
from analytics.audit.recording import HIGHEST
from analytics.audit.sensor_counts import Comparison
from analytics.export.tables import Table
from analytics.export.traffic import Step

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)

Day = Annotated[date, Field(ge=EARLIEST, le=LATEST)]
People = Annotated[int, Field(ge=0, le=HIGHEST)]
Completeness = Annotated[
    float | None,
    Field(description="Observed over expected time, 0 to 1; null where nothing was expected (yet)."),
]


class Period(Schema):
    """Local days of the store."""

    from_: Day = Field(alias="from", description="The first local day.")
    to: Day = Field(description="The day after the last.")


class TrafficPeriod(Period):
    step: Step = Field(description="A quarter of an hour, a local hour or a local day.")


class StoreRow(BaseModel):
    slug: str
    name: str
    city: str
    country: str
    time_zone: str


class Stores(Table):
    rows: list[StoreRow]


class LineRow(BaseModel):
    """A line of a sensor. Its crossings are entries and exits where it has an entrance."""

    line: int
    name: str
    sensor: str = Field(description="Public id of the sensor.")
    sensor_name: str
    entrance: int | None
    entrance_name: str | None
    entry_direction: str = Field(description="forward or backward")
    retired_at: AwareDatetime | None


class Lines(Table):
    store: str
    rows: list[LineRow]


class StoreTable(Table):
    store: str
    time_zone: str
    from_: date = Field(alias="from")
    to: date


class TrafficRow(BaseModel):
    """``entries`` and ``exits`` are null where nothing was observed."""

    start: AwareDatetime
    end: AwareDatetime
    entries: int | None
    exits: int | None
    completeness: Completeness


class Traffic(StoreTable):
    step: Step
    rows: list[TrafficRow]


class ManualCountIn(Schema):
    """What a person counted at a line (``forward``, ``backward``), at an entrance, or at all entrances where
    neither is named (``entries``, ``exits``). A direction that was not counted is left out."""

    model_config = ConfigDict(extra="forbid")

    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime
    entrance: int | None = None
    line: int | None = None
    entries: People | None = None
    exits: People | None = None
    forward: People | None = None
    backward: People | None = None
    counted_by: str

    @property
    def counted(self) -> dict[str, int]:
        values: dict[str, int | None] = {name: getattr(self, name) for name in DIRECTIONS}
        return {name: value for name, value in values.items() if value is not None}


class ManualCountOut(BaseModel):
    """A manual count as it was recorded, in UTC."""

    id: int
    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime
    entrance: int | None
    line: int | None
    counted_by: str
    recorded_at: AwareDatetime
    entries: int | None
    exits: int | None
    forward: int | None
    backward: int | None

    @classmethod
    def of(cls, count: ManualCount) -> ManualCountOut:
        return cls(**manual_count_fields(count))


class ManualCountRow(ManualCountOut):
    """Beside it what the sensors counted; null where nothing was observed or the direction not counted.

    ``compared`` says whether every sensor observed the span fully, so that the accuracy statement uses it.
    """

    sensor_entries: int | None
    sensor_exits: int | None
    sensor_forward: int | None
    sensor_backward: int | None
    completeness: Completeness
    compared: bool

    @classmethod
    def beside(cls, comparison: Comparison) -> ManualCountRow:
        sensor = comparison.sensor or {}
        return cls(
            **manual_count_fields(comparison.manual),
            sensor_entries=sensor.get("entries"),
            sensor_exits=sensor.get("exits"),
            sensor_forward=sensor.get("forward"),
            sensor_backward=sensor.get("backward"),
            completeness=comparison.completeness,
            compared=comparison.compared,
        )


class ManualCounts(StoreTable):
    rows: list[ManualCountRow]


class AccuracyRow(BaseModel):
    """``bias`` is (sensor - manual) / manual with its 95 % interval; ``absolute_error`` adds up each span's
    error before it divides. Null where nobody was counted by hand. Each counted direction of a manual count is
    one of the ``spans``."""

    direction: Literal["entries", "exits", "forward", "backward", "all"]
    spans: int
    manual: int
    sensor: int
    bias: float | None
    bias_low: float | None
    bias_high: float | None
    absolute_error: float | None


class Accuracies(StoreTable):
    rows: list[AccuracyRow]


def manual_count_fields(count: ManualCount) -> dict[str, Any]:
    return {
        "id": count.pk,
        "from": count.begins,
        "to": count.ends,
        "entrance": count.entrance_id,
        "line": count.line_id,
        "counted_by": count.counted_by,
        "recorded_at": count.recorded_at,
        **{name: getattr(count, name) for name in DIRECTIONS},
    }
