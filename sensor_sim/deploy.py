"""``python -m sensor_sim deploy``: a model package from an address into a slot of the device."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from sensor_sim.device.commands import Subparsers, add_uplink_arguments, conclude, open_delivery
from sensor_sim.device.deployment import Deployer
from sensor_sim.device.outbox import Outbox, OutboxError
from sensor_sim.device.slots import Request, Slots, Step
from sensor_sim.device.uplink import RefusedError
from sensor_sim.errors import SensorError
from sensorapp import wire

Tell = Callable[[str, Step], None]


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "deploy",
        help="install a model package from an address",
        description="Install a model package from an address into a slot, which becomes the active one, and print "
        "each state of that as one JSON line, or send the states to a server and print totals. After a power loss "
        "the same command goes on where it was.",
    )
    parser.add_argument(
        "--slots", type=Path, required=True, metavar="DIR", help="folder of the four model slots"
    )
    parser.add_argument("--slot", type=int, required=True, metavar="NUMBER", help="which slot: 0 to 3")
    parser.add_argument("--url", required=True, metavar="URL", help="address of the package, a zip")
    parser.add_argument("--hash", required=True, metavar="HASH", help="its SHA-256 in base64")
    parser.add_argument("--size", type=int, required=True, metavar="BYTES", help="its size")
    parser.add_argument("--version", required=True, metavar="TEXT", help="its version, at most 44 characters")
    parser.add_argument(
        "--rollout", type=_rollout, required=True, metavar="NUMBER", help="number of the rollout"
    )
    add_uplink_arguments(parser, required=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the slot holds the package and all states are settled, else 1 with one sentence."""
    try:
        with ExitStack() as stack:
            slots = stack.enter_context(Slots(arguments.slots))
            if not (arguments.uplink or arguments.token_file or arguments.outbox):
                return _deploy(slots, arguments, _print)
            delivery = stack.enter_context(open_delivery(arguments))
            with delivery:
                status = _deploy(slots, arguments, partial(_keep, delivery.outbox))
            return conclude(delivery) or status
    except (SensorError, RefusedError, OutboxError) as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
    except OSError as error:
        print(
            f"sensor_sim: {arguments.slots}: {error.strerror}; check the disk, then deploy again",
            file=sys.stderr,
        )
    return 1


def check(path: Path) -> str:
    """The digest of a package that the chip can run; raises :class:`SensorError` for any other."""
    from sensor_sim.network import Network
    from sensor_sim.package import load_package

    package = load_package(path)
    Network(package)
    return package.digest


def _deploy(slots: Slots, arguments: argparse.Namespace, tell: Tell) -> int:
    deployer = Deployer(slots, check, tell)
    try:
        deployer.run(_request(arguments))
    except msgspec.ValidationError as error:
        deployer.refuse(arguments.rollout)
        reason, _, field = str(error).partition(" - at `$.")
        print(f"sensor_sim: --{field.rstrip('`')}: {reason}", file=sys.stderr)
        return 1
    except SensorError as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
        return 1
    return 0


def _request(arguments: argparse.Namespace) -> Request:
    plain = {field: getattr(arguments, field) for field in Request.__struct_fields__}
    return msgspec.convert(plain, Request)


def _print(name: str, step: Step) -> None:
    sys.stdout.buffer.write(wire.encode(step.event()) + b"\n")
    sys.stdout.buffer.flush()


def _keep(outbox: Outbox, name: str, step: Step) -> None:
    """With the model that was active then; no scene was measured, which is version 0."""
    outbox.append_once(name, step.number, step.event(), model=step.model, config=0)


def _rollout(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no rollout; give a number from 0 on")
    return int(text)
