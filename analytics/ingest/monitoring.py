"""What Prometheus sees of ingest, of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

from analytics.ingest import decode
from sensorapp import wire

if TYPE_CHECKING:
    from analytics.ingest.refusal import Batches

BATCHES = Counter("sensorapp_ingest_batches_total", "Batches answered, by status.", ["status"])
EVENTS = Counter("sensorapp_ingest_events_total", "Events in batches answered, by status.", ["status"])
REFUSED = Counter("sensorapp_ingest_refused_total", "Uploads refused whole, by HTTP status.", ["status"])


def count(batches: Batches, answer: wire.Answer) -> None:
    for batch, ack in zip(batches, answer.acks, strict=True):
        BATCHES.labels(ack.status).inc()
        EVENTS.labels(ack.status).inc(decode.count(batch))
