"""The command line of the fleet."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from sensor_sim.device.commands import Subparsers
from sensor_sim.device.uplink import RefusedError
from sensor_sim.errors import SensorError
from sensor_sim.fleet import plan
from sensor_sim.fleet.plan import Plan, PlanError
from sensor_sim.fleet.sender import Clock, run


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "fleet",
        help="simulate a fleet of sensors",
        description=(
            "Simulate the sensors of several stores: send what is past, then each event when its time comes."
            " Prints its progress with the past as JSON lines."
        ),
    )
    parser.add_argument(
        "--url",
        required=True,
        help="address of the server; ws:// or wss:// keeps a stream open for each store",
    )
    parser.add_argument(
        "--plan",
        "--credentials",
        type=Path,
        metavar="FILE",
        required=True,
        help="the fleet's plan and tokens, as `manage.py load_demo` and `manage.py create_fleet` write it",
    )
    parser.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="FACTOR",
        help="let time pass so much faster, from now on; the server's INGEST_FUTURE_TOLERANCE_SECONDS must"
        " be larger than what that gets ahead, or it sets the events aside",
    )
    parser.set_defaults(run=fleet)


def speed(text: str) -> float:
    value = float(text)
    if not 1.0 <= value <= 10_000.0:
        raise argparse.ArgumentTypeError(f"{text}: it must be from 1 to 10000")
    return value


def fleet(arguments: argparse.Namespace) -> int:
    """Exit status 0 when told to stop, 1 when the server or the plan refuses."""
    status = 0
    try:
        asyncio.run(until_told(plan.read(arguments.plan), arguments.url, Clock(arguments.speed)))
    except* (RefusedError, PlanError, SensorError) as group:
        print(f"sensor_sim: {first(group)}", file=sys.stderr)
        status = 1
    return status


async def until_told(fleet_plan: Plan, url: str, clock: Clock) -> None:
    """Run the fleet until SIGTERM or SIGINT."""
    running = asyncio.ensure_future(run(fleet_plan, url, clock))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        if not running.cancelled():
            raise


def first(error: BaseException) -> BaseException:
    """One of the errors in a group: they say the same of each store."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
