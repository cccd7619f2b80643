"""Requests that are cut, late, doubled, replayed, in another order, or not to be stored."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.cutting_proxy import Fate
from tests.faults.relay import Relay
from tests.faults.site import CATCHING_UP, Site, until, wait_for_progress


def storm(chance: random.Random, longest: int = 6_000) -> Iterator[Fate]:
    """Connections that last for some requests, or not for one, and for some of which there is much time."""
    while True:
        sent, answered = chance.choice(
            [(chance.randrange(longest), None), (None, chance.randrange(longest // 6))]
        )
        yield Fate(sent, answered, chance.choice([0.0, 0.0, 0.05]))


def test_a_line_that_cuts_and_delays(site: Site, chance: random.Random) -> None:
    devices = site.devices(site.shop())
    site.proxy.fates = storm(chance)
    for device in devices:
        device.start()
    for _ in range(5):
        wait_for_progress(devices)
    site.settle(devices)


@pytest.mark.parametrize("gateways", [0, 2])
def test_doubled_reordered_replayed_and_truncated_requests(
    site: Site, chance: random.Random, gateways: int
) -> None:
    """By whoever is in between, or by two gateways that both carry what the sensors number."""
    shop = site.shop()
    with Relay(site.port, chance, shop.gateways[:gateways]) as relay:
        devices = site.devices(shop, *CATCHING_UP)
        for device in devices:
            device.url = f"http://127.0.0.1:{relay.port}"
            device.start()
        until(lambda: min(relay.mischief.values()) >= 3, "each kind of mischief was done")
        site.settle(devices)
        for request in chance.sample(relay.requests, len(relay.requests)):
            answer = relay.forward(request)
            assert answer
            assert answer[0] == 200
    for device in devices:
        site.check([device])


def test_poisonous_batches_whose_answers_are_lost(site: Site, chance: random.Random) -> None:
    """They are dead letters then, with nothing that was counted among them, and block nothing."""
    devices = site.devices(site.shop(), "--poison", "40", *CATCHING_UP)
    site.proxy.fates = storm(chance, longest=3_000)
    for device in devices:
        device.start()
    until(lambda: all(len(device.dead_letters()) > 3 for device in devices), "there are dead letters")
    for _ in range(3):
        wait_for_progress(devices)
    site.settle(devices)


def test_two_gateways_that_claim_one_sensor(site: Site, chance: random.Random) -> None:
    """Each with an outbox of its own, over a line that loses answers."""
    shop = site.shop()
    sensor = shop.sensors[0].partition(".")[0]
    devices = [
        site.device(token, "--late-ms", str(number * 3_600_000), sensor=sensor, name=f"{sensor}-{number}")
        for number, token in enumerate(shop.gateways)
    ]
    site.proxy.fates = storm(chance)
    for device in devices:
        device.start()
    for _ in range(3):
        wait_for_progress(devices)
    site.settle(devices)
    assert Counter() not in [device.recorded() for device in devices]
