"""A program: a sensor that measures and sends for ever, and its generator, which keeps a ledger of its own.

The ledger names each event before the outbox has it. A generator that was killed in between gives the outbox
its last event again, so that what the ledger names is exactly what the outbox was given, whenever either dies.
``acknowledged.jsonl`` beside it names what the backend has said it has. With ``--finish`` it measures
nothing more and ends when all is settled. A new life has a ledger of its own: the disk of an earlier one is lost.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

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


class Noting:
    """A link that notes what the backend acknowledges, before anybody acts on it."""

    def __init__(self, link: Link, file: BinaryIO) -> None:
        self.address = link.address
        self._link = link
        self._file = file

    def post(self, batch: wire.Batch) -> wire.Ack:
        ack = self._link.post(batch)
        if ack.status in ("stored", "duplicate") and ack.epoch == batch.epoch:
            write(self._file, *batch.events[: max(0, ack.acked_seq + 1 - batch.first_seq)])
        return ack

    def close(self) -> None:
        self._link.close()


def write(file: BinaryIO, *events: wire.Event) -> None:
    """In one call, so that a kill leaves whole lines."""
    file.write(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
    file.flush()


def measure(number: int, at: int, poison: int) -> wire.Event:
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
        case 4:
            return wire.Shelf(at, 0, units=number % 10_000, confidence=0.5)
        case _:
            return wire.Heartbeat(at, 50, frames=number, inferences=number, temperature_c=41.5, dnn_us=13_960)


def known(ledger: Path) -> list[wire.Event]:
    lines = ledger.read_bytes().splitlines() if ledger.exists() else []
    return [msgspec.json.decode(line, type=wire.Event) for line in lines]


def events(arguments: argparse.Namespace) -> Iterator[tuple[int, wire.Event]]:
    """Number and event, each named in the ledger by now; first the last one that an earlier process named."""
    path = arguments.folder / f"ledger-{arguments.life}.jsonl"
    before = known(path)
    if before:
        yield len(before) - 1, before[-1]
    if arguments.finish:
        return
    with path.open("ab") as ledger:
        for number in itertools.count(len(before)):
            time.sleep(arguments.pause)
            at = time.time_ns() // 1_000_000 - arguments.late_ms
            event = measure(number + arguments.life * NUMBERS_OF_A_LIFE, at, arguments.poison)
            write(ledger, event)
            yield number, event


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
    parser.add_argument("--poison", type=int, default=0)
    arguments = parser.parse_args()
    lose_patience()
    clock.follow(arguments.folder / "clock")
    with (
        (arguments.folder / "acknowledged.jsonl").open("ab") as acknowledged,
        Outbox(arguments.outbox, arguments.sensor) as outbox,
    ):
        link = Noting(open_link(arguments.url, Token(arguments.token, arguments.sensor)), acknowledged)
        with Delivery(outbox, link, interval=0.02, batch_events=25) as delivery:
            for number, event in events(arguments):
                outbox.append_once(f"generator {arguments.life}", number, event, model=MODEL, config=1)
                if delivery.failure:
                    raise delivery.failure


if __name__ == "__main__":
    main()
