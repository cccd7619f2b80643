"""Sending the schedule: what is past as fast as the backend takes it, then each event when its time comes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import zlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from sensor_sim.device.uplink import BackOff, UnavailableError
from sensor_sim.fleet.connection import Lane, Lanes
from sensor_sim.fleet.plan import Plan, Store
from sensor_sim.fleet.schedule import Feed, Schedule
from sensor_sim.output import say
from sensorapp import wire
from sensorapp.columns import shortened

log = logging.getLogger(__name__)

BATCH_EVENTS = 4_000
REQUEST_EVENTS = 20_000
# From so many events on, a batch is sent as columns.
SHORTENED_FROM = 20
# The sensors of a group work through the same few days together, so that each day is computed once.
STEP_MS = 4 * 86_400_000
LONGEST_WAIT_S = 1.0
# After an answer that puts off some of the batches.
LATER_S = 1.0
# Requests at once, whatever the number of stores, and stores at once that work through whole days.
LANES = 64
STORES_AT_ONCE = 8
# How much of the future each sensor has ready, if time passes at its usual speed.
KEPT_MS = 30 * 60_000
MARGIN_MS = 5 * 60_000
LONGEST_KEPT_MS = 86_400_000
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
        # The last line is that of finish().
        if self.done < self.total and time.monotonic() - self._printed >= REPORT_EVERY_S:
            self.print()

    def finish(self) -> None:
        self.done = self.total
        self.print()

    def print(self) -> None:
        self._printed = time.monotonic()
        say(json.dumps({"backlog_done": self.done, "backlog_total": self.total}))


class StoreLink:
    """A store's sensors behind their gateway."""

    def __init__(self, plan: Plan, store: Store, lanes: Lanes, clock: Clock, progress: Progress) -> None:
        self.store = store
        self._lanes = lanes
        self._clock = clock
        self._progress = progress
        self._schedule = Schedule(plan, store)
        self._feeds = {sensor.id: Feed(self._schedule, sensor) for sensor in store.sensors}
        self._live: list[Feed] = []
        # Each store has its own moment within the interval, so that not all upload at once.
        self._step = max(1, round(plan.upload_ms * clock.speed))
        self._phase = zlib.crc32(store.slug.encode())
        self._kept = min(round(KEPT_MS * clock.speed), LONGEST_KEPT_MS)
        self._ready_until = 0

    async def find_positions(self) -> None:
        """Ask the backend how far each sensor has come, by sending its very first event (again)."""
        now = self._clock.now_ms()
        await self._count_days(now)
        await self._send(list(self._feeds.values()), now, limit=1)
        feeds = list(self._feeds.values())
        self._progress.total += sum(feed.waiting(now) for feed in feeds)
        if all(now - feed.next_at < self._kept for feed in feeds):
            self._keep_ready(feeds, self._kept + self._phase % self._kept)
        else:
            self._rest()

    async def _count_days(self, now: int) -> None:
        day, today = self._schedule.plan.origin, self._schedule.today(now)
        while day <= today:
            for feed in self._feeds.values():
                feed.count(day)
            day += timedelta(days=1)
            await asyncio.sleep(0)

    def _rest(self) -> None:
        for feed in self._feeds.values():
            feed.rest()
        self._schedule.forget()

    async def catch_up(self) -> None:
        """Send what is past: entrances first, as a store's page begins with them. Then events go out live."""
        was_ready = self._ready_until > 0
        entrances = [feed for feed in self._feeds.values() if feed.sensor.lines]
        others = [feed for feed in self._feeds.values() if not feed.sensor.lines]
        for group in filter(None, (entrances, others)):
            until = min(feed.next_at for feed in group)
            # Time goes on meanwhile; who is a second behind has caught up.
            while until < (now := self._clock.now_ms()) - 1_000 * self._clock.speed:
                until = min(until + STEP_MS, now)
                while events := await self._send(group, until):
                    self._progress.add(events)
            self._live += [feed for feed in group if not feed.stopped]
        if not was_ready:
            self._keep_ready(self._live, self._phase % self._kept)

    async def go_live(self) -> None:
        """Upload at each of the store's moments what the sensors that have caught up have, until cancelled."""
        while True:
            now = self._clock.now_ms()
            until = now - (now - self._phase) % self._step
            await self._send(self._live, until)
            soonest = min((feed.next_at for feed in self._live), default=now + 1_000)
            if soonest > self._ready_until - MARGIN_MS:
                self._keep_ready(self._live, self._kept)
            due = max(soonest + (self._phase - soonest) % self._step, until + self._step)
            # A millisecond more: waiting goes by another clock, which must not be early.
            wait = (due + 1 - self._clock.now_ms()) / 1000 / self._clock.speed
            await asyncio.sleep(min(wait, LONGEST_WAIT_S))

    def _keep_ready(self, feeds: list[Feed], duration: int) -> None:
        """Have the next ``duration`` milliseconds ready, with a margin, and keep nothing else.

        The first time it is another duration for each store, so that not all compute at once later on.
        """
        if not feeds:
            return
        self._ready_until = min(feed.next_at for feed in feeds) + duration + MARGIN_MS
        for feed in feeds:
            feed.keep(self._ready_until)
        self._schedule.forget()

    async def _send(self, feeds: list[Feed], until: int, limit: int = BATCH_EVENTS) -> int:
        """Send the next events of ``feeds`` up to ``until``, as many as make a request; how many they were.

        They are taken when a connection is free and not before: who waits for a slow server holds nothing.
        """
        async with self._lanes.lane(self.store.token) as lane:
            batches = take(feeds, until, limit)
            if not batches:
                return 0
            acks = await self._acks(lane, batches)
        for batch, ack in zip(batches, acks, strict=True):
            self._settle(batch, ack)
        if any(ack.status == "later" for ack in acks):
            await asyncio.sleep(LATER_S)
        return sum(len(batch.events) for batch in batches)

    async def _acks(self, lane: Lane, batches: list[wire.Batch]) -> list[wire.Ack]:
        """Send until there is an answer; raises :class:`RefusedError`."""
        back_off = BackOff()
        sent = [shortened(batch) if len(batch.events) >= SHORTENED_FROM else batch for batch in batches]
        while True:
            for batch in sent:
                batch.sent_at = self._clock.now_ms()
            body = wire.encode(wire.Upload(sent), wire.MSGPACK)
            try:
                return await lane.post(self.store.token, body, len(batches))
            except UnavailableError as error:
                wait = back_off.seconds(error.retry_after)
                log.warning("%s: %s; trying again in %.1f s", self.store.slug, error, wait)
                await asyncio.sleep(wait)

    def _settle(self, batch: wire.Batch, ack: wire.Ack) -> None:
        feed = self._feeds[batch.sensor]
        if ack.status == "stale_epoch":
            self._stop(feed)
            log.error("%s: somebody else sends for it, under epoch %d; it stops", batch.sensor, ack.epoch)
            return
        if ack.status == "invalid":
            log.error("%s: %s: %s", batch.sensor, ack.path, ack.reason)
            if ack.acked_seq < batch.first_seq:  # it is not about the events: revoked, or moved elsewhere
                self._stop(feed)
                return
        if ack.acked_seq + 1 != feed.seq:
            feed.seek(ack.acked_seq + 1, self._clock.now_ms())

    def _stop(self, feed: Feed) -> None:
        feed.stop()
        self._live = [one for one in self._live if one is not feed]


