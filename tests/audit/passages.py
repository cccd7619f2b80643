"""Many crossings at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sensorapp import wire
from tests.counts.site import crossing


def crossings(
    moments: Iterable[datetime], direction: wire.Direction = "forward", line: int = 0
) -> list[wire.Event]:
    return [crossing(moment, direction, line) for moment in moments]
