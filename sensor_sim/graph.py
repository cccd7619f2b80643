"""What is inside ``model.onnx``: its operators, its weights and the sizes between them.

The ``onnx`` library reads the file, as ONNX Runtime tells of neither operators nor weights. Only what the
chip could run is let through: operators of ONNX itself without control flow, weights that are all in the file and
finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper

from sensor_sim.errors import SensorError

Shape = tuple[int, ...]
Measure = Callable[[bytes], tuple[Shape, Sequence[Shape]]]
STANDARD = ("", "ai.onnx")
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
# The converter turns sizes, indices and switches into instructions; they are no weights.
NO_WEIGHTS = (TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING)
BODIES = (onnx.defs.OpSchema.AttrType.GRAPH, onnx.defs.OpSchema.AttrType.GRAPHS)


class Node(NamedTuple):
    """One operator; optional inputs and outputs that are left out have the name ``""``.

    ``equation`` says what an ``Einsum`` multiplies.
    """

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    equation: str = ""


@dataclass(frozen=True)
class Graph:
    """``nodes`` are in the order in which they run; ``shapes`` holds the weights' as well.

    ``instructions`` are the values that the converter turns into such, none of which is a weight.
    """

    nodes: Sequence[Node]
    input: str
    outputs: Sequence[str]
    shapes: Mapping[str, Shape]
    instructions: Set[str] = frozenset()

    def elements(self, name: str) -> int:
        return elements(self.shapes[name])

    def constants(self) -> set[str]:
        """The names of weights and of all that follows from them alone: it is worked out beforehand."""
        known = set(self.shapes) - {self.input}
        for node in self.nodes:
            known.difference_update(node.outputs)
        known.add("")
        for node in self.nodes:
            if known.issuperset(node.inputs):
                known.update(node.outputs)
        return known


def elements(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def read_model(weights: bytes) -> onnx.ModelProto:
    """The network as ``onnx`` has it; raises :class:`SensorError` for one that the chip could not run."""
    try:
        model = onnx.load_model_from_string(weights)
    except DecodeError:
        raise SensorError(
            "model.onnx: this is no ONNX file, or it is cut off; export or copy it again"
        ) from None
    if not model.graph.node:
        raise SensorError("model.onnx: the file holds no network; export or copy it again")
    if any(isinstance(name, bytes) for name in _names(model.graph)):  # what protobuf cannot read as text
        raise SensorError("model.onnx: the file is damaged, a name in it is no text; export or copy it again")
    for node in model.graph.node:
        _check_operator(node)
    for name in _sparse(model.graph):
        raise SensorError(
            f"model.onnx: the weights {name!r} are stored sparsely, and the chip reads dense ones; "
            "export the network without sparse tensors"
        )
    for name, tensor in _tensors(model.graph):
        _check_tensor(name, tensor)
    return model


def read_graph(model: onnx.ModelProto, measure: Measure) -> Graph:
    """The operators and sizes of ``model``.

    ``measure`` runs a model whose outputs are shapes once, and gives the shape of its input and those: many
    networks work their sizes out while they run, and what depends on the picture is as large as it was on that
    run.
    """
    names = [name for node in model.graph.node for name in node.output if name]
    of_input, measured = measure(_giving_shapes(model, names))  # refuses a network without an input
    stored = {name: Shape(tensor.dims) for name, tensor in _tensors(model.graph)}
    own = {tensor.name for tensor in model.graph.initializer}
    input_name = next(value.name for value in model.graph.input if value.name not in own)
    return Graph(
        [_node(node) for node in model.graph.node],
        input_name,
        [output.name for output in model.graph.output],
        stored | {input_name: of_input} | dict(zip(names, measured, strict=True)),
        {name for name, kind in _types(model) if kind in NO_WEIGHTS},
    )


def _types(model: onnx.ModelProto) -> Iterator[tuple[str, int]]:
    """The kind of numbers that each constant and each result consists of."""
    yield from ((tensor.name, tensor.data_type) for tensor in model.graph.initializer)
    try:
        found = onnx.shape_inference.infer_shapes(model).graph
    except onnx.shape_inference.InferenceError:
        raise SensorError(
            "model.onnx: the operators do not fit one another, the file may be damaged; export or copy it again"
        ) from None
    yield from (
        (value.name, value.type.tensor_type.elem_type) for value in (*found.value_info, *found.output)
    )


def _node(node: onnx.NodeProto) -> Node:
    equation = next((one.s.decode() for one in node.attribute if one.name == "equation"), "")
    return Node(node.op_type, tuple(node.input), tuple(node.output), equation)


def _giving_shapes(model: onnx.ModelProto, names: Sequence[str]) -> bytes:
    """The same network with the shapes of these results as its outputs, so that no result has to be kept."""
    measuring = onnx.ModelProto()
    measuring.CopyFrom(model)
    del measuring.graph.output[:]
    for name in names:
        shape = f"shape of {name}"
        measuring.graph.node.append(helper.make_node("Shape", [name], [shape]))
        measuring.graph.output.append(onnx.ValueInfoProto(name=shape))
    return bytes(measuring.SerializeToString())


def _names(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
    yield from (part.name for part in (*graph.input, *graph.output))
    yield from (name for name, _ in _tensors(graph))


def _attributes(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.AttributeProto]]:
    """Of all nodes, by the name that a node's result is used under."""
    for node in graph.node:
        for attribute in node.attribute:
            yield node.output[0] if node.output else node.name, attribute


