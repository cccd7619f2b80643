"""Reading buckets of one store. Whoever calls this has narrowed the store by ``visible_to``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString

import numpy as np
from django.db import connection

from analytics.counts.days import Milliseconds, from_ms
from analytics.metrics import BUCKET_MS, Metric
from sensorapp.fleet.models import Store

# A channel and a metric's number.
Key = tuple[int, int]

# Few channels over a long time: each channel's metric is one short range of the primary key.
SERIES: Final[LiteralString] = """
SELECT channel_id, metric, (extract(epoch FROM start) * 1000)::bigint, value FROM ingest_bucket
WHERE organisation_id = %s AND store_id = %s AND channel_id = ANY(%s) AND metric = ANY(%s)
  AND start >= %s AND start < %s
"""
# All channels over a short time: the index by time finds them side by side.
SUMS: Final[LiteralString] = """
SELECT channel_id, metric, sum(value)::bigint FROM ingest_bucket
WHERE organisation_id = %s AND store_id = %s AND metric = ANY(%s) AND start >= %s AND start < %s
GROUP BY channel_id, metric
"""


class Series:
    """One value per bucket for channels and metrics; zero where there is no bucket."""

    def __init__(self, starts_ms: Milliseconds) -> None:
        self._starts_ms = starts_ms
        self._values: dict[Key, Milliseconds] = {}

    def put(self, found: Iterable[tuple[int, ...]]) -> None:
        """Take rows of channel, metric, beginning of the bucket in ms, and value."""
        places = {start: place for place, start in enumerate(self._starts_ms.tolist())}
        for channel, metric, start, value in found:
            values = self._values.get((channel, metric))
            if values is None:
                values = self._values[channel, metric] = np.zeros(len(self._starts_ms), np.int64)
            values[places[start]] = value

    def get(self, channel: int, metric: Metric) -> Milliseconds:
        values = self._values.get((channel, metric.number))
        return np.zeros(len(self._starts_ms), np.int64) if values is None else values


def read_series(
    store: Store, channels: Collection[int], metrics: Collection[Metric], starts_ms: Milliseconds
) -> Series:
    """Read the buckets that begin at ``starts_ms``, which follow each other without a gap."""
    series = Series(starts_ms)
    if len(starts_ms) and channels:
        span = from_ms(int(starts_ms[0])), from_ms(int(starts_ms[-1]) + BUCKET_MS)
        scope = store.organisation_id, store.pk
        series.put(rows(SERIES, [*scope, list(channels), numbers(metrics), *span]))
    return series


def read_sums(store: Store, metrics: Collection[Metric], begins_ms: int, ends_ms: int) -> dict[Key, int]:
    """Sums over the buckets that begin in a span of time, for all channels that have any."""
    span = from_ms(begins_ms), from_ms(ends_ms)
    found = rows(SUMS, [store.organisation_id, store.pk, numbers(metrics), *span])
    return {(channel, metric): total for channel, metric, total in found}


def numbers(metrics: Collection[Metric]) -> list[int]:
    return [metric.number for metric in metrics]


def rows(query: LiteralString, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


FIRST: Final[LiteralString] = """
SELECT min(first.start)
FROM unnest(%s::bigint[]) AS wanted (channel) CROSS JOIN unnest(%s::smallint[]) AS counted (number)
CROSS JOIN LATERAL (
    SELECT start FROM ingest_bucket
    WHERE organisation_id = %s AND store_id = %s AND channel_id = wanted.channel AND metric = counted.number
    ORDER BY start LIMIT 1
) AS first
"""


def first_start(store: Store, channels: Collection[int], metrics: Collection[Metric]) -> datetime | None:
    """The beginning of the oldest bucket; None where there is none."""
    scope = store.organisation_id, store.pk
    first: datetime | None = rows(FIRST, [list(channels), numbers(metrics), *scope])[0][0]
    return first
