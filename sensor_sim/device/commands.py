"""The command line of the device side."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from sensor_sim.device.outbox import Outbox, OutboxError
from sensor_sim.device.stream import StreamUplink
from sensor_sim.device.uplink import Delivery, Link, RefusedError, Token, Uplink, read_token
from sensor_sim.errors import SensorError
from sensor_sim.output import say
from sensor_sim.stop import Stop, on_signals
from sensorapp import wire

PATIENCE_AFTER_STOP_S = 5.0


class Subparsers(Protocol):
    """What ``ArgumentParser.add_subparsers`` returns; argparse names no public type for it."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser: ...


def add_uplink_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """``--uplink``, ``--token-file`` and ``--outbox``, for every command that sends."""
    group = parser.add_argument_group("sending")
    group.add_argument(
        "--uplink",
        metavar="URL",
        required=required,
        help="address of the server; ws:// or wss:// keeps one stream open",
    )
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
    uplink = open_link(arguments.uplink, token)
    folder = arguments.outbox or arguments.token_file.with_name(f"{token.public_id}.outbox")
    try:
        with Outbox(folder, token.public_id) as outbox:
            yield Delivery(outbox, uplink, interval=interval)
    finally:
        uplink.close()


def open_link(url: str, token: Token) -> Link:
    """A stream for ``ws://`` and ``wss://``, else a request for each batch."""
    return (StreamUplink if url.startswith(("ws://", "wss://")) else Uplink)(url, token)


def deliver(
    events: Iterable[wire.Event],
    model: str,
    config: int,
    interval: float,
    arguments: argparse.Namespace,
    stop: Stop,
) -> int:
    """Keep events as they come, send them meanwhile every ``interval`` seconds, and print totals at the end.

    Returns the exit status when all are settled. A server that is away or refuses keeps nothing from being
    measured; a refusal that still holds at the end is raised as :class:`RefusedError`. After ``stop`` it
    waits for the server no longer than a few seconds: what is left stays in the outbox.
    """
    with open_delivery(arguments, interval) as delivery:

        def lose_patience() -> None:
            stop.wait()
            time.sleep(PATIENCE_AFTER_STOP_S)
            delivery.stop()

        threading.Thread(target=lose_patience, name="patience", daemon=True).start()
        with delivery:
            for event in events:
                delivery.outbox.append([event], model=model, config=config)
                if delivery.failure:
                    raise delivery.failure
        return conclude(delivery)


def conclude(delivery: Delivery) -> int:
    """Print totals as one JSON line; exit status 1, with a sentence, if the server refused events for good."""
    totals = delivery.totals
    say(json.dumps(asdict(totals)))
    if totals.invalid:
        print(
            f"sensor_sim: the server refused {totals.invalid} events as invalid;"
            f" see which and why in {delivery.outbox.dead_letters}",
            file=sys.stderr,
        )
    return 1 if totals.invalid else 0


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "send",
        help="send what an outbox holds",
        description="Send what an outbox holds, wait until all of it is settled, and print totals as one JSON line.",
    )
    add_uplink_arguments(parser, required=True)
    parser.set_defaults(run=send)


def send(arguments: argparse.Namespace) -> int:
    """Exit status 0 when all is settled, 1 when the server or disk refuses any of it, 130 when interrupted."""
    try:
        _check_folder(arguments.outbox)
        with open_delivery(arguments) as delivery:
            on_signals(delivery.stop)
            totals = delivery.drain()
            return conclude(delivery) or (130 if totals.pending else 0)
    except (SensorError, RefusedError, OutboxError) as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
        return 1


def _check_folder(outbox: Path) -> None:
    """Sending what is in an outbox makes none."""
    try:
        reason = None if outbox.is_dir() else "there is none"
    except OSError as error:
        reason = error.strerror
    if reason:
        raise RefusedError(f"outbox {outbox}: {reason}; check the path of the folder")
