"""The fleet against a real HTTP server: what arrives is the schedule, whatever happened before."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from sensor_sim.__main__ import main
from sensor_sim.device.uplink import RefusedError
from sensor_sim.fleet import plan as p
from sensor_sim.fleet import sender
from sensor_sim.fleet.commands import first
from sensor_sim.fleet.schedule import Feed, Schedule
from sensor_sim.fleet.sender import Clock, run
from sensorapp import wire
from tests.fleet_sim.plans import milliseconds, plan, sensors, store
from tests.sensor_sim.device.device_server import Ledger, Server, cut, refuse, running

ORIGIN = date(2026, 9, 1)
NOON = milliseconds(ORIGIN + timedelta(days=2), hour=12)


class Ledgers(defaultdict[str, Ledger]):
    """A ledger for each sensor, and the sensors in the order of their batches."""

    def __init__(self) -> None:
        super().__init__(Ledger)
        self.order: list[str] = []
        self.unknown: set[str] = set()
        self.put_off: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def receive(self, batch: wire.Batch) -> wire.Ack:
        self.order.append(batch.sensor)
        if self.put_off[batch.sensor]:
            self.put_off[batch.sensor] -= 1
            return wire.Ack(batch.sensor, batch.epoch, batch.first_seq - 1, "later")
        if batch.sensor in self.unknown:
            return wire.Ack(batch.sensor, batch.epoch, -1, "invalid", "$.batches[0].sensor", "it is revoked")
        if self.refused[batch.sensor] and len(batch.events) > self.refused[batch.sensor]:
            self[batch.sensor].next_seq = end = batch.first_seq + self.refused.pop(batch.sensor)
            return wire.Ack(batch.sensor, batch.epoch, end - 1, "invalid", "$.batches[0]", "no")
        return self[batch.sensor].receive(batch)


@dataclass(frozen=True, slots=True)
class Since(Clock):
    """A clock that starts where the test says."""

    now: int = NOON

    def now_ms(self) -> int:
        return self.now + int((time.time() - self.started) * 1000 * self.speed)


@pytest.fixture
def ledgers() -> Ledgers:
    return Ledgers()


@pytest.fixture
def server(ledgers: Ledgers) -> Iterator[Server]:
    with running(ledgers) as server:  # type: ignore[arg-type]
        yield server


def two_stores() -> p.Plan:
    return plan(
        store("Europe/Berlin", slug="one", visitors=60.0, sensors=sensors("a")),
        store("Asia/Kolkata", slug="two", visitors=60.0, sensors=sensors("b")),
    )


def schedule(of: p.Plan, until: int) -> dict[str, list[wire.Event]]:
    """What a backend must have at a time."""
    feeds = [Feed(Schedule(of, store), sensor) for store in of.stores for sensor in store.sensors]
    batches = [batch for feed in feeds if (batch := feed.take(until, 10_000_000))]
    return {batch.sensor: batch.events for batch in batches}


def received(ledgers: Ledgers) -> dict[str, list[wire.Event]]:
    assert all(
        list(ledger.events) == [(1, seq) for seq in range(len(ledger.events))] for ledger in ledgers.values()
    )
    return {sensor: list(ledger.events.values()) for sensor, ledger in ledgers.items() if ledger.events}


class Addressed(Protocol):
    url: str


async def run_until(of: p.Plan, server: Addressed, clock: Clock, done: Callable[[], bool]) -> None:
    task = asyncio.create_task(run(of, server.url, clock))
    for _ in range(600):
        if done() or task.done():
            break
        await asyncio.sleep(0.05)
    assert done() or task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled() and (error := task.exception()):
        raise error


def has_all(ledgers: Ledgers, events: dict[str, list[wire.Event]]) -> Callable[[], bool]:
    return lambda: all(ledgers[sensor].next_seq >= len(expected) for sensor, expected in events.items())


def progress(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, int]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(line["backlog_done"], line["backlog_total"]) for line in lines]


async def test_the_past_arrives_once_and_in_order_with_its_progress(
    server: Server, ledgers: Ledgers, capsys: pytest.CaptureFixture[str]
) -> None:
    of = two_stores()
    past = schedule(of, NOON)
    printed: list[tuple[int, int]] = []

    def finished() -> bool:
        printed.extend(progress(capsys))
        return bool(printed) and printed[-1][0] == printed[-1][1]

    await run_until(of, server, Since(), finished)
    got = received(ledgers)
    assert {sensor: events[: len(past[sensor])] for sensor, events in got.items()} == past
    assert all(len(events) - len(past[sensor]) < 20 for sensor, events in got.items())
    asked = len(past)  # each sensor's first event was sent to ask for its position
    assert printed[0] == (0, sum(map(len, past.values())) - asked)
    assert printed == sorted(printed)
    assert set(server.tokens) == {"Bearer g-test0000.secret"}
    after_asking = ledgers.order[asked:]
    for prefix in ("a", "b"):
        doors = [place for place, name in enumerate(after_asking) if name.startswith(f"s-{prefix}door")]
        others = [
            place
            for place, name in enumerate(after_asking)
            if name in (f"s-{prefix}zone1", f"s-{prefix}shelf")
        ]
        assert doors[0] < others[0]


async def test_a_fleet_that_starts_again_goes_on_where_it_was(
    server: Server, ledgers: Ledgers, capsys: pytest.CaptureFixture[str]
) -> None:
    of = two_stores()
    first, later = schedule(of, NOON), schedule(of, NOON + 3 * 86_400_000)
    await run_until(of, server, Since(), has_all(ledgers, first))
    had = sum(ledger.next_seq for ledger in ledgers.values())
    progress(capsys)
    await run_until(of, server, Since(now=NOON + 3 * 86_400_000), has_all(ledgers, later))
    assert progress(capsys)[0] == (0, sum(map(len, later.values())) - had)
    assert {sensor: events[: len(later[sensor])] for sensor, events in received(ledgers).items()} == later


async def test_a_backend_that_lost_everything_gets_everything_again(server: Server, ledgers: Ledgers) -> None:
    of = two_stores()
    past = schedule(of, NOON)
    await run_until(of, server, Since(), has_all(ledgers, past))
    ledgers.clear()
    await run_until(of, server, Since(), has_all(ledgers, past))
    assert {sensor: events[: len(past[sensor])] for sensor, events in received(ledgers).items()} == past


async def test_a_backend_that_forgets_while_the_fleet_is_live_gets_everything_again(
    server: Server, ledgers: Ledgers
) -> None:
    of = two_stores()
    past = schedule(of, NOON)
    forgotten = False

    def forget_once() -> bool:
        nonlocal forgotten
        complete = has_all(ledgers, past)()
        if complete and not forgotten:
            with server.mutex:
                ledgers.clear()
            forgotten = True
            return False
        return forgotten and complete

    await run_until(of, server, Since(speed=600.0), forget_once)
    assert {sensor: events[: len(past[sensor])] for sensor, events in received(ledgers).items()} == past


async def test_live_events_arrive_within_a_quarter_of_a_second(server: Server, ledgers: Ledgers) -> None:
    # A sensor that beats every 100 ms of real time: a minute passes in 100 ms.
    of = plan(store("Europe/Berlin", visitors=60.0), live_from=NOON - NOON % 900_000)
    clock = Since(speed=600.0)
    past = schedule(of, NOON)
    await run_until(of, server, clock, has_all(ledgers, past))
    count = len(server.arrivals)
    await run_until(of, server, clock, lambda: len(server.arrivals) > count + 20)
    now = clock.now_ms()
    for sensor, events in schedule(of, now - int(0.25 * 600 * 1000)).items():
        assert received(ledgers)[sensor][: len(events)] == events
        assert ledgers[sensor].events[1, ledgers[sensor].next_seq - 1].at <= now


async def test_faults_change_nothing(
    server: Server, ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor_sim.device.uplink.FIRST_BACK_OFF_S", 0.01)
    of = two_stores()
    past = schedule(of, NOON)
    server.faults = [refuse(503), cut(after_commit=True), cut(after_commit=False), refuse(429)] * 2
    await run_until(of, server, Since(), has_all(ledgers, past))
    assert {sensor: events[: len(past[sensor])] for sensor, events in received(ledgers).items()} == past
    assert server.faults == []


async def test_a_revoked_sensor_stops_and_the_others_go_on(server: Server, ledgers: Ledgers) -> None:
    of = two_stores()
    past = schedule(of, NOON)
    ledgers.unknown.add("s-adoor1")
    del past["s-adoor1"]
    await run_until(of, server, Since(), has_all(ledgers, past))
    assert ledgers.order.count("s-adoor1") == 1
    assert "s-adoor1" not in received(ledgers)


async def test_of_a_batch_refused_in_part_the_rest_is_sent_again(server: Server, ledgers: Ledgers) -> None:
    of = two_stores()
    past = schedule(of, NOON)
    ledgers.refused["s-adoor1"] = 3
    await run_until(of, server, Since(), has_all(ledgers, past))
    events = dict(enumerate(past["s-adoor1"]))
    refused = [1, 2, 3]  # its first event was sent before, to ask for its position
    kept = {seq: event for (_, seq), event in ledgers["s-adoor1"].events.items() if seq < len(events)}
    assert kept == {seq: event for seq, event in events.items() if seq not in refused}


async def test_a_sensor_for_which_somebody_else_sends_stops(server: Server, ledgers: Ledgers) -> None:
    of = two_stores()
    past = schedule(of, NOON)
    ledgers["s-bzone2"].epoch = 1_790_000_000
    del past["s-bzone2"]
    await run_until(of, server, Since(), has_all(ledgers, past))
    assert ledgers.order.count("s-bzone2") == 1
    assert ledgers["s-bzone2"].events == {}


async def test_stores_that_wait_for_a_slow_server_hold_nothing_and_come_late(
    server: Server, ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "LANES", 2)
    stores = [store("UTC", slug=f"s{n}", visitors=60.0, sensors=sensors(f"s{n}")) for n in range(6)]
    of = plan(*stores, live_from=NOON - NOON % 900_000)
    held: list[int] = []
    most: list[int] = []

    def slow(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        held.append(1)
        most.append(len(held))
        time.sleep(0.05)
        held.pop()
        return False

    server.faults = [slow] * 100
    clock = Since(speed=600.0)
    past = schedule(of, NOON + 600_000)
    await run_until(of, server, clock, has_all(ledgers, past))
    assert max(most) == 2
    assert {sensor: events[: len(past[sensor])] for sensor, events in received(ledgers).items()} == past


async def test_a_refused_token_ends_the_fleet(server: Server) -> None:
    server.faults = [refuse(401, "The token is not known.")] * 2
    with pytest.raises(ExceptionGroup) as caught:
        await run_until(two_stores(), server, Since(), lambda: False)
    error = first(caught.value)
    assert isinstance(error, RefusedError)
    assert str(error) == "the server answered 401: The token is not known; check the token"


# --- the command -----------------------------------------------------------------------------------


def start(credentials: Path, url: str) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "sensor_sim", "fleet", "--url", url, "--credentials", str(credentials)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_stops_when_told(
    server: Server, ledgers: Ledgers, tmp_path: Path, number: signal.Signals
) -> None:
    today = date.today()
    fleet = plan(store("Europe/Berlin", visitors=40.0), origin=today - timedelta(days=1))
    p.write(fleet, tmp_path / "fleet.json")
    assert (tmp_path / "fleet.json").stat().st_mode & 0o777 == 0o600
    with start(tmp_path / "fleet.json", server.url) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(json.loads(line))
            if lines[-1]["backlog_done"] == lines[-1]["backlog_total"]:
                break
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert lines[-1]["backlog_done"] > 0
    assert all(ledger.next_seq > 24 * 4 for ledger in ledgers.values())


def test_a_plan_that_is_missing_or_of_another_schedule_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    with start(path, "http://127.0.0.1:9") as process:
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (
        1,
        f"sensor_sim: {path}: No such file or directory; `manage.py load_demo` or `manage.py create_fleet` writes it\n",
    )
    path.write_text("{}")
    with pytest.raises(p.PlanError, match=r"give a plan as `manage\.py load_demo` or"):
        p.read(path)
    document = plan(store("Europe/Berlin", visitors=40.0), origin=ORIGIN)
    plain = msgspec.to_builtins(document)
    plain["stores"][0]["power_cuts"] = [{"day": 1, "begins": "10:00:00", "end": "11:00:00"}]
    path.write_bytes(msgspec.json.encode(plain))
    with pytest.raises(
        p.PlanError, match=r"unknown field `end` .*; known are day, begins and ends; give a plan"
    ):
        p.read(path)
    p.write(msgspec.structs.replace(document, schedule=0), path)
    with pytest.raises(p.PlanError, match="it was made for schedule 0 and this program has schedule"):
        p.read(path)


def complaint(capsys: pytest.CaptureFixture[str], url: str, path: Path) -> str:
    """What the command says when it ends at once."""
    assert main(["fleet", "--url", url, "--plan", str(path)]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    return errors.removeprefix("sensor_sim: ")


def complaint_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], store: int, field: str, value: object
) -> str:
    """What the command says between the name of a plan's file and the remedy, if a store's field has this value."""
    plain = msgspec.to_builtins(two_stores())
    plain["stores"][store][field] = value
    return complaint_about_plan(tmp_path, capsys, plain)


def complaint_about_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str], plain: dict[str, Any]) -> str:
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(plain))
    said = complaint(capsys, "http://127.0.0.1:9", path)
    begin, end = f"{path}: ", "; give a plan as `manage.py load_demo` or `manage.py create_fleet` writes it\n"
    assert said.startswith(begin)
    assert said.endswith(end)
    return said.removeprefix(begin).removesuffix(end)


@pytest.mark.parametrize("place", ["127.0.0.1:abc", "127.0.0.1:99999", "bücher.example", "a..b", "[1.2.3.4]"])
def test_an_address_that_cannot_be_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    p.write(two_stores(), tmp_path / "fleet.json")
    assert complaint(capsys, f"http://{place}", tmp_path / "fleet.json") == (
        f"address 'http://{place}': it must begin with http:// or https:// and name a host in ASCII"
        " (other letters as xn--…), followed by at most a port from 1 to 65535 and a path\n"
    )


@pytest.mark.parametrize("name", ["Mars/Base", "Europe", "", "../UTC", "/etc/localtime", "x" * 5_000])
def test_a_time_zone_that_does_not_exist_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert complaint_about(tmp_path, capsys, 1, "time_zone", name) == (
        f"time_zone: {name!r} is not known; use a name like Europe/Berlin - at `$.stores[1]`"
    )


@pytest.mark.parametrize(
    "hours", [("20:00:00", "02:00:00"), ("18:00:00", "00:00:00"), ("09:00:00", "09:00:00")]
)
def test_opening_hours_that_pass_midnight_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hours: tuple[str, str]
) -> None:
    opens, closes = (hour.removesuffix(":00") for hour in hours)
    assert complaint_about(tmp_path, capsys, 0, "opening_hours", [None] * 6 + [hours]) == (
        f"opening_hours: {opens} to {closes} does not end on the day on which it begins; close at 23:59 at the latest"
        " - at `$.stores[0]`"
    )


@pytest.mark.parametrize(
    ("cuts", "reason"),
    [
        (
            [(6, "22:00:00", "02:00:00")],
            "begins: 22:00 to 02:00 does not end on the day on which it begins; give two power cuts, one a day"
            " - at `$.stores[0].power_cuts[0]`",
        ),
        (
            [(6, "22:00:00", "23:59:59.999"), (7, "02:00:00", "02:00:00")],
            "begins: 02:00 to 02:00 does not end on the day on which it begins; give two power cuts, one a day"
            " - at `$.stores[0].power_cuts[1]`",
        ),
        (
            [(6, "09:00:00", "10:00:00"), (6, "11:00:00", "12:00:00")],
            "power_cuts: day 6 has 2; give one a day - at `$.stores[0]`",
        ),
        (
            [(6, "09:00:00Z", "10:00:00")],
            "Expected `time` with no timezone component - at `$.stores[0].power_cuts[0].begins`",
        ),
    ],
)
def test_power_cuts_that_no_day_can_have_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cuts: list[tuple[int, str, str]], reason: str
) -> None:
    plain = [{"day": day, "begins": begins, "ends": ends} for day, begins, ends in cuts]
    assert complaint_about(tmp_path, capsys, 0, "power_cuts", plain) == reason


def test_a_plan_of_nothing_twice_the_same_or_another_century_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = msgspec.to_builtins(two_stores())
    [first, *_] = plain["stores"][0]["sensors"]
    for changes, reason in [
        ({"stores": []}, "Expected `array` of length >= 1 - at `$.stores`"),
        ({"stores": plain["stores"] * 2}, f"stores: sensor {first['id']} is there twice; keep one of them"),
        (
            {"origin": "1950-01-01"},
            "origin: 1950-01-01 is no day of this century; give the first day of history",
        ),
    ]:
        assert complaint_about_plan(tmp_path, capsys, plain | changes) == reason


def test_more_visitors_than_a_store_can_have_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demand = msgspec.to_builtins(two_stores().stores[1].demand) | {"visitors": 1e12}
    assert complaint_about(tmp_path, capsys, 1, "demand", demand) == (
        "Expected `float` <= 1000000.0 - at `$.stores[1].demand.visitors`"
    )


def test_hours_of_less_than_nothing_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demand = msgspec.to_builtins(two_stores().stores[1].demand)
    demand["hours"][9] = -1.0
    assert complaint_about(tmp_path, capsys, 1, "demand", demand) == (
        "Expected `float` >= 0.0 - at `$.stores[1].demand.hours[9]`"
    )


@pytest.mark.parametrize("token", ["", "g-test0000.gehëim", "g-test0000.secret\r\nHost: elsewhere"])
def test_a_token_that_cannot_be_one_is_told_without_telling_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], token: str
) -> None:
    assert complaint_about(tmp_path, capsys, 0, "token", token) == (
        "token: it is empty or holds spaces or letters beyond ASCII, as no token does - at `$.stores[0]`"
    )


async def test_what_is_put_off_is_sent_again(
    server: Server, ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first question on, and whatever is already known to the server."""
    monkeypatch.setattr(sender, "LATER_S", 0.01)
    of = two_stores()
    past = schedule(of, NOON)
    ledgers.put_off.update({sensor: place % 4 for place, sensor in enumerate(past)})
    await run_until(of, server, Since(), has_all(ledgers, past))
    got = received(ledgers)
    assert {sensor: events[: len(past[sensor])] for sensor, events in got.items()} == past
    assert not +ledgers.put_off
