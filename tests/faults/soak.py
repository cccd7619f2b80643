"""``make soak``: one fault after the other, drawn by chance, for as long as one likes.

After each round of them everything is settled, and what the backend holds must be exactly what the sensors'
ledgers name. Ends with 1 at the first difference; the folder then stays, with ledgers, outboxes and logs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults import clock
from tests.faults.device import Device
from tests.faults.relay import Relay
from tests.faults.site import CATCHING_UP, Site, wait_for_progress, wait_for_refusal
from tests.faults.small_disk import MountError, SmallDisk, small_disk
from tests.faults.test_requests import storm

FAULTS_A_ROUND = 8
HOUR_MS = 3_600_000
# Two devices claim the first sensor; of the others one is poisonous, one is behind a mischievous relay, and two catch up.
SENSORS = 6


class Soak:
    """The site under fault, and what was done to it so far."""

    def __init__(self, site: Site, relay: Relay, chance: random.Random, disk: SmallDisk | None) -> None:
        self.site, self.relay, self.chance, self.disk = site, relay, chance, disk
        self.devices = self._devices()
        self.done: Counter[str] = Counter()
        self.begun = time.monotonic()

    def _devices(self) -> list[Device]:
        shop = self.site.shop()
        slow = ("--pause", "0.02")
        claimed, *others = shop.sensors
        sensor = claimed.partition(".")[0]
        devices = [
            self.site.device(
                token, *slow, "--late-ms", str(number * HOUR_MS), sensor=sensor, name=f"{sensor}-{number}"
            )
            for number, token in enumerate(shop.gateways)
        ]
        devices += [
            self.site.device(token, *slow, stream=number % 2 == 1) for number, token in enumerate(others)
        ]
        devices[2].options += ("--poison", "400")
        devices[3].options += CATCHING_UP
        devices[4].options += CATCHING_UP
        devices[4].url = f"http://127.0.0.1:{self.relay.port}"
        return devices

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.begun), 60)
        print(f"{minutes:3}:{seconds:02}  {text}", flush=True)

    def run(self, seconds: float) -> None:
        """One round at least."""
        while not self.done or time.monotonic() < self.begun + seconds:
            self.round()
            self.say(self.totals())

    def round(self) -> None:
        for device in self.devices:
            if not device.running:
                device.start()
        wait_for_progress(self.devices)
        for _ in range(FAULTS_A_ROUND):
            fault = self.chance.choice(self.faults)
            self.done[fault.__name__] += 1
            self.say(fault.__name__.replace("_", " "))
            fault()
            wait_for_progress(self.devices)
        for device in self.devices:
            clock.put(device.clock, 0)
        self.site.settle(self.devices)

    def pause(self, longest: float) -> None:
        time.sleep(self.chance.uniform(0.0, longest))

    @property
    def faults(self) -> list[Callable[[], None]]:
        always = [
            self.kill_web, self.kill_postgres, self.kill_a_session, self.kill_valkey, self.kill_worker,
            self.kill_sensors, self.kill_everything, self.hang_web, self.hang_valkey,
            self.hang_postgres, self.cut_and_delay, self.move_a_clock, self.restore_a_disk,
        ]  # fmt: skip
        return [*always, self.fill_the_disk] if self.disk else always

    # --- the faults ---

    def kill_web(self) -> None:
        self.site.web.kill()
        self.pause(3)
        self.site.web.start()

    def kill_postgres(self) -> None:
        self.site.kill_postgres()
        self.pause(3)
        self.site.postgres.start()

    def kill_a_session(self) -> None:
        self.site.kill_a_session(self.chance)

    def kill_valkey(self) -> None:
        self.site.kill_valkey()
        self.pause(3)
        self.site.valkey.start()

    def kill_worker(self) -> None:
        self.site.worker.kill()
        self.site.worker.start()

    def kill_sensors(self) -> None:
        for device in self.chance.sample(self.devices, self.chance.randint(1, len(self.devices))):
            device.kill()
            self.site.check_nothing_lost(device)
            device.start()

    def kill_everything(self) -> None:
        site = self.site
        victims = [site.web, site.worker, *self.devices]
        kills = [*(one.kill for one in victims), site.kill_postgres, site.kill_valkey]
        for kill in self.chance.sample(kills, len(kills)):
            kill()
            self.pause(0.2)
        for program in (site.postgres, site.valkey, site.web, site.worker, *self.devices):
            program.start()

    def hang_web(self) -> None:
        assert self.site.web.child
        self._hang(self.site.web.child.process.pid)

    def hang_valkey(self) -> None:
        assert self.site.valkey.child
        self._hang(self.site.valkey.child.process.pid)

    def hang_postgres(self) -> None:
        with self.site.postgres_hanging():
            self.pause(8)

    def _hang(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        self.pause(8)
        os.kill(pid, signal.SIGCONT)

    def cut_and_delay(self) -> None:
        # Of its own: the proxy draws whenever somebody connects, and the order of faults must not depend on that.
        self.site.proxy.fates = storm(random.Random(self.chance.random()))
        self.pause(8)
        wait_for_progress(self.devices)
        self.site.proxy.fates = iter(())

    def move_a_clock(self) -> None:
        hours = self.chance.choice([-72, -5, -2, 2, 7])
        clock.put(self.chance.choice(self.devices).clock, hours * HOUR_MS)
        self.pause(3)

    def restore_a_disk(self) -> None:
        device = self.chance.choice(self.devices[2:])
        device.kill()
        device.copy_disk()
        device.start()
        wait_for_progress([device])
        self.pause(2)
        device.kill()
        self.site.check_nothing_lost(device)
        device.restore_disk()
        device.start()

    def fill_the_disk(self) -> None:
        assert self.disk
        with self.disk.full():
            wait_for_refusal(self.devices)
            if self.chance.random() < 0.5:
                self.site.use_up_the_log()
            self.pause(2)
        self.site.recover_postgres()

    # --- what came of it ---

    def totals(self) -> str:
        sums = [sum(map(Counter.total, each)) for each in zip(*map(self._sizes, self.devices), strict=True)]
        recorded, dead, lost = sums
        sensors = {device.claims for device in self.devices}
        stored = sum(self.site.stored(sensor).total() for sensor in sensors)
        aside = sum(self.site.set_aside(sensor).total() for sensor in sensors)
        return (
            f"{self.done.total()} faults, {recorded} events recorded: {stored} stored ({aside} of them set aside),"
            f" {dead} dead letters, {recorded - stored - dead} of at most {lost} lost with a restored disk; no difference"
        )

    def _sizes(self, device: Device) -> tuple[Counter[bytes], Counter[bytes], Counter[bytes]]:
        return device.recorded(), device.dead_letters(), device.lost_with_disk


@contextlib.contextmanager
def soaking(folder: Path, chance: random.Random) -> Iterator[Soak]:
    with contextlib.ExitStack() as running:
        disk: SmallDisk | None = None
        try:
            disk = running.enter_context(small_disk(folder / "disk", "2g"))
        except MountError as error:
            print(f"the disk under PostgreSQL is never full here: {error}", flush=True)
        data = disk.folder / "data" if disk else None
        if data:
            running.push(partial(keep_after_a_difference, data, folder / "postgres"))
        site = Site(folder, stores=1, sensors=SENSORS, postgres_data=data, fsync=True)
        running.enter_context(site)
        relay = running.enter_context(Relay(site.port, random.Random(chance.random())))
        site.worker.start()
        yield Soak(site, relay, chance, disk)


def keep_after_a_difference(data: Path, kept: Path, kind: type[BaseException] | None, *_: object) -> None:
    """Nothing is left of a disk in memory."""
    if kind and issubclass(kind, AssertionError):
        shutil.copytree(data, kept)


def run(minutes: float, seed: int) -> int:
    print(f"seed {seed}, {minutes:g} minutes", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="sensorapp-soak-"))
    code = 0
    try:
        with soaking(folder, random.Random(seed)) as soak:
            soak.run(minutes * 60)
            print(", ".join(f"{name.replace('_', ' ')} {times}" for name, times in sorted(soak.done.items())))
    except AssertionError as difference:
        print(f"seed {seed}: {difference}; see {folder}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"seed {seed}: stopped; no difference so far", file=sys.stderr)
        code = 130
    shutil.rmtree(folder)
    return code


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--seed", type=int, default=None, help="the chance of an earlier run")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    return run(arguments.minutes, seed)


if __name__ == "__main__":
    sys.exit(main())
