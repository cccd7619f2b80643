"""The chip's memory: what a network takes of its 8.00 MiB.

The report has the rows of the one that the chip's converter writes. All values are held with 8 bits each,
also those of a float network, as the converter quantises it. *Runtime* is the program that runs the network
and its working memory; *Model* are the weights that are read, also those that follow from others alone.

Checked against two reports of the converter that were published, read as MiB: a 224 x 224 classifier of
MobileNetV2's size (runtime 1.60, model 3.51) and YOLOv8n at 640 x 640 (runtime 4.48). Here the runtime of the
first is 5 % more, that of the second 2 % less; the model of the first is 5 % less, as the converter also keeps
how each channel is scaled.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from sensor_sim.errors import SensorError
from sensor_sim.graph import Graph, Node

KIB, MIB = 2**10, 2**20
AVAILABLE = 8 * MIB
RESERVED = KIB
# The mean of what the two published runtimes have beyond their working memory: 0.02 and 0.18 MiB.
PROGRAM = 102 * KIB

# Operators whose result, with 8 bits, is what they read under another name.
VIEWS = {
    *("Cast", "DequantizeLinear", "Dropout", "Flatten", "Identity"),
    *("QuantizeLinear", "Reshape", "Squeeze", "Unsqueeze"),
}
# Operators that work value by value: they write over what they read.
IN_PLACE = {
    *("Abs", "Add", "BatchNormalization", "Ceil", "Clip", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu"),
    *("HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow"),
    *("Relu", "Round", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh", "Where"),
}


@dataclass(frozen=True)
class MemoryReport:
    """Bytes of the chip's memory; ``input`` is the part of ``working`` that keeps the input tensor."""

    working: int
    input: int
    model: int
    program: int = PROGRAM
    reserved: int = RESERVED
    available: int = AVAILABLE

    @property
    def runtime(self) -> int:
        return self.program + self.working

    @property
    def total(self) -> int:
        return self.runtime + self.model + self.reserved

    @property
    def fits(self) -> bool:
        return self.total <= self.available

    def check(self) -> None:
        """Raises :class:`SensorError` with the figures if the chip cannot hold the network."""
        if not self.fits:
            raise SensorError(
                f"model.onnx: the network needs {_mib(self.total)} of the chip's {_mib(self.available)} "
                f"(runtime {_mib(self.runtime)}, model {_mib(self.model)}); "
                "take a smaller input or a smaller network"
            )

    def rows(self) -> list[tuple[str, str]]:
        """The report for people."""
        used = f"{100 * self.total / self.available:.0f} %"
        return [
            ("Runtime", _mib(self.runtime)),
            ("  program", _mib(self.program)),
            ("  working memory", _mib(self.working)),
            ("  of it input persistence", _mib(self.input)),
            ("Model", _mib(self.model)),
            ("Reserved", f"{self.reserved / KIB:.0f} KiB"),
            ("Total", f"{_mib(self.total)} of {_mib(self.available)}, {used}"),
            ("Fit in chip", "yes" if self.fits else "no"),
        ]

    def plain(self) -> dict[str, Any]:
        """The report for programs."""
        return asdict(self) | {"runtime": self.runtime, "total": self.total, "fits": self.fits}


def memory_report(graph: Graph) -> MemoryReport:
    return MemoryReport(
        working=_peak(_without_views(graph)),
        input=graph.elements(graph.input),
        model=sum(map(graph.elements, _kept(graph))),
    )


def _kept(graph: Graph) -> set[str]:
    """The constants that the chip reads, however they came about, each in the form in which it is stored: of a
    view, what it is a view of."""
    constants, kept = graph.constants(), set(graph.outputs)
    for node in reversed(graph.nodes):
        if not constants.issuperset(node.outputs):
            kept.update(node.inputs)
        elif node.outputs[0] in kept and _is_view_of_weights(graph, node):
            kept.remove(node.outputs[0])
            kept.update(node.inputs)
    return (kept & constants).difference(graph.instructions, [""])


def _is_view_of_weights(graph: Graph, node: Node) -> bool:
    return node.operator in VIEWS and graph.instructions.isdisjoint((node.inputs[0], node.outputs[0]))


def _without_views(graph: Graph) -> Graph:
    """The same graph with one name for the same values."""
    names: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        inputs = [names.get(name, name) for name in node.inputs]
        if node.operator in VIEWS:
            names[node.outputs[0]] = inputs[0]
        else:
            nodes.append(node._replace(inputs=inputs))
    return replace(graph, nodes=nodes, outputs=[names.get(name, name) for name in graph.outputs])


def _peak(graph: Graph) -> int:
    """The most bytes that are alive at once while the operators run one after the other.

    The input tensor stays until the end, as it can be read out beside the result.
    """
    last_use = _last_use(graph)
    constants = graph.constants()
    alive = {graph.input: graph.elements(graph.input)}
    peak = alive[graph.input]
    for i, node in enumerate(graph.nodes):
        made = {name: graph.elements(name) for name in node.outputs if name not in constants}
        done = {name: alive[name] for name in node.inputs if name in alive and last_use[name] == i}
        peak = max(peak, sum(alive.values()) + sum(made.values()) - _reused(node, made, done))
        alive = {name: size for name, size in (alive | made).items() if last_use.get(name, i) > i}
    return peak


def _last_use(graph: Graph) -> dict[str, int]:
    """The number of the last operator that reads a tensor, beyond all of them for what stays to the end."""
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    return last | dict.fromkeys((graph.input, *graph.outputs), len(graph.nodes))


def _reused(node: Node, made: dict[str, int], done: dict[str, int]) -> int:
    """Bytes of the result that lie where an input was."""
    if node.operator not in IN_PLACE or len(made) != 1:
        return 0
    [size] = made.values()
    return size if size in done.values() else 0


def _mib(size: int) -> str:
    return f"{size / MIB:.2f} MiB"