def _tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """All constants of a graph, by the name they are used under."""
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    for name, attribute in _attributes(graph):
        if attribute.HasField("t"):
            yield name, attribute.t
        # The operator Constant may hold its values without a tensor.
        if attribute.name == "value_float":
            yield name, _tensor(attribute.f)
        if attribute.name == "value_floats":
            yield name, _tensor(attribute.floats)


def _tensor(values: float | Sequence[float]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, np.float32))


def _sparse(graph: onnx.GraphProto) -> Iterator[str]:
    """The names of what is stored without its zeros."""
    yield from (sparse.values.name for sparse in graph.sparse_initializer)
    yield from (name for name, attribute in _attributes(graph) if attribute.HasField("sparse_tensor"))


def _check_operator(node: onnx.NodeProto) -> None:
    if node.domain not in STANDARD or not onnx.defs.has(node.op_type):
        domain = f" of the domain {node.domain!r}" if node.domain not in STANDARD else ""
        raise SensorError(
            f"model.onnx: the operator {node.op_type!r}{domain} is none of ONNX's own, and the chip runs no "
            "other; export the network without custom operators"
        )
    if not any(node.output):
        raise SensorError(
            f"model.onnx: nothing comes out of an operator {node.op_type!r}, the file may be damaged; "
            "export or copy it again"
        )
    schema = onnx.defs.get_schema(node.op_type)
    if any(attribute.type in BODIES for attribute in schema.attributes.values()):
        raise SensorError(
            f"model.onnx: the operator {node.op_type!r} decides while it runs which others run, and the chip runs the "
            "same for each picture; export the network without control flow (If, Loop, Scan)"
        )
    if not all(map(_is_tensor, schema.outputs)):
        raise SensorError(
            f"model.onnx: the operator {node.op_type!r} makes a sequence or an optional value, and the chip works "
            "with tensors alone; export the network without those"
        )


def _is_tensor(output: onnx.defs.OpSchema.FormalParameter) -> bool:
    """Whether it can be one."""
    return any(kind.startswith("tensor(") for kind in output.types)


def _check_tensor(name: str, tensor: onnx.TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise SensorError(
            f"model.onnx: the weights {name!r} lie in another file, and a package has none; "
            "save the network with its weights inside"
        )
    try:
        values = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, NotImplementedError):
        raise SensorError(
            f"model.onnx: the weights {name!r} do not have the size they state; export the network again"
        ) from None
    if tensor.data_type in FLOATS and not np.isfinite(values).all():
        raise SensorError(
            f"model.onnx: the weights {name!r} hold values that are not finite (NaN or infinite); "
            "export the network from a checkpoint before training went wrong"
        )
