"""``python -m sensor_sim deploy`` and ``slots``: model packages on the device, and which of them is active."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from sensor_sim.device.commands import Subparsers, add_uplink_arguments, conclude, open_delivery
from sensor_sim.device.deployment import Deployer
from sensor_sim.device.outbox import Outbox, OutboxError
from sensor_sim.device.slots import SLOTS, Journal, Request, Slots, Step, read_journal
from sensor_sim.device.uplink import RefusedError
from sensor_sim.documents import LARGEST_MODEL
from sensor_sim.errors import SensorError
from sensor_sim.output import say
from sensorapp import wire

Tell = Callable[[str, Step], None]
INTERRUPTED = 130

# The parts of a request but its rollout: kind, placeholder and what it is.
OPTIONS: dict[str, tuple[Callable[[str], object], str, str]] = {
    "slot": (int, "NUMBER", "slot number, 0 to 3"),
    "url": (str, "URL", "http or https address of the package, a zip, at most 320 characters"),
    "hash": (str, "HASH", "the package's SHA-256 in base64, 44 characters"),
    "size": (int, "BYTES", f"the package's size in bytes, 1 to {LARGEST_MODEL}"),
    "version": (str, "TEXT", "the package's version, 1 to 44 characters"),
}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "deploy",
        help="install a model package from an address",
        description="Install a model package from an address into a slot, which becomes the active one, and print "
        "each state of that as one JSON line, or send the states to a server and print totals. After a power loss "
        "or an interruption the same command goes on where it was. Stop the sensor that watches before its states "
        "are sent: they go through its outbox, and it runs the new model from its next start on.",
    )
    _add_folder(parser)
    for name, (kind, placeholder, meaning) in OPTIONS.items():
        parser.add_argument(f"--{name}", type=kind, required=True, metavar=placeholder, help=meaning)
    parser.add_argument(
        "--rollout", type=_rollout, required=True, metavar="NUMBER", help="number of the rollout"
    )
    add_uplink_arguments(parser, required=False)
    parser.set_defaults(run=partial(_explained, run))
    parser = subparsers.add_parser(
        "slots",
        help="show the model slots, or go back to another model",
        description="Print what each slot holds: its version, digest and when it was installed; an asterisk marks "
        "the active one, which watch --slots runs from its next start on.",
    )
    _add_folder(parser)
    parser.add_argument(
        "--activate", type=int, choices=range(SLOTS), metavar="NUMBER", help="make this slot the active one"
    )
    parser.set_defaults(run=partial(_explained, show))


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--slots", type=Path, required=True, metavar="DIR", help="folder of the four model slots"
    )


def _explained(command: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command; any fault is one sentence and the exit status 1."""
    try:
        return command(arguments)
    except (SensorError, RefusedError, OutboxError) as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
    except OSError as error:
        print(
            f"sensor_sim: {arguments.slots}: {error.strerror}; check the disk, then try again",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print("sensor_sim: interrupted; the same command goes on where it was", file=sys.stderr)
        return INTERRUPTED
    return 1


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the slot holds the package and all states are settled, else 1 with one sentence."""
    with ExitStack() as stack:
        slots = stack.enter_context(Slots(arguments.slots))
        if not (arguments.uplink or arguments.token_file or arguments.outbox):
            return _deploy(slots, arguments, _print)
        delivery = stack.enter_context(open_delivery(arguments))
        with delivery:
            status = _deploy(slots, arguments, partial(_keep, delivery.outbox))
        return conclude(delivery) or status


def show(arguments: argparse.Namespace) -> int:
    """Exit status 0, or 1 with one sentence if there are no slots or the one to activate holds no model."""
    journal = read_journal(arguments.slots)
    if journal is None:
        raise SensorError(
            f"{arguments.slots}: no model slots there; install a model with python -m sensor_sim deploy"
        )
    if arguments.activate is not None:
        with Slots(arguments.slots) as slots:
            slots.activate(arguments.activate)
            journal = slots.journal
    say("\n".join(_rows(journal)))
    return 0


def _rows(journal: Journal) -> list[str]:
    rows = []
    for number, slot in enumerate(journal.slots):
        mark = "*" if number == journal.active else " "
        held = "empty"
        if slot:
            moment = datetime.fromtimestamp(slot.updated / 1000, UTC)
            held = f"{slot.version}  {slot.digest}  {moment:%Y-%m-%d %H:%M:%S} UTC"
        rows.append(f"{mark} {number}  {held}")
    return rows


def check(url: str, path: Path) -> str:
    """The digest of a package that the chip can run; raises :class:`SensorError` for any other, with its ``url``."""
    from sensor_sim.network import Network
    from sensor_sim.package import load_package

    package = load_package(path, name=url)
    Network(package)
    return package.digest


def _deploy(slots: Slots, arguments: argparse.Namespace, tell: Tell) -> int:
    deployer = Deployer(slots, partial(check, arguments.url), tell)
    try:
        if not deployer.run(_request(arguments)):
            print(
                f"sensor_sim: rollout {arguments.rollout} is installed already, and slot {arguments.slot} is the active "
                "one now; give another --rollout to install the package again",
                file=sys.stderr,
            )
    except msgspec.ValidationError as error:
        deployer.refuse(arguments.rollout)
        field = str(error).rstrip("`").partition(" - at `$.")[2]
        given = getattr(arguments, field)
        print(f"sensor_sim: --{field}: {given!r} is not valid; give {OPTIONS[field][2]}", file=sys.stderr)
        return 1
    except SensorError as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
        return 1
    return 0


def _request(arguments: argparse.Namespace) -> Request:
    plain = {field: getattr(arguments, field) for field in Request.__struct_fields__}
    return msgspec.convert(plain, Request)


def _print(name: str, step: Step) -> None:
    """Whoever reads the states may have had enough, or no room; the deployment goes on."""
    try:
        say(wire.encode(step.event()))
    except SensorError as error:
        print(f"sensor_sim: {error}", file=sys.stderr)


def _keep(outbox: Outbox, name: str, step: Step) -> None:
    """With the model that was active then; no scene was measured, which is version 0."""
    outbox.append_once(name, step.number, step.event(), model=step.model, config=0)


def _rollout(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no rollout; give a number from 0 on")
    return int(text)
