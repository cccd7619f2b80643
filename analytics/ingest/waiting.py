"""What waits to be committed, in a line for each committing thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final

from analytics.ingest import monitoring
from analytics.ingest.decode import Broken
from analytics.ingest.directory import GatewayFacts, SensorFacts
from sensorapp import wire

THREADS: Final = 2
# A transaction takes no further requests once it has this many events.
GROUP_EVENTS: Final = 20_000


class OverloadedError(Exception):
    """Too much is waiting already; the sender should come back later."""


@dataclass(slots=True)
class Request:
    """The batches of one upload, who sent it, and where the answer goes.

    ``first`` is the place of its first batch in the upload; ``early`` are sensors of which nothing is taken yet.
    """

    sender: SensorFacts | GatewayFacts
    batches: Sequence[wire.Batch | Broken]
    first: int = 0
    answer: Future[wire.Answer] = field(default_factory=Future)
    early: frozenset[str] = frozenset()
    received: float = field(default_factory=time.time)
    events: int = field(init=False)

    def __post_init__(self) -> None:
        self.events = sum(max(1, batch.count) for batch in self.batches)


# None ends it.
Queue = SimpleQueue[Request | None]


@dataclass(slots=True)
class Line:
    """``events`` are all that wait in it, what is being committed included."""

    queue: Queue = field(default_factory=Queue)
    events: int = 0


@dataclass(slots=True)
class Place:
    """Where a sender waits, and with how many requests."""

    line: Line
    requests: int = 0


class Waiting:
    """Requests in :data:`THREADS` lines. A sender stands in one of them at a time, so that nothing of it overtakes
    anything else; when it comes anew, it goes where the fewest events wait."""

    def __init__(self, most_events: int) -> None:
        self.lines = [Line() for _ in range(THREADS)]
        self._most_events = most_events
        self._lock = threading.Lock()
        self._places: dict[str, Place] = {}
        # Something was refused since the last time that anything left.
        self._full = False

    @property
    def events(self) -> int:
        return sum(line.events for line in self.lines)

    def check(self) -> None:
        """Raises :class:`OverloadedError` while there is no room, as far as that is known of an upload yet unread."""
        if self.events and (self._full or self.events >= self._most_events):
            raise OverloadedError

    def put(self, request: Request) -> None:
        """Raises :class:`OverloadedError` when too many events wait."""
        sender = request.sender.public_id
        with self._lock:
            if self.events and self.events + request.events > self._most_events:
                self._full = True
                raise OverloadedError
            place = self._places.get(sender) or Place(min(self.lines, key=lambda line: line.events))
            self._places[sender] = place
            place.requests += 1
            place.line.events += request.events
            place.line.queue.put(request)
            monitoring.WAITING.set(self.events)

    def leave(self, requests: Sequence[Request]) -> None:
        """Of one line, when they are answered."""
        with self._lock:
            for request in requests:
                place = self._places[request.sender.public_id]
                place.line.events -= request.events
                place.requests -= 1
                if not place.requests:
                    del self._places[request.sender.public_id]
            self._full = False
            monitoring.WAITING.set(self.events)

    def close(self) -> None:
        """Let each line end behind what waits in it."""
        for line in self.lines:
            line.queue.put(None)


def next_group(queue: Queue) -> list[Request]:
    """Wait for a request and take with it what came meanwhile; empty when it is time to stop."""
    first = queue.get()
    requests = [first] if first else []
    events = first.events if first else 0
    while requests and events < GROUP_EVENTS and not queue.empty():
        request = queue.get()
        if request is None:
            queue.put(None)
            break
        requests.append(request)
        events += request.events
    return requests
