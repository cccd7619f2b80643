"""Two hundred live sensors send a batch a second each, and hold no more after ten minutes than after two.

The minutes pass on a loop whose clock leaps from one thing that is due to the next, so that nothing here depends on
how fast it is run.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from dataclasses import dataclass
from selectors import DefaultSelector, SelectorKey

import msgspec
import pytest

from sensor_sim.fleet import layout, sender
from sensor_sim.fleet import plan as p
from sensor_sim.fleet.connection import Lanes
from sensor_sim.fleet.sender import Clock, run
from sensorapp import wire
from tests.fleet_sim.plans import ORIGIN, milliseconds, plan, store
from tests.sensor_sim.device.device_server import read

BEGIN = milliseconds(ORIGIN, hour=12)
STORES, SENSORS = 10, 20


class Leap(DefaultSelector):
    """Never waits: instead, it is later."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class Leaping(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.leap = Leap()
        super().__init__(self.leap)

    def time(self) -> float:
        return self.leap.now


@dataclass(frozen=True, slots=True)
class LoopClock(Clock):
    """The loop's time."""

    def now_ms(self) -> int:
        return BEGIN + int(asyncio.get_running_loop().time() * 1000)


class Backend:
    """Takes everything; of each sensor it keeps how many events and batches came."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.batches: Counter[str] = Counter()

    async def post(self, token: str, body: bytes, batches: int) -> list[wire.Ack]:
        return [self.receive(batch) for batch in read(body, wire.MSGPACK)]

    def receive(self, batch: wire.Batch) -> wire.Ack:
        assert batch.sent_at
        assert batch.first_seq == self.events[batch.sensor]
        assert all(0 <= batch.sent_at - event.at <= 1_001 for event in batch.events)
        assert sum(isinstance(event, wire.Heartbeat) for event in batch.events) == 1
        self.events[batch.sensor] += len(batch.events)
        self.batches[batch.sensor] += 1
        return wire.Ack(batch.sensor, batch.epoch, batch.last_seq, "stored")

    def close(self) -> None:
        pass


def fleet() -> p.Plan:
    stores = [
        store(
            "UTC",
            slug=f"s{number}",
            sensors=layout.sensors([f"s-{number:04}{sensor:04}" for sensor in range(SENSORS)]),
        )
        for number in range(STORES)
    ]
    return msgspec.structs.replace(
        plan(*stores, live_from=BEGIN), heartbeat_ms=1_000, upload_ms=1_000, since=BEGIN
    )


def test_each_sensor_sends_a_batch_a_second_and_memory_is_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend()
    monkeypatch.setattr(Lanes, "_new", lambda self: backend)
    # Short, so that what is kept ready is computed anew again and again.
    monkeypatch.setattr(sender, "KEPT_MS", 60_000)
    monkeypatch.setattr(sender, "MARGIN_MS", 10_000)
    sent: list[Counter[str]] = []
    held: list[int] = []

    async def live() -> None:
        running = asyncio.create_task(run(fleet(), "http://127.0.0.1", LoopClock()))
        for minutes in (2, 8):
            await asyncio.sleep(minutes * 60)
            assert not running.done(), running
            sent.append(backend.batches.copy())
            gc.collect()
            held.append(sys.getallocatedblocks())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with asyncio.Runner(loop_factory=Leaping) as runner:
        runner.run(live())
    assert Counter((sent[1] - sent[0]).values()) == {8 * 60: STORES * SENSORS}
    # One object kept of each of the stores' uploads would be more; some hundreds are the numbers counted here.
    assert held[1] - held[0] < 20 * STORES * SENSORS
