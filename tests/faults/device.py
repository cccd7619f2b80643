"""A sensor with its disk, as the tests see it: a process to be killed, and what its ledger names."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sensorapp import wire
from sensorapp.stack.paths import ROOT
from sensorapp.stack.processes import die_with_parent
from tests.faults.ledger import Measured
from tests.faults.sensor import SCENES, Acknowledged, Named, known

Events = Counter[bytes]
# Epoch and sequence number: the order in which a sensor's events are committed.
Stamp = tuple[int, int]


def key(event: wire.Event) -> bytes:
    return msgspec.json.encode(event)


def counted(events: Iterable[wire.Event]) -> Events:
    return Counter(map(key, events))


@dataclass
class Device:
    """``claims`` is the sensor that it sends for; ``token`` its own or a gateway's.

    ``folder`` holds the ledgers, ``outbox`` is the disk that may be lost.
    """

    folder: Path
    outbox: Path
    url: str
    token: str
    claims: str
    options: tuple[str, ...] = ()
    life: int = 0
    lost_with_disk: Events = field(default_factory=Counter)
    _process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "tests.faults.sensor",
            self.folder,
            self.outbox,
            self.url,
            self.token,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*map(str, command), self.claims, "--life", str(self.life), *self.options, *more],
                cwd=ROOT,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def clock(self) -> Path:
        """A file by which its clock is put wrong."""
        return self.folder / "clock"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def finish(self) -> None:
        """Wait until all is settled, after :meth:`start` with ``--finish``."""
        assert self._process
        code = self._process.wait(120)
        assert code == 0, self.log.read_text()[-2_000:]

    # --- its disk ---

    def copy_disk(self) -> None:
        """An image of the disk as a power loss at this moment would leave it; while the process is away."""
        assert not self.running
        shutil.rmtree(self._image, ignore_errors=True)
        shutil.copytree(self.outbox, self._image)

    def restore_disk(self) -> None:
        """Put the image back. What is neither in it nor acknowledged is lost with the disk."""
        assert not self.running
        missing = self.recorded() - self.acknowledged()
        shutil.rmtree(self.outbox)
        shutil.copytree(self._image, self.outbox)
        self.lost_with_disk = missing - self.waiting()
        self.life += 1

    @property
    def _image(self) -> Path:
        return self.folder / "image"

    # --- its events ---

    def ledger(self) -> list[Named]:
        """What it has measured in all its lives, in order."""
        paths = (self.folder / f"ledger-{life}.jsonl" for life in range(self.life + 1))
        return [line for path in paths for line in known(path, Named)]

    def recorded(self) -> Events:
        return counted(line.event for line in self.ledger())

    def given(self) -> Events:
        """What the outbox was given for certain: a kill may have come before the last event that a ledger names."""
        named = known(self.folder / f"ledger-{self.life}.jsonl", Named)
        return self.recorded() - counted(line.event for line in named[-1:])

    def acknowledged(self) -> Events:
        """Each once, however often the backend has said so."""
        return Counter(dict.fromkeys(self.stamps(), 1))

    def stamps(self) -> dict[bytes, Stamp]:
        lines = known(self.folder / "acknowledged.jsonl", Acknowledged)
        return {key(line.event): (line.epoch, line.seq) for line in lines}

    def stamped(self) -> Iterator[tuple[Stamp, Measured]]:
        """What the ledger names, with its stamp, or that of the event before where none was acknowledged."""
        stamps = self.stamps()
        stamp: Stamp = (0, 0)
        for line in self.ledger():
            stamp = stamps.get(key(line.event), stamp)
            yield stamp, Measured(SCENES[line.config], line.event)

    def waiting(self) -> Events:
        """What the outbox holds; read while no process has it open."""
        with sqlite3.connect(self.outbox / "outbox.sqlite3") as connection:
            bodies = connection.execute("SELECT body FROM event").fetchall()
        connection.close()
        return counted([msgspec.msgpack.decode(body, type=wire.Event) for (body,) in bodies])

    def dead_letters(self) -> Events:
        """Each once: a letter is written again where the power failed before its events were forgotten."""
        path = self.outbox / "dead-letter.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        batches = [wire.convert(json.loads(line)["batch"], wire.Batch) for line in lines]
        return Counter(dict.fromkeys((key(event) for batch in batches for event in batch.events), 1))
