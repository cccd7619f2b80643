"""``python -m sensor_sim report``: what a model package would take of the chip's memory and time."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from sensor_sim.device.commands import Subparsers
from sensor_sim.errors import SensorError
from sensor_sim.output import say
from sensor_sim.package import load_package


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "report",
        help="what a model package takes of the chip's memory and time",
        description="Print what a model package takes of the chip's memory and time. "
        "Exit status 1 if the chip cannot hold it or it does not do what its card says.",
    )
    parser.add_argument(
        "package", type=Path, metavar="PACKAGE", help="folder or zip with model.onnx and model.json"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="an ONNX file that stands in for the package's model.onnx",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, sizes in bytes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from sensor_sim.cost import cost
    from sensor_sim.memory import memory_report
    from sensor_sim.network import examine, try_out

    try:
        package = load_package(arguments.package, arguments.weights)
        with package.named():
            graph = examine(package)
            memory, time = memory_report(graph), cost(graph)
        if arguments.json:
            plain = memory.plain() | {"macs": time.macs, "dnn_us": time.dnn_us, "dsp_us": time.dsp_us}
            say(json.dumps(plain))
        else:
            rows = [*memory.rows(), *time.rows()]
            say("\n".join(f"{name:<28}{value}" for name, value in rows))
        with package.named():
            memory.check()
            try_out(package, graph)
    except SensorError as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
        return 1
    return 0
