"""Deployments over real HTTP: states, retries, resuming, and what the slots hold afterwards."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sensor_sim.device.deployment import Deployer
from sensor_sim.device.outbox import Outbox
from sensor_sim.device.slots import Request, Slots, Step, active_package, read_journal
from sensor_sim.errors import SensorError
from sensorapp import wire
from tests.sensor_sim.device import package_server as servers
from tests.sensor_sim.device.package_server import PackageServer, cut_after, request_for, serving, status

OLD, NEW = (random.Random(seed).randbytes(50_000) for seed in (1, 2))
START = 1_780_000_000.0
DONE = ["request_received", "downloading", "installing", "done"]


@pytest.fixture
def server() -> Iterator[PackageServer]:
    with serving(NEW) as server:
        yield server


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def refuse(path: Path) -> str:
    raise SensorError("model.onnx: the chip does not like it")


@dataclass
class Device:
    """Slots in a folder, and what was heard of them."""

    folder: Path
    waits: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def deploy(self, plain: dict[str, Any], check: Any = digest) -> None:
        with Slots(self.folder) as slots:
            deployer = Deployer(slots, check, self._tell, wait=self.waits.append, now=lambda: START)
            deployer.run(msgspec.convert(plain, Request))

    def fails(self, plain: dict[str, Any], check: Any = digest) -> str:
        with pytest.raises(SensorError) as caught:
            self.deploy(plain, check)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def held(self) -> list[bytes | None]:
        journal = read_journal(self.folder)
        assert journal
        slots = [slot and self._package(slot.hash) for slot in journal.slots]
        files = {path.read_bytes() for path in (self.folder / "packages").iterdir()}
        assert files == {body for body in slots if body}  # and nothing else
        assert not (self.folder / "staged").exists()
        return slots

    def _package(self, hash: str) -> bytes:
        with Slots(self.folder) as slots:
            return slots.package(hash).read_bytes()

    def _tell(self, name: str, step: Step) -> None:
        self.told.append(step.state)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """With the old model in slot 1."""
    made = Device(tmp_path / "slots")
    with serving(OLD) as server:
        made.deploy(request_for(OLD, server.url, rollout=6, version="0.9"))
    assert made.told == DONE
    made.told.clear()
    return made


def test_a_package_comes_into_its_slot(device: Device, server: PackageServer) -> None:
    device.deploy(request_for(NEW, server.url, slot=3))
    assert device.told == DONE
    assert device.held() == [None, OLD, None, NEW]
    assert active_package(device.folder).read_bytes() == NEW
    journal = read_journal(device.folder)
    assert journal
    assert journal.slots[3]
    assert (journal.slots[3].version, journal.slots[3].updated) == ("1.0", round(START * 1000))
    assert [step.model for step in journal.steps] == [hashlib.sha256(OLD).hexdigest()[:16]] * 3 + [
        journal.model
    ]


def test_another_model_takes_the_place_of_the_old_one(device: Device, server: PackageServer) -> None:
    device.deploy(request_for(NEW, server.url))
    assert device.held() == [None, NEW, None, None]


def test_the_same_again_changes_nothing(device: Device, server: PackageServer) -> None:
    device.deploy(request_for(NEW, server.url))
    device.told.clear()
    device.deploy(request_for(NEW, server.url))
    assert device.told == []
    assert len(server.ranges) == 1
    device.deploy(request_for(NEW, server.url, rollout=8))  # a new rollout of it is another deployment
    assert device.told == DONE


@pytest.mark.parametrize("left", [b"damaged", None])
def test_the_same_again_puts_right_what_the_disk_has_lost(
    device: Device, server: PackageServer, left: bytes | None
) -> None:
    device.deploy(request_for(NEW, server.url))
    with Slots(device.folder) as slots:
        package = slots.package(request_for(NEW, server.url)["hash"])
    if left is None:
        package.unlink()
    else:
        package.write_bytes(left)
    device.told.clear()
    device.deploy(request_for(NEW, server.url))
    assert device.told == DONE
    assert device.held() == [None, NEW, None, None]


def test_the_same_again_makes_its_slot_the_active_one(device: Device, server: PackageServer) -> None:
    device.deploy(request_for(NEW, server.url, slot=3))
    with Slots(device.folder) as slots:
        slots.activate(1)
    device.deploy(request_for(NEW, server.url, slot=3))
    assert active_package(device.folder).read_bytes() == NEW
    assert len(server.ranges) == 1


def test_what_broke_off_is_fetched_from_there_on(device: Device, server: PackageServer) -> None:
    server.faults = [cut_after(20_000), status(503), servers.hang_up, cut_after(10_000)]
    device.deploy(request_for(NEW, server.url))
    assert server.ranges == [None, *["bytes=20000-"] * 3, "bytes=30000-"]
    assert device.waits == [1, 2, 4, 8]
    assert device.told == DONE
    assert device.held()[1] == NEW


def test_a_server_without_ranges_begins_again(device: Device, server: PackageServer) -> None:
    server.faults = [cut_after(20_000), servers.whole]
    device.deploy(request_for(NEW, server.url))
    assert device.held()[1] == NEW


def test_retries_have_an_end(device: Device, server: PackageServer) -> None:
    server.faults = [status(500)] * 11
    sentence = device.fails(request_for(NEW, server.url))
    assert sentence.endswith(
        "the server answered 500, also after 10 retries; deploy again when the server is well"
    )
    assert device.waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 256]
    assert device.told == ["request_received", "downloading", "failed_download_retry_exceeded"]
    assert device.held() == [None, OLD, None, None]
    device.told.clear()
    device.deploy(request_for(NEW, server.url))  # asked again, it tries again
    assert device.told == DONE


def test_a_server_that_is_not_there(device: Device, server: PackageServer) -> None:
    server.server_close()
    assert "retries" in device.fails(request_for(NEW, server.url))
    assert device.told[-1] == "failed_download_retry_exceeded"


@pytest.mark.parametrize(
    ("fault", "changes", "state", "complaint"),
    [
        (status(403), {}, "failed_token_expired", "the address has expired; ask for a new one"),
        (status(404), {}, "failed", "the server answered 404; check the address"),
        (None, {"hash": servers.hash_of(OLD)}, "failed", "the package's hash is not"),
        (None, {"size": 49_999}, "failed", "the package has 50000 bytes, not 49999; correct the size"),
        (None, {"size": 50_001}, "failed", "the package has 50000 bytes, not 50001; correct the size"),
        (servers.endless, {}, "failed", "the package is larger than stated"),
        (status(206), {}, "failed", "the server answers with another part"),
        (servers.other_part, {}, "failed", "the server answers with another part"),
        (servers.part_beyond_numbers, {}, "failed", "the server answers with another part"),
        (None, {"url": "http://xn--/"}, "failed_invalid_argument", "url: "),
    ],
)
def test_a_failure_leaves_the_old_model(
    device: Device, server: PackageServer, fault: Any, changes: dict[str, Any], state: str, complaint: str
) -> None:
    server.faults = [fault] if fault else []
    assert complaint in device.fails(request_for(NEW, server.url) | changes)
    assert device.told == ["request_received", "downloading", state]
    assert device.waits == []
    assert device.held() == [None, OLD, None, None]


def test_what_the_chip_cannot_run_is_not_installed(device: Device, server: PackageServer) -> None:
    assert device.fails(request_for(NEW, server.url), refuse) == "model.onnx: the chip does not like it"
    assert device.told == ["request_received", "downloading", "installing", "failed"]
    assert device.held() == [None, OLD, None, None]


def test_a_check_that_breaks_ends_the_deployment(device: Device, server: PackageServer) -> None:
    """With what nobody thought of; the same asked again is another deployment."""

    def break_down(path: Path) -> str:
        raise ValueError("odd\nnumbers")

    said = device.fails(request_for(NEW, server.url), break_down)
    assert r"the package cannot be checked: ValueError('odd\nnumbers'); report this" in said
    assert device.told == ["request_received", "downloading", "installing", "failed"]
    assert device.held() == [None, OLD, None, None]
    device.told.clear()
    device.deploy(request_for(NEW, server.url))
    assert device.told == DONE


def test_another_request_ends_the_one_under_way(device: Device, server: PackageServer) -> None:
    def lose_power(path: Path) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.deploy(request_for(NEW, server.url), lose_power)
    device.deploy(request_for(NEW, server.url, rollout=8))
    assert device.told == ["request_received", "downloading", "installing", "failed", *DONE]


def test_garbage_at_the_end_of_what_was_fetched_is_fetched_again(
    device: Device, server: PackageServer
) -> None:
    """A file may have grown before its content was written; the hash tells."""
    server.faults = [cut_after(20_000)]

    def lose_power(seconds: float) -> None:
        (device.folder / "staged").write_bytes(NEW[:20_000] + bytes(5_000))
        raise KeyboardInterrupt

    with Slots(device.folder) as slots, pytest.raises(KeyboardInterrupt):
        Deployer(slots, digest, device._tell, wait=lose_power).run(
            msgspec.convert(request_for(NEW, server.url), Request)
        )
    device.deploy(request_for(NEW, server.url))
    assert server.ranges[1:] == ["bytes=25000-", None]
    assert device.told == DONE
    assert device.held()[1] == NEW


def test_a_package_that_changed_in_between_is_fetched_again(device: Device, server: PackageServer) -> None:
    server.faults = [lambda handler: handler.answer(200, OLD, length=20_000)]
    device.deploy(request_for(NEW, server.url))
    assert server.ranges == [None, "bytes=20000-", None]
    assert device.told == DONE
    assert device.held()[1] == NEW


def test_with_a_clock_that_is_wrong_by_years_nothing_begins(device: Device, server: PackageServer) -> None:
    """Else an event that no server takes would be in the way of all later ones."""
    request = msgspec.convert(request_for(NEW, server.url), Request)
    before = read_journal(device.folder)
    with Slots(device.folder) as slots, pytest.raises(SensorError, match="clock is wrong by years; set it"):
        Deployer(slots, digest, device._tell, now=lambda: 100.0).run(request)
    assert read_journal(device.folder) == before
    device.deploy(request_for(NEW, server.url))
    assert device.told == DONE


def test_another_slot_is_made_the_active_one(device: Device, server: PackageServer) -> None:
    device.deploy(request_for(NEW, server.url, slot=3))
    with Slots(device.folder) as slots:
        slots.activate(1)
        with pytest.raises(SensorError, match="slot 2 holds no model; choose another"):
            slots.activate(2)
    assert active_package(device.folder).read_bytes() == OLD
    assert device.held() == [None, OLD, None, NEW]


def test_one_process_at_a_time(device: Device) -> None:
    with Slots(device.folder), pytest.raises(SensorError, match="another process is installing there"):
        Slots(device.folder)


@pytest.mark.parametrize(
    ("kept", "broken", "complaint"),
    [
        ('"name"', '"nam"', "Object missing required field `name`"),
        ('"active":1', '"active":2', "active: slot 2 holds no model"),
        ('"updated":1', '"updated":9999', r"Expected `int` .* - at `\$\.slots\[1\]\.updated`"),
        ('"at":1', '"at":-1', r"Expected `int` .* - at `\$\.steps\[0\]\.at`"),
        (":", "", "JSON is malformed"),
    ],
)
def test_a_damaged_journal_is_named(device: Device, kept: str, broken: str, complaint: str) -> None:
    journal = device.folder / "journal.json"
    journal.write_text(journal.read_text().replace(kept, broken, 1))
    with pytest.raises(
        SensorError, match=rf"journal\.json: not readable: {complaint}.*; move the folder away"
    ):
        read_journal(device.folder)


def test_without_a_model_there_is_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match="no slot holds a model; install one"):
        active_package(tmp_path)


# --- the outbox ------------------------------------------------------------------------------------


def test_an_outbox_keeps_each_number_of_a_source_once(tmp_path: Path) -> None:
    events = [wire.Deployment(at=round(START * 1000) + i, rollout=1, state="downloading") for i in range(4)]
    for numbers in ([0, 1], [0, 1, 2], [2, 3]):  # opened again in between
        with Outbox(tmp_path, "s-0123456789ab") as outbox:
            for number in numbers:
                outbox.append_once("slots", number, events[number], model="0" * 16, config=0)
    with Outbox(tmp_path, "s-0123456789ab") as outbox:
        outbox.append_once("others", 0, events[0], model="0" * 16, config=0)
        assert len(outbox) == 5
