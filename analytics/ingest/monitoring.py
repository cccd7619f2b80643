"""What Prometheus sees of ingest. Organisations appear by number, devices and people not at all.

Most of it is of this process; what the tables say is the same in all of them. docs/monitoring.md says what it means.
"""

from __future__ import annotations

import hmac
import time
from collections import Counter as Tally
from collections.abc import MutableMapping, Sequence
from functools import cache
from ipaddress import ip_address
from typing import Any, Final, LiteralString, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from psycopg import Connection

from analytics.ingest.check import last_check
from analytics.ingest.commit import Fault, Incoming
from analytics.ingest.decode import Broken
from analytics.ingest.refusal import Batches, RefusedError
from sensorapp import wire

PREFIX: Final = "sensorapp_ingest"

BATCHES = Counter(f"{PREFIX}_batches_total", "Batches answered, by status.", ["status"])
EVENTS = Counter(f"{PREFIX}_events_total", "Events in batches answered, by status.", ["status"])
DROPPED = Counter(
    f"{PREFIX}_dropped_events_total", "Events never to be counted, by what is wrong.", ["reason"]
)
SET_ASIDE = Counter(f"{PREFIX}_set_aside_events_total", "Events that lay too far ahead of the clock.")
REFUSED = Counter(f"{PREFIX}_refused_total", "Uploads refused whole, by HTTP status.", ["status"])
STREAMS = Gauge(f"{PREFIX}_streams", "Streams that are open.")
WAITING = Gauge(f"{PREFIX}_waiting_events", "Events that wait for the committing threads.")
STUCK_SECONDS = Gauge(
    f"{PREFIX}_stuck_seconds", "How long a committing thread has stored nothing of what it was given."
)
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

# A series that begins with its first event has not grown, so that no alert would hear of it.
for _counter, _labels in (
    (BATCHES, get_args(wire.AckStatus)),
    (EVENTS, get_args(wire.AckStatus)),
    (DROPPED, (*get_args(Fault), "token")),
    (REFUSED, (400, 401, 403, 404, 405, 408, 413, 415, 426, 429, 503)),
):
    for _label in _labels:
        _counter.labels(_label)


def settled(
    batches: Batches, judged: Sequence[Incoming | wire.Ack], acks: Sequence[wire.Ack], received: float
) -> None:
    """Note what became of an upload that came at ``received`` (Unix seconds), once that is durable."""
    number, events, dropped = Tally[str](), Tally[str](), Tally[str]()
    for batch, entry, ack in zip(batches, judged, acks, strict=True):
        known = entry.known if isinstance(entry, Incoming) and ack.status != "stale_epoch" else 0
        new = (entry if isinstance(entry, Incoming) else batch).count - known
        number[ack.status] += 1
        events[ack.status] += new
        events["duplicate"] += known
        if ack.status == "invalid":
            dropped[fault(entry)] += new
        if isinstance(entry, Incoming) and ack.status == "stored":
            stored(entry)
        if not isinstance(batch, Broken) and batch.sent_at is not None:
            SKEW.observe(batch.sent_at / 1000 - received)
    for counter, tally in ((BATCHES, number), (EVENTS, events), (DROPPED, dropped)):
        for label, amount in tally.items():
            counter.labels(label).inc(amount)


def fault(entry: Incoming | wire.Ack) -> str:
    """What is wrong with an invalid batch; of one that is answered at once, its sender's right or its outline."""
    if isinstance(entry, Incoming):
        return entry.fault
    return "token" if entry.sensor else "contract"


def stored(batch: Incoming) -> None:
    """Note how old a batch's newest event is that counts, and how many lie ahead and do not."""
    events, until = batch.columns.without_first(batch.known), batch.trusted_until
    newest = events.summary.newest
    if until is not None and newest > until:
        counted = events.at[events.at <= until]
        SET_ASIDE.inc(len(events) - len(counted))
        if not len(counted):
            return
        newest = int(counted.max())
    lag_of(batch.sensor.organisation_id).observe(max(0.0, time.time() - newest / 1000))


@cache
def lag_of(organisation_id: int) -> Histogram:
    return LAG.labels(organisation_id)


# --- what the tables say -----------------------------------------------------------------------------

WAITING_AND_EXPIRED: LiteralString = """
SELECT (SELECT coalesce(sum(event_count), 0)::bigint FROM ingest_set_aside),
       (SELECT coalesce(sum(last_seq - first_seq + 1), 0)::bigint FROM ingest_rejection WHERE path = '')
"""


INSTALLED: LiteralString = (
    "SELECT coalesce(min(applied), 'epoch') FROM django_migrations WHERE app = 'ingest'"
)


class Told:
    """Gauges that are made for one answer, as Prometheus reads them."""

    def __init__(self, readable: bool) -> None:
        self._registry = CollectorRegistry()
        self("tables_readable", "Whether the tables could be read for what follows.", readable)

    def __call__(self, name: str, meaning: str, value: float) -> None:
        Gauge(f"{PREFIX}_{name}", meaning, registry=self._registry).set(value)

    def __bytes__(self) -> bytes:
        return generate_latest(self._registry)


def standing(connection: Connection) -> bytes:
    """As Prometheus reads it: the last nightly check, and what is and was set aside."""
    tell = Told(readable=True)
    check = last_check(connection)
    if check:
        tell("check_buckets", "Buckets that it computed again.", check.buckets)
        tell("check_differing_buckets", "Buckets that differ, and nobody has put right.", check.differing)
    [[installed]] = connection.execute(INSTALLED).fetchall()
    last = check.checked_at if check else installed
    tell("check_timestamp_seconds", "Time of the last check; before the first, of migrate.", last.timestamp())
    [(waiting, expired)] = connection.execute(WAITING_AND_EXPIRED).fetchall()
    tell("set_aside_waiting_events", "Events that are set aside now.", waiting)
    tell("set_aside_expired_events", "Events given up that nobody released, in 90 days.", expired)
    return bytes(tell)


def without_tables() -> bytes:
    return bytes(Told(readable=False))


# --- who reads it ------------------------------------------------------------------------------------


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
