"""The metric registry: everything that a bucket may hold.

A metric is additive: the value of an hour, a day, a chain is the sum of its buckets. What is not
additive by itself (how many people are in a zone) is integrated over time first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BUCKET_MS: Final = 15 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Metric:
    """``number`` is what the database holds and never changes; ``channel`` is the kind it is kept for."""

    number: int
    name: str
    unit: str
    channel: str
    description: str


FORWARD = Metric(1, "forward", "crossings", "line", "Crossings from the line's left hand to its right hand.")
BACKWARD = Metric(
    2, "backward", "crossings", "line", "Crossings from the line's right hand to its left hand."
)
VISITS = Metric(3, "visits", "visits", "zone", "Visits that ended.")
DWELL = Metric(4, "dwell", "ms", "zone", "Time spent in the zone by the visits that ended.")
OBSERVED = Metric(5, "observed", "ms", "device", "Time in which the sensor observed its scene.")
PERSON_TIME = Metric(6, "person_time", "person ms", "zone", "People in the zone, integrated over time.")
ZONE_TIME = Metric(7, "zone_time", "ms", "zone", "Time in which the zone's occupancy was known.")
UNIT_TIME = Metric(8, "unit_time", "unit ms", "slot", "Units in the slot, integrated over time.")
SLOT_TIME = Metric(9, "slot_time", "ms", "slot", "Time in which the slot's units were known.")
EMPTY_TIME = Metric(10, "empty_time", "ms", "slot", "Time in which the slot was known to be empty.")

METRICS: Final = {
    metric.number: metric
    for metric in (
        FORWARD,
        BACKWARD,
        VISITS,
        DWELL,
        OBSERVED,
        PERSON_TIME,
        ZONE_TIME,
        UNIT_TIME,
        SLOT_TIME,
        EMPTY_TIME,
    )
}
