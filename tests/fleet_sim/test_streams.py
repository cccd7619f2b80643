"""The fleet over streams: the same schedule arrives, whatever breaks, and each store has a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from sensor_sim.device.uplink import RefusedError
from sensor_sim.fleet import plan as p
from sensor_sim.fleet.commands import first
from sensor_sim.fleet.sender import run
from sensorapp import wire
from tests.fleet_sim.plans import plan, sensors, store
from tests.fleet_sim.test_sender import NOON, Ledgers, Since, has_all, received, run_until, schedule
from tests.sensor_sim.device.test_stream import Backend, cut, instead, running


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor_sim.device.uplink.FIRST_BACK_OFF_S", 0.01)


@pytest.fixture
def ledgers() -> Ledgers:
    return Ledgers()


@pytest.fixture
def backend(ledgers: Ledgers) -> Iterator[Backend]:
    with running(Backend(ledgers)) as backend:  # type: ignore[arg-type]
        yield backend


def two_stores() -> p.Plan:
    """Each behind a gateway of its own."""
    return plan(
        *(
            store(time_zone, slug=name, visitors=60.0, sensors=sensors(name), token=f"g-{name}.secret")
            for name, time_zone in (("one", "Europe/Berlin"), ("two", "Asia/Kolkata"))
        )
    )


async def test_each_store_keeps_a_stream_of_its_own(backend: Backend, ledgers: Ledgers) -> None:
    of = two_stores()
    past = schedule(of, NOON)
    await run_until(of, backend, Since(speed=600.0), has_all(ledgers, past))
    assert {sensor: events[: len(past[sensor])] for sensor, events in received(ledgers).items()} == past
    # One for what is past, and one for what goes out meanwhile.
    assert set(backend.connections) == {"Bearer g-one.secret", "Bearer g-two.secret"}
    assert len(backend.connections) <= 4


async def test_faults_change_nothing(backend: Backend, ledgers: Ledgers) -> None:
    of = two_stores()
    past = schedule(of, NOON)
    unavailable = wire.Refusal(503, "The database is not available.", "Send it again later.", 0.01)
    backend.handshakes = [(HTTPStatus.SERVICE_UNAVAILABLE, wire.Problem("The database is not available."))]
    backend.faults = [
        cut(after_commit=True),
        instead(unavailable),
        cut(after_commit=False),
        instead(wire.Window(1, retry_after=0.01), wire.Answered([])),
        instead(wire.Problem("of another protocol")),
    ] * 2
    arrived = has_all(ledgers, past)
    # Time goes on fast, so that there is something to send for every fault.
    await run_until(of, backend, Since(speed=600.0), lambda: arrived() and not backend.faults)
    assert {sensor: events[: len(past[sensor])] for sensor, events in received(ledgers).items()} == past
    assert (backend.faults, backend.handshakes) == ([], [])


async def test_a_refused_token_ends_the_fleet(backend: Backend) -> None:
    problem = wire.Problem("The token is not known.")
    backend.handshakes = [(HTTPStatus.UNAUTHORIZED, problem)] * 2
    with pytest.raises(ExceptionGroup) as caught:
        await run_until(two_stores(), backend, Since(), lambda: False)
    error = first(caught.value)
    assert isinstance(error, RefusedError)
    assert str(error) == "the server answered 401: The token is not known; check the token"


async def test_an_address_that_cannot_be_one() -> None:
    for url, scheme in (("ws:///", "ws:// or wss://"), ("example.org", "http:// or https://")):
        with pytest.raises(RefusedError, match=f"it must begin with {scheme} and name a host"):
            await run(two_stores(), url, Since())
