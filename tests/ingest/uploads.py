"""Batches as a sensor would send them now."""

from __future__ import annotations

import time

from sensorapp import wire

# Yesterday: nothing of it lies ahead of the gateway's clock.
NOW = (int(time.time()) - 86_400) * 1000
MODEL = "0123456789abcdef"


def crossings(first_seq: int, count: int) -> list[wire.Event]:
    """Each at a moment of its own, which tells its sequence number."""
    return [wire.Crossing(NOW + place, 0, "forward") for place in range(first_seq, first_seq + count)]


def batch(sensor: str, first_seq: int = 0, count: int = 1, epoch: int = 1, config: int = 1) -> wire.Batch:
    return wire.Batch(sensor, epoch, first_seq, MODEL, config, crossings(first_seq, count))
