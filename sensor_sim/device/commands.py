"""The command line of the device side."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Protocol

from sensor_sim.device.outbox import Outbox, OutboxError
from sensor_sim.device.uplink import Delivery, RefusedError, Totals, Uplink, read_token
from sensorapp import wire

LIVE_INTERVAL_S = 0.2
PATIENCE_AFTER_STOP_S = 5.0


class Subparsers(Protocol):
    """What ``ArgumentParser.add_subparsers`` returns; argparse names no public type for it."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser: ...


def add_uplink_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """``--uplink``, ``--token-file`` and ``--outbox``, for every command that sends."""
    group = parser.add_argument_group("sending")
    group.add_argument("--uplink", metavar="URL", required=required, help="address of the server")
    group.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        required=required,
        help="file that holds the sensor's token",
    )
    group.add_argument(
        "--outbox",
        type=Path,
        metavar="DIR",
        required=required,
        help="folder in which events wait until the server has them"
        + ("" if required else " (default: beside the token file, named like the sensor)"),
    )


@contextmanager
def open_delivery(arguments: argparse.Namespace, interval: float = 1.0) -> Iterator[Delivery]:
    """The outbox and uplink that the arguments name; raises :class:`RefusedError` or :class:`OutboxError`."""
    if arguments.uplink is None or arguments.token_file is None:
        raise RefusedError("sending needs both --uplink and --token-file")
    token = read_token(arguments.token_file)
    uplink = Uplink(arguments.uplink, token)
    folder = arguments.outbox or arguments.token_file.with_name(f"{token.public_id}.outbox")
    try:
        with Outbox(folder, token.public_id) as outbox:
            yield Delivery(outbox, uplink, interval=interval)
    finally:
        uplink.close()


def deliver(
    events: Iterable[wire.Event],
    model: str,
    config: int,
    arguments: argparse.Namespace,
    stop: threading.Event,
) -> Totals:
    """Keep events as they come and send them meanwhile; returns when all are settled.

    After ``stop`` it waits for the server no longer than a few seconds: what is left stays in the outbox.
    """
    with open_delivery(arguments, LIVE_INTERVAL_S) as delivery:
        with delivery:
            for event in events:
                delivery.outbox.append([event], model=model, config=config)
                if delivery.failure:
                    raise delivery.failure
            if stop.is_set():
                timer = threading.Timer(PATIENCE_AFTER_STOP_S, delivery.stop)
                timer.daemon = True
                timer.start()
        return delivery.totals


def print_totals(totals: Totals) -> None:
    print(json.dumps(asdict(totals)), flush=True)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "send",
        help="send what an outbox holds",
        description="Send what an outbox holds, wait until all of it is settled, and print totals as one JSON line.",
    )
    add_uplink_arguments(parser, required=True)
    parser.set_defaults(run=send)


def send(arguments: argparse.Namespace) -> int:
    """Exit status 0 when all is settled, 1 when the server or the disk refuses, 130 when interrupted."""
    try:
        with open_delivery(arguments) as delivery:

            def stop(number: int, frame: FrameType | None) -> None:
                delivery.stop()

            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)
            totals = delivery.drain()
            print_totals(totals)
            return 130 if totals.pending else 0
    except (RefusedError, OutboxError) as error:
        print(error, file=sys.stderr)
        return 1
