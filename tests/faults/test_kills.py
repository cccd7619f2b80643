"""Processes that die at random moments, while sensors measure and send."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial

import celery
import httpx
import redis

from sensorapp import wire
from sensorapp.stack import paths
from tests.faults.device import Device
from tests.faults.site import CATCHING_UP, Shop, Site, until, wait_for_progress

ROUNDS = 2
TOLD_OF_A_HANGING_DATABASE = {
    (503, "The database is not available."),
    (503, "The database does not answer."),
}
TWO_DAYS_MS = 2 * 86_400_000


def kill_again_and_again(
    site: Site, chance: random.Random, kill: Callable[[], None], start: Callable[[], None]
) -> None:
    devices = site.devices(site.shop(), *CATCHING_UP)
    for device in devices:
        device.start()
    for _ in range(ROUNDS):
        wait_for_progress(devices)
        time.sleep(chance.uniform(0.0, 0.2))
        kill()
        time.sleep(chance.uniform(0.0, 0.2))
        start()
    wait_for_progress(devices)
    site.settle(devices)


def test_web(site: Site, chance: random.Random) -> None:
    kill_again_and_again(site, chance, site.web.kill, site.web.start)


def test_postgres(site: Site, chance: random.Random) -> None:
    kill_again_and_again(site, chance, site.kill_postgres, site.postgres.start)


def test_postgres_hanging_is_told_in_time(site: Site, chance: random.Random) -> None:
    """Whoever asks for health gets an answer, and nobody waits for the sessions that hang when it goes on."""
    devices = site.devices(site.shop())
    for device in devices:
        device.start()

    def ask(path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{site.port}{path}", timeout=15)

    for _ in range(ROUNDS):
        wait_for_progress(devices)
        time.sleep(chance.uniform(0.0, 0.2))
        with site.postgres_hanging():
            for _ in range(2):
                assert ask("/healthz").status_code == 200
                ready = ask("/readyz")
                assert (ready.status_code, ready.json()["title"]) in TOLD_OF_A_HANGING_DATABASE
                assert "sensorapp_ingest_tables_readable 0.0" in ask("/metrics").text
        until(lambda: ask("/readyz").status_code == 200, "uploads can be stored again")
    wait_for_progress(devices)
    site.settle(devices)


def test_a_session_of_postgres(site: Site, chance: random.Random) -> None:
    kill_again_and_again(site, chance, lambda: site.kill_a_session(chance), lambda: None)


def test_sensors(site: Site, chance: random.Random) -> None:
    devices = site.devices(site.shop(), *CATCHING_UP)
    for _ in range(ROUNDS):
        for device in devices:
            device.start()
        wait_for_progress(devices)
        for device in chance.sample(devices, len(devices)):
            time.sleep(chance.uniform(0.0, 0.1))
            device.kill()
            site.check_nothing_lost(device)
    site.settle(devices)


def test_everything_at_once(site: Site, chance: random.Random) -> None:
    devices = site.devices(site.shop(), *CATCHING_UP)
    for _ in range(ROUNDS):
        for device in devices:
            device.start()
        wait_for_progress(devices)
        victims = [site.web.kill, site.kill_postgres, site.kill_valkey, *(one.kill for one in devices)]
        for kill in chance.sample(victims, len(victims)):
            kill()
        site.postgres.start()
        site.valkey.start()
        site.web.start()
    site.settle(devices)


# --- Valkey ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def valkey_killed(site: Site) -> Iterator[None]:
    site.kill_valkey()
    try:
        yield
    finally:
        site.valkey.start()


@contextlib.contextmanager
def valkey_hanging(site: Site) -> Iterator[None]:
    assert site.valkey.child
    pid = site.valkey.child.process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_valkey_away_or_hanging_keeps_nothing_from_being_counted(site: Site, chance: random.Random) -> None:
    devices = site.devices(site.shop())
    for device in devices:
        device.start()
    wait_for_progress(devices)
    for away in (valkey_killed, valkey_hanging):
        time.sleep(chance.uniform(0.0, 0.2))
        with away(site):
            wait_for_progress(devices)
            answer = httpx.get(f"http://127.0.0.1:{site.port}/readyz")
            assert (answer.status_code, "valkey: not reachable" in answer.text) == (200, True)
            wait_for_progress(devices)
        hear_of_a_version(site)
    site.settle(devices)


def hear_of_a_version(site: Site) -> None:
    """Live pages are told again of what comes."""
    with redis.from_url(site.redis_url) as client, client.pubsub() as listener:
        listener.psubscribe("*")
        until(
            lambda: (listener.get_message(timeout=0.1) or {}).get("type") == "pmessage",
            "Valkey passes on a store's version",
        )


# --- the worker ------------------------------------------------------------------------------------


def test_worker(site: Site, chance: random.Random) -> None:
    """Late events mark closed days, which it is summing again when it dies; the marks of none are lost."""
    shop = site.shop()
    devices = site.devices(shop, "--late-ms", str(TWO_DAYS_MS))
    tasks = celery.Celery(broker=paths.broker_url(site.redis_url), set_as_current=False)

    def close_days() -> None:
        tasks.send_task("analytics.counts.tasks.close_days")

    def closes_after(before: datetime) -> bool:
        close_days()
        return last_closed(site, shop) > before

    def closed() -> bool:
        close_days()
        return closed_days(site, shop) == expected_days(devices)

    for device in devices:
        device.start()
    for _ in range(ROUNDS):
        site.worker.start()
        until(partial(closes_after, last_closed(site, shop)), "a day is closed", pause_s=0.3)
        for _ in range(10):
            close_days()
        time.sleep(chance.uniform(0.0, 0.1))
        site.worker.kill()
    site.settle(devices)
    site.worker.start()
    until(closed, "closed days say what the ledgers name", pause_s=0.3)
    site.worker.stop()


def last_closed(site: Site, shop: Shop) -> datetime:
    with site.connect() as connection:
        row = connection.execute(
            "SELECT max(closed_at) FROM counts_day WHERE store_id = %s", [shop.id]
        ).fetchone()
    return row[0] if row and row[0] else datetime.min.replace(tzinfo=UTC)


def closed_days(site: Site, shop: Shop) -> dict[date, tuple[int, int]]:
    with site.connect() as connection:
        rows = connection.execute(
            "SELECT date, entries, exits FROM counts_day WHERE store_id = %s AND entries > 0", [shop.id]
        ).fetchall()
    return {day: (entries, exits) for day, entries, exits in rows}


def expected_days(devices: list[Device]) -> dict[date, tuple[int, int]]:
    found: Counter[tuple[date, str]] = Counter()
    for body, times in sum((device.recorded() for device in devices), Counter()).items():
        event = wire.decode(body, wire.Event)  # type: ignore[arg-type]
        if isinstance(event, wire.Crossing):
            found[datetime.fromtimestamp(event.at / 1000, UTC).date(), event.direction] += times
    return {day: (found[day, "forward"], found[day, "backward"]) for day, _ in found}
