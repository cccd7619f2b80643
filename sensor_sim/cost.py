"""How long the chip takes for one picture, from the network alone, so that the same video gives the same times.

Both times are proportional to a size, with factors fitted to what was published for the real chip:

- *DNN*: multiply-accumulate operations (MACs). SSD-MobileNetV2-FPNLite 320 takes 13.96 ms (third-party
  commissioning notes) and has 0.985 G, counted layer by layer from its published configuration; YOLOv8n at 640
  takes 58.79 ms (Ultralytics' documentation of its IMX500 export) and has 4.35 G (half its 8.7 GFLOPs). The least
  squares through the origin are 13.55 ms per G: 4.4 % below the first and 0.2 % above the second. The launch of the
  chip claimed 3.1 ms for MobileNetV1 (0.569 G), for which this says 7.7 ms; with that claim no line fits.
- *DSP*: the values that the heads hand over to what follows them, such as suppression. The same SSD takes 12.36 ms
  for 12 804 anchors with 91 scores and 4 sides each. With only one measurement there is no error to state.

The sum keeps below the frame times that go with published models' rates: 26.3 ms for the SSD at 26 frames per
second (38 ms).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from sensor_sim.graph import Graph, Node, elements

DNN_US_PER_MAC = 13.55e-6
DSP_US_PER_VALUE = 12_360 / (12_804 * (91 + 4))


class Cost(NamedTuple):
    """``macs`` of the network, and ``values`` that its heads give out."""

    macs: int
    values: int

    @property
    def dnn_us(self) -> int:
        return round(self.macs * DNN_US_PER_MAC)

    @property
    def dsp_us(self) -> int:
        return round(self.values * DSP_US_PER_VALUE)

    def rows(self) -> list[tuple[str, str]]:
        """The times for people."""
        return [
            ("DNN time", f"{self.dnn_us / 1000:.1f} ms ({self.macs / 1e6:.0f} million MACs)"),
            ("DSP time", f"{self.dsp_us / 1000:.1f} ms ({self.values} values)"),
        ]


def cost(graph: Graph) -> Cost:
    constants = graph.constants()
    macs = {i: n for i, node in enumerate(graph.nodes) if (n := _macs(graph, node, constants))}
    return Cost(sum(macs.values()), _head_values(graph, set(macs)))


def _head_values(graph: Graph, layers: set[int]) -> int:
    """Elements given out by the layers from which no other layer follows; ``layers`` are those with MACs."""
    leads_on: set[str] = set()  # what a later layer still works with
    values = 0
    for i in reversed(range(len(graph.nodes))):
        node = graph.nodes[i]
        goes_on = not leads_on.isdisjoint(node.outputs)
        if i in layers and not goes_on:
            values += sum(graph.elements(name) for name in node.outputs if name)
        if i in layers or goes_on:
            leads_on.update(name for name in node.inputs if name)
    return values


def _macs(graph: Graph, node: Node, constants: set[str]) -> int:
    count = COUNTS.get(node.operator)
    return count(graph, node) if count and not constants.issuperset(node.outputs) else 0


def _convolution(weights: int) -> Callable[[Graph, Node], int]:
    """Each result needs one MAC per weight of its channel; ``weights`` is their place among the inputs."""
    return lambda graph, node: (
        graph.elements(node.outputs[0]) * elements(graph.shapes[node.inputs[weights]][1:])
    )


def _transposed_convolution(graph: Graph, node: Node) -> int:
    """Each value read is spread over one MAC per weight of its channel."""
    return graph.elements(node.inputs[0]) * elements(graph.shapes[node.inputs[1]][1:])


def _product(graph: Graph, node: Node) -> int:
    """Each result is a sum over the inner dimension, the last one of the left matrix."""
    return graph.elements(node.outputs[0]) * graph.shapes[node.inputs[0]][-1]


def _gemm(graph: Graph, node: Node) -> int:
    """The left matrix may be transposed: its inner dimension is what the result's rows leave over."""
    return graph.elements(node.inputs[0]) * graph.shapes[node.outputs[0]][-1]


def _recurrent(graph: Graph, node: Node) -> int:
    """Each step of each sequence needs one MAC per weight of the input and of the state, in all directions."""
    read, *weights = node.inputs[:3]
    return elements(graph.shapes[read][:-1]) * sum(map(graph.elements, weights))


def _einsum(graph: Graph, node: Node) -> int:
    """For each combination of all indices one MAC less than there are factors; what ``...`` stands for is numbered."""
    sizes: dict[str | int, int] = {}
    for term, name in zip(node.equation.replace(" ", "").split("->")[0].split(","), node.inputs, strict=True):
        before, _, after = term.partition("...")
        shape = graph.shapes[name]
        indices = [*before, *range(len(shape) - len(before) - len(after)), *after]
        sizes |= {i: max(size, sizes.get(i, 0)) for i, size in zip(indices, shape, strict=True)}
    return math.prod(sizes.values()) * (len(node.inputs) - 1)


COUNTS: dict[str, Callable[[Graph, Node], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}
