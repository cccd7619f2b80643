"""What Prometheus sees of ingest, of this process. Organisations appear by number, devices and people not at all."""

from __future__ import annotations

import hmac
import time
from collections import Counter as Tally
from collections.abc import Iterable, MutableMapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Counter, Gauge, Histogram

from analytics.ingest import decode
from analytics.ingest.decode import Broken
from analytics.ingest.refusal import Batches, RefusedError
from sensorapp import wire

if TYPE_CHECKING:
    from analytics.ingest.commit import Incoming

PREFIX: Final = "sensorapp_ingest"

BATCHES = Counter(f"{PREFIX}_batches_total", "Batches answered, by status.", ["status"])
EVENTS = Counter(f"{PREFIX}_events_total", "Events in batches answered, by status.", ["status"])
DROPPED = Counter(
    f"{PREFIX}_dropped_events_total", "Events never to be counted, by what is wrong.", ["reason"]
)
SET_ASIDE = Counter(f"{PREFIX}_set_aside_events_total", "Events that lay too far ahead of the clock.")
REFUSED = Counter(f"{PREFIX}_refused_total", "Uploads refused whole, by HTTP status.", ["status"])
STREAMS = Gauge(f"{PREFIX}_streams", "Streams that are open.")
WAITING = Gauge(f"{PREFIX}_waiting_events", "Events that wait for the committing thread.")
COMMIT_SECONDS = Histogram(f"{PREFIX}_commit_seconds", "How long a transaction took.")
COMMIT_EVENTS = Histogram(
    f"{PREFIX}_commit_events",
    "Events in a transaction.",
    buckets=(1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000),
)
SKEW = Histogram(
    f"{PREFIX}_skew_seconds",
    "How far ahead a sensor's clock is, by batches that say when they were sent.",
    buckets=(-3_600, -300, -60, -10, -1, 1, 10, 60, 300, 3_600),
)
LAG = Histogram(
    f"{PREFIX}_lag_seconds",
    "Age of a batch's newest event when it was durable, by organisation.",
    ["organisation"],
    buckets=(1, 2, 5, 10, 30, 60, 300, 3_600, 86_400),
)

# The last field that the path of an invalid batch names, as the reason why it was dropped.
REASONS: Final = {
    "sensor": "token",
    "config": "scene",
    "line": "channel",
    "zone": "channel",
    "slot": "channel",
    "at": "clock",
}


def count(batches: Batches, answer: wire.Answer) -> None:
    """Note what became of an upload."""
    number, events, dropped = Tally[str](), Tally[str](), Tally[str]()
    now = time.time()
    for batch, ack in zip(batches, answer.acks, strict=True):
        size = decode.count(batch)
        number[ack.status] += 1
        events[ack.status] += size
        if ack.status == "invalid":
            dropped[REASONS.get(ack.path.rpartition(".")[2], "contract")] += size
        if not isinstance(batch, Broken) and batch.sent_at is not None:
            SKEW.observe(batch.sent_at / 1000 - now)
    for counter, tally in ((BATCHES, number), (EVENTS, events), (DROPPED, dropped)):
        for label, amount in tally.items():
            counter.labels(label).inc(amount)


def committed(batches: Sequence[Incoming], acks: Iterable[wire.Ack], seconds: float) -> None:
    """Note a transaction."""
    COMMIT_SECONDS.observe(seconds)
    COMMIT_EVENTS.observe(sum(batch.count for batch in batches))
    now = time.time()
    for batch, ack in zip(batches, acks, strict=True):
        if ack.status != "stored":
            continue
        LAG.labels(batch.sensor.organisation_id).observe(max(0.0, now - batch.columns.at[-1] / 1000))
        until = batch.trusted_until
        if until is not None and max(batch.columns.at) > until:
            SET_ASIDE.inc(sum(at > until for at in batch.columns.at))


def check_reader(scope: MutableMapping[str, Any], token: str) -> None:
    """Raise :class:`RefusedError` unless the request bears ``token`` or, without one, comes from this machine."""
    headers = dict(scope["headers"])
    if token:
        borne = headers.get(b"authorization", b"")
        if not hmac.compare_digest(borne, f"Bearer {token}".encode()):
            raise RefusedError(
                401, "Not the token for metrics.", "Send Authorization: Bearer <METRICS_TOKEN>."
            )
    elif b"x-forwarded-for" in headers or not is_loopback(scope.get("client")):
        detail = "Set METRICS_TOKEN, and send it as Authorization: Bearer <token>."
        raise RefusedError(403, "Metrics are for this machine only.", detail)


def is_loopback(client: Sequence[Any] | None) -> bool:
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False
