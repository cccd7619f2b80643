"""Sending the schedule: what is past as fast as the backend takes it, then each event when its time comes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import httpx

from sensor_sim.device import uplink
from sensor_sim.device.uplink import BackOff, UnavailableError
from sensor_sim.fleet.plan import Plan, Store
from sensor_sim.fleet.schedule import Feed, Schedule
from sensorapp import wire

log = logging.getLogger(__name__)

BATCH_EVENTS = 4_000
REQUEST_EVENTS = 20_000
# The sensors of a group work through the same few days together, so that each day is computed once.
STEP_MS = 4 * 86_400_000
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.1, 1.0
REPORT_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of the fleet. With ``speed`` 60 an hour passes in a minute."""

    speed: float = 1.0
    started: float = field(default_factory=time.time)

    def now_ms(self) -> int:
        return int((self.started + (time.time() - self.started) * self.speed) * 1000)


class Progress:
    """Prints how much of what was past at the start the backend has, one JSON line each time."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self._printed = 0.0

    def add(self, events: int) -> None:
        # What became past meanwhile is sent along and not part of the total.
        self.done = min(self.done + events, self.total)
        if time.monotonic() - self._printed >= REPORT_EVERY_S:
            self.print()

    def finish(self) -> None:
        self.done = self.total
        self.print()

    def print(self) -> None:
        self._printed = time.monotonic()
        print(json.dumps({"backlog_done": self.done, "backlog_total": self.total}), flush=True)


class StoreLink:
    """A store's sensors behind their gateway."""

    def __init__(
        self, plan: Plan, store: Store, url: str, client: httpx.AsyncClient, clock: Clock, progress: Progress
    ) -> None:
        self.store = store
        self._address = uplink.address(url)
        self._headers = uplink.headers(store.token)
        self._client = client
        self._clock = clock
        self._progress = progress
        self._schedule = Schedule(plan, store)
        self._feeds = {sensor.id: Feed(self._schedule, sensor) for sensor in store.sensors}
        self._live: list[Feed] = []

    async def find_positions(self) -> None:
        """Ask the backend how far each sensor has come, by sending its very first event (again)."""
        now = self._clock.now_ms()
        await self._count_days(now)
        await self._send([batch for feed in self._feeds.values() if (batch := feed.take(now, limit=1))])
        self._progress.total += sum(feed.waiting(now) for feed in self._feeds.values())

    async def _count_days(self, now: int) -> None:
        day, today = self._schedule.plan.origin, self._schedule.today(now)
        while day <= today:
            for feed in self._feeds.values():
                feed.count(day)
            day += timedelta(days=1)
            await asyncio.sleep(0)

    async def catch_up(self) -> None:
        """Send what is past: entrances first, as a store's page begins with them. Then events go out live."""
        entrances = [feed for feed in self._feeds.values() if feed.sensor.lines]
        others = [feed for feed in self._feeds.values() if not feed.sensor.lines]
        for group in filter(None, (entrances, others)):
            until = min(feed.next_at for feed in group)
            # Time goes on meanwhile; who is a second behind has caught up.
            while until < (now := self._clock.now_ms()) - 1_000 * self._clock.speed:
                until = min(until + STEP_MS, now)
                while batches := take(group, until):
                    await self._send(batches)
                    self._progress.add(sum(len(batch.events) for batch in batches))
            self._live += group

    async def go_live(self) -> None:
        """Send each event of the sensors that have caught up when its time comes, until cancelled."""
        while True:
            now = self._clock.now_ms()
            if batches := take(self._live, now):
                await self._send(batches)
            soonest = min((feed.next_at for feed in self._live), default=now + 1_000)
            wait = (soonest - self._clock.now_ms()) / 1000 / self._clock.speed
            await asyncio.sleep(min(max(wait, SHORTEST_WAIT_S), LONGEST_WAIT_S))

    async def _send(self, batches: list[wire.Batch]) -> None:
        body = wire.encode(wire.Upload(batches), wire.MSGPACK)
        for batch, ack in zip(batches, await self._acks(body, len(batches)), strict=True):
            self._settle(batch, ack)

    async def _acks(self, body: bytes, batches: int) -> list[wire.Ack]:
        """Send until there is an answer; raises :class:`RefusedError`."""
        back_off = BackOff()
        while True:
            try:
                return await self._attempt(body, batches)
            except UnavailableError as error:
                wait = back_off.seconds(error.retry_after)
                log.warning("%s: %s; trying again in %.1f s", self.store.slug, error, wait)
                await asyncio.sleep(wait)

    async def _attempt(self, body: bytes, batches: int) -> list[wire.Ack]:
        with uplink.failures(self._address):
            response = await self._client.post(self._address, content=body, headers=self._headers)
        return uplink.read_answer(response, batches).acks

    def _settle(self, batch: wire.Batch, ack: wire.Ack) -> None:
        feed = self._feeds[batch.sensor]
        if ack.status == "stale_epoch":
            feed.stop()
            log.error("%s: somebody else sends for it, under epoch %d; it stops", batch.sensor, ack.epoch)
        elif ack.status == "invalid":
            log.error("%s: %s: %s", batch.sensor, ack.path, ack.reason)
            if ack.acked_seq < batch.last_seq:  # it is not about the events: revoked, or moved elsewhere
                feed.stop()
        elif ack.acked_seq + 1 != feed.seq:
            feed.seek(ack.acked_seq + 1, self._clock.now_ms())


def take(feeds: list[Feed], until: int) -> list[wire.Batch]:
    """The next batches of ``feeds`` up to ``until``, as many as make a request."""
    batches: list[wire.Batch] = []
    events = 0
    for feed in feeds:
        if events < REQUEST_EVENTS and (batch := feed.take(until, BATCH_EVENTS)):
            batches.append(batch)
            events += len(batch.events)
    return batches


async def run(plan: Plan, url: str, clock: Clock) -> None:
    """Run the fleet until cancelled; raises :class:`RefusedError` or :class:`PlanError`, maybe in a group."""
    progress = Progress()
    async with httpx.AsyncClient(timeout=uplink.TIMEOUT, mounts=uplink.DIRECT) as client:
        links = [StoreLink(plan, store, url, client, clock, progress) for store in plan.stores]
        await all_of(link.find_positions() for link in links)
        progress.print()
        async with asyncio.TaskGroup() as group:
            for link in links:
                group.create_task(link.go_live())
            await all_of(link.catch_up() for link in links)
            progress.finish()


async def all_of(coroutines: Iterable[Coroutine[None, None, None]]) -> None:
    """Wait for all; if one fails, the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)
