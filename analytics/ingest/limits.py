"""How fast a sensor and an organisation may send: token buckets, of which each web process has its own.

They keep one sender's runaway loop from taking a process's committing threads from everybody else.
Those threads belong to the process, and so do the limits: no upload waits for another service to be asked
how many there were, and none is refused because that service is away.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final

from analytics.ingest.directory import GatewayFacts, SensorFacts
from analytics.ingest.refusal import Batches, RefusedError

# What a sender that was away may send at once, as seconds of its rate.
BURST_S: Final = 60.0
# A batch is a row, a cursor and an answer, whatever is in it.
LEAST_COST: Final = 10
TIDIED_ABOVE: Final = 10_000


class Buckets:
    """A token bucket for each key, all filled at ``per_second`` and holding ``BURST_S`` of it; 0 is no limit.

    Kept is the moment at which a bucket will be full again (GCRA, ITU-T I.371, with the burst as its
    tolerance). Whoever finds it not empty may take any amount, and the next waits until that is made up for:
    so nothing is ever too large to be taken.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._clock = clock
        self._full_at: dict[Hashable, float] = {}
        self._tidied_at_size = TIDIED_ABOVE

    def wait(self, key: Hashable) -> float:
        """Seconds until something may be taken; 0 if it may be now."""
        return max(0.0, self._full_at.get(key, 0.0) - self._clock() - BURST_S)

    def take(self, key: Hashable, amount: float) -> None:
        if self.per_second:
            now = self._clock()
            self._full_at[key] = max(self._full_at.get(key, now), now) + amount / self.per_second
            if len(self._full_at) > self._tidied_at_size:
                self._tidy(now)

    def _tidy(self, now: float) -> None:
        """Forget full buckets, which are like new ones."""
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        self._tidied_at_size = max(TIDIED_ABOVE, 2 * len(self._full_at))


class Limits:
    """What was taken lately of each sensor and organisation, in events; a small batch counts as ten."""

    def __init__(self, sensor_per_second: float = 0, organisation_per_second: float = 0) -> None:
        self._sensors = Buckets(sensor_per_second)
        self._organisations = Buckets(organisation_per_second)

    def check_sender(self, sender: SensorFacts | GatewayFacts) -> None:
        """Raises :class:`RefusedError` with the status 429 where anything of a sender comes too early.

        That of a sensor is all its own; a gateway's is known only when it is read.
        """
        if wait := self._organisations.wait(sender.organisation_id):
            raise too_fast("The organisation", self._organisations.per_second, wait)
        if isinstance(sender, SensorFacts) and (wait := self._sensors.wait(key(sender, sender.public_id))):
            raise too_fast(sender.public_id, self._sensors.per_second, wait)

    def check(self, sender: SensorFacts | GatewayFacts, batches: Batches) -> frozenset[str]:
        """The sensors of which this comes too early; they hold up none of their neighbours.

        Raises :class:`RefusedError` with the status 429 where it comes too early altogether.
        """
        self.check_sender(sender)
        sensors = {batch.sensor for batch in batches}
        waits = {one: wait for one in sensors if (wait := self._sensors.wait(key(sender, one)))}
        if len(waits) == len(sensors):
            first = min(waits, key=waits.__getitem__)
            raise too_fast(first or "The sender", self._sensors.per_second, waits[first])
        return frozenset(waits)

    def take(self, sender: SensorFacts | GatewayFacts, batches: Batches, early: frozenset[str]) -> None:
        """Note what was taken: all but what came too early."""
        costs: Counter[Hashable] = Counter()
        for batch in batches:
            if batch.sensor not in early:
                costs[key(sender, batch.sensor)] += max(LEAST_COST, batch.count)
        for sensor, cost in costs.items():
            self._sensors.take(sensor, cost)
        self._organisations.take(sender.organisation_id, costs.total())


def key(sender: SensorFacts | GatewayFacts, sensor: str) -> tuple[str, str]:
    """With the sender's name, so that nobody uses up what another may send; and whatever a sensor sends is its own."""
    return sender.public_id, sender.public_id if isinstance(sender, SensorFacts) else sensor


def too_fast(who: str, per_second: float, wait: float) -> RefusedError:
    detail = f"{who} may send {per_second:.0f} events a second; send the same again later."
    return RefusedError(429, "Too many events in a short time.", detail, wait)
