"""A program: a sensor that measures and sends for ever, and its generator, which keeps a ledger of its own.

The ledger names each event before the outbox has it. A generator that was killed in between gives the outbox
its last event again, so that what the ledger names is exactly what the outbox was given, whenever either dies.
``acknowledged.jsonl`` beside it names what the backend has said it has, and under which number. With ``--finish`` it measures
nothing more and ends when all is settled. A new life has a ledger of its own: the disk of an earlier one is lost.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import httpx
import msgspec

from sensor_sim.device import uplink
from sensor_sim.device.commands import open_link
from sensor_sim.device.outbox import Outbox
from sensor_sim.device.uplink import Delivery, Link, Token
from sensorapp import wire
from tests.faults import clock

MODEL = "0123456789abcdef"
KINDS = 6
NUMBERS_OF_A_LIFE = 1_000_000
SQUARE: Final[list[wire.Point]] = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)]
# By version; the first does not name the slot, and every fifth stretch of events is measured under it.
SCENES: Final = {
    version: wire.Scene(
        version,
        lines=[wire.Line(0, "door", ((0.1, 0.8), (0.9, 0.8)))],
        zones=[wire.Zone(0, "table", SQUARE)],
        slots=slots,
    )
    for version, slots in ((1, []), (2, [wire.Slot(0, "A-01", "bottle", SQUARE)]))
}
STRETCH: Final = 60
# How long the sensor sees between two heartbeats, as they say in turn.
OBSERVED_MS: Final = (50, 300_000, 50, 60_000)
# Who catches up leaps ahead after so many events, by so much in turn: on either side of how long a reading holds.
LEAP_EVERY: Final = 35
LEAPS_MS: Final = (20_000, 85_000, 95_000, 400_000, 440_000, 460_000, 1_000_000)

# Not what was stamped since the outbox was opened, as long as the server may know others under its numbers.
BEHIND: Final = """
SELECT event.id - base, body FROM event, state
WHERE event.id - base > ? AND event.id - base <= ? AND event.id < coalesce((SELECT id FROM doubt), event.id + 1)
ORDER BY event.id
"""

Line = TypeVar("Line")


class Named(msgspec.Struct):
    """A line of a ledger: an event, and the version of the scene that it was measured under."""

    config: int
    event: wire.Event


class Acknowledged(msgspec.Struct):
    """A line of ``acknowledged.jsonl``: an event, and the stamp that it was acknowledged under."""

    epoch: int
    seq: int
    event: wire.Event


class Noting:
    """A link that notes what the backend acknowledges, before anybody acts on it."""

    def __init__(self, link: Link, outbox: Outbox, file: BinaryIO) -> None:
        self.address = link.address
        self._link = link
        self._outbox = outbox
        self._file = file

    def post(self, batch: wire.Batch) -> wire.Ack:
        ack = self._link.post(batch)
        if ack.status in ("stored", "duplicate") and ack.epoch == batch.epoch:
            numbered = enumerate(batch.events, batch.first_seq)
            lines = [Acknowledged(batch.epoch, seq, event) for seq, event in numbered]
            write(self._file, *(line for line in lines if line.seq <= ack.acked_seq))
            if ack.acked_seq > batch.last_seq:
                write(self._file, *self._behind(batch, ack))
        return ack

    def _behind(self, batch: wire.Batch, ack: wire.Ack) -> list[Acknowledged]:
        """What waits behind the batch and is acknowledged with it, as after an old image of the disk."""
        with contextlib.closing(sqlite3.connect(self._outbox.folder / "outbox.sqlite3")) as connection:
            rows = connection.execute(BEHIND, [batch.last_seq, ack.acked_seq]).fetchall()
        return [
            Acknowledged(batch.epoch, seq, msgspec.msgpack.decode(body, type=wire.Event))
            for seq, body in rows
        ]

    def close(self) -> None:
        self._link.close()


def write(file: BinaryIO, *lines: Named | Acknowledged) -> None:
    """In one call, so that a kill leaves whole lines."""
    file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    file.flush()


def scene_of(number: int) -> int:
    return 1 if number // STRETCH % 5 == 4 else 2


def behind_ms(number: int, catch_up_ms: int) -> int:
    """How far behind the time an event is, of a sensor that begins so far behind and catches up in leaps."""
    rounds, rest = divmod(number // LEAP_EVERY, len(LEAPS_MS))
    return max(0, catch_up_ms - rounds * sum(LEAPS_MS) - sum(LEAPS_MS[:rest]))


def measure(number: int, at: int, config: int, poison: int) -> wire.Event:
    """An event of each kind in turn, most of which can be told from all others by their number."""
    if poison and number % poison == poison - 1:
        return wire.Crossing(at, 77, "forward")  # no scene has this line
    match number % KINDS:
        case 0 | 1:
            return wire.Crossing(at, 0, "backward" if number % KINDS else "forward")
        case 2:
            return wire.Visit(at, 0, dwell_ms=number)
        case 3:
            return wire.Occupancy(at, 0, count=number % 10_000)
        case 4 if SCENES[config].slots:
            units = number % 10_000 if number // KINDS % 3 else 0
            return wire.Shelf(at, 0, units, confidence=number % 10_000 / 10_000)  # tells empty ones apart
        case _:
            observed = OBSERVED_MS[number // KINDS % len(OBSERVED_MS)]
            return wire.Heartbeat(at, observed, number, inferences=number, temperature_c=41.5, dnn_us=13_960)


def known(path: Path, kind: type[Line]) -> list[Line]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=kind) for line in lines]


def events(arguments: argparse.Namespace) -> Iterator[tuple[int, Named]]:
    """Number and event, each named in the ledger by now; first the last one that an earlier process named."""
    path = arguments.folder / f"ledger-{arguments.life}.jsonl"
    before = known(path, Named)
    if before:
        yield len(before) - 1, before[-1]
    if arguments.finish:
        return
    with path.open("ab") as ledger:
        for number in itertools.count(len(before)):
            time.sleep(arguments.pause)
            late_ms = arguments.late_ms + behind_ms(number, arguments.catch_up_ms)
            at = time.time_ns() // 1_000_000 - late_ms
            config = scene_of(number)
            event = measure(number + arguments.life * NUMBERS_OF_A_LIFE, at, config, arguments.poison)
            named = Named(config, event)
            write(ledger, named)
            yield number, named


def lose_patience() -> None:
    """What is right for a server that is away for hours is too long for a test."""
    uplink.TIMEOUT = httpx.Timeout(5.0)
    uplink.FIRST_BACK_OFF_S = 0.02
    uplink.LONGEST_BACK_OFF_S = 0.5
    uplink.LONGEST_RETRY_AFTER_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("outbox", type=Path)
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("sensor")
    parser.add_argument("--life", type=int, default=0)
    parser.add_argument("--finish", action="store_true")
    parser.add_argument("--pause", type=float, default=0.004)
    parser.add_argument("--late-ms", type=int, default=0)
    parser.add_argument("--catch-up-ms", type=int, default=0)
    parser.add_argument("--poison", type=int, default=0)
    arguments = parser.parse_args()
    lose_patience()
    clock.follow(arguments.folder / "clock")
    with (
        (arguments.folder / "acknowledged.jsonl").open("ab") as acknowledged,
        Outbox(arguments.outbox, arguments.sensor) as outbox,
    ):
        plain = open_link(arguments.url, Token(arguments.token, arguments.sensor))
        link = Noting(plain, outbox, acknowledged)
        with Delivery(outbox, link, interval=0.02, batch_events=25) as delivery:
            for number, one in events(arguments):
                source = f"generator {arguments.life}"
                outbox.append_once(source, number, one.event, model=MODEL, config=one.config)
                if delivery.failure:
                    raise delivery.failure


if __name__ == "__main__":
    main()