def take(feeds: list[Feed], until: int, limit: int) -> list[wire.Batch]:
    """The next batches of ``feeds`` up to ``until``, as many as make a request."""
    batches: list[wire.Batch] = []
    events = 0
    for feed in feeds:
        if events < REQUEST_EVENTS and (batch := feed.take(until, limit)):
            batches.append(batch)
            events += len(batch.events)
    return batches


async def run(plan: Plan, url: str, clock: Clock) -> None:
    """Run the fleet until cancelled; raises :class:`RefusedError` or :class:`PlanError`, maybe in a group."""
    progress = Progress()
    lanes = Lanes(url, LANES)
    links = [StoreLink(plan, store, lanes, clock, progress) for store in plan.stores]
    turns = asyncio.Semaphore(STORES_AT_ONCE)
    try:
        await all_of(in_turn(turns, link.find_positions) for link in links)
        progress.print()
        async with asyncio.TaskGroup() as group:
            for link in links:
                group.create_task(link.go_live())
            await all_of(in_turn(turns, link.catch_up) for link in links)
            progress.finish()
    finally:
        lanes.close()


async def in_turn(turns: asyncio.Semaphore, work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Work through whole days costs memory, so that only a few stores do it at once."""
    async with turns:
        await work()


async def all_of(coroutines: Iterable[Coroutine[None, None, None]]) -> None:
    """Wait for all; if one fails, the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)
