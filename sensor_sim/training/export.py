"""From PyTorch to ONNX, with what turns cells into boxes inside the graph.

The outputs are those of the layout ``imx500_pp``: boxes (N x 4: top, left, bottom, right in fractions of the
tensor), scores (N), classes (N), count (1). Boxes that overlap are thinned out whatever their classes are.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sensor_sim.training.detector import Detector
from sensor_sim.training.targets import STRIDE

OPSET = 17
IR_VERSION = 8
INPUT, CELLS = "image", "cells"
# Below this score nothing is given out; tracking makes use of low scores, but not of lower ones.
LEAST_SCORE = 0.05


def export_cells(network: Detector, width: int, height: int) -> onnx.ModelProto:
    """The network alone: ``image`` (1 x 3 x height x width, float, 0 to 1) → ``cells``."""
    buffer = io.BytesIO()
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, 3, height, width),),
        buffer,
        input_names=[INPUT],
        output_names=[CELLS],
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load_model_from_string(buffer.getvalue())
    model.ir_version = IR_VERSION
    return model


class Thinning(NamedTuple):
    """At most ``most`` boxes are given out, and those that overlap more than ``overlap`` are one thing.

    With a ``mark``, squares around the cells are compared instead of the boxes, for a thing's cell lies in its
    mark: their sides are this share of the box's shorter side.
    """

    most: int
    overlap: float
    mark: float | None = None


def add_boxes(
    model: onnx.ModelProto, classes: int, width: int, height: int, thinning: Thinning
) -> onnx.ModelProto:
    """The network with its cells turned into boxes; changes ``model``."""
    graph, most = model.graph, thinning.most
    graph.node.extend(_nodes() if thinning.mark is None else _nodes(_marks(), "all_marks"))
    constants = _constants(classes, width, height, thinning)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    del graph.output[:]
    shapes = {"boxes": [most, 4], "scores": [most], "classes": [most], "count": [1]}
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()
    )
    return model


def take_bytes(model: onnx.ModelProto, width: int, height: int) -> onnx.ModelProto:
    """Let the picture come as it is, 1 x height x width x 3 values of 0 to 255; changes ``model``.

    A network in integers begins with a step that quantises the picture, which the bytes already are; one in
    floats gets a division by 255.
    """
    graph = model.graph
    first = next(node for node in graph.node if INPUT in node.input)
    if first.op_type == "QuantizeLinear":
        _take_quantised(graph, first)
        nodes = [helper.make_node("Transpose", ["bytes"], [first.output[0]], perm=[0, 3, 1, 2])]
        graph.node.remove(first)
    else:
        graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), "white"))
        nodes = [
            helper.make_node("Transpose", ["bytes"], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Cast", ["planes"], ["values"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["values", "white"], [INPUT]),
        ]
    others = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.node.extend([*nodes, *others])
    graph.input.append(helper.make_tensor_value_info("bytes", TensorProto.UINT8, [1, height, width, 3]))
    return model


def _take_quantised(graph: onnx.GraphProto, first: onnx.NodeProto) -> None:
    """Make the first step's scale say that 255 is 1."""
    exact = {first.input[1]: np.float32(1 / 255), first.input[2]: np.uint8(0)}
    for initializer in graph.initializer:
        if initializer.name in exact:
            initializer.CopyFrom(
                numpy_helper.from_array(np.asarray(exact[initializer.name]), initializer.name)
            )


def _marks() -> list[onnx.NodeProto]:
    """Distances → squares around the cells, as ``all_marks`` (A x 4)."""
    n = helper.make_node
    return [
        n("MatMul", ["opposite", "distances"], ["both_sides"]),  # 2 x A
        n("ReduceMin", ["both_sides"], ["shorter"], axes=[0], keepdims=1),
        n("Mul", ["shorter", "mark_reach"], ["mark_offsets"]),
        n("Add", ["mark_offsets", "centres"], ["mark_sides"]),  # 4 x A
        n("Transpose", ["mark_sides"], ["all_marks"], perm=[1, 0]),
    ]


def _nodes(marks: Sequence[onnx.NodeProto] = (), compared: str = "all_boxes") -> list[onnx.NodeProto]:
    """Cells → the four outputs; A is the number of cells, N that of boxes given out."""
    n = helper.make_node
    return [
        n("Reshape", [CELLS, "table"], ["flat"]),  # classes + 4 x A
        n("Split", ["flat", "parts"], ["logits", "logarithms"], axis=0),
        n("Sigmoid", ["logits"], ["all_scores"]),
        n("ReduceMax", ["all_scores"], ["best"], axes=[0], keepdims=0),  # A
        n("ArgMax", ["all_scores"], ["best_class"], axis=0, keepdims=0),
        n("Exp", ["logarithms"], ["distances"]),  # in cells, up, left, down, right
        n("Mul", ["distances", "reach"], ["offsets"]),
        n("Add", ["offsets", "centres"], ["sides"]),  # 4 x A
        n("Clip", ["sides", "zero", "one"], ["cut"]),
        n("Transpose", ["cut"], ["all_boxes"], perm=[1, 0]),
        *marks,
        n("Unsqueeze", [compared, "first"], ["nms_boxes"]),  # 1 x A x 4
        n("Unsqueeze", ["best", "first_two"], ["nms_scores"]),  # 1 x 1 x A
        n("NonMaxSuppression", ["nms_boxes", "nms_scores", "most", "overlap", "least_score"], ["selected"]),
        n("Slice", ["selected", "two", "three", "second"], ["cells_found"]),  # k x 1, the best first
        n("Pad", ["cells_found", "pads", "none"], ["cells_and_none"]),  # k + N x 1
        n("Slice", ["cells_and_none", "start", "most", "first"], ["cells_cut"]),
        n("Reshape", ["cells_cut", "most"], ["chosen"]),  # N; -1 where there is nothing
        n("GreaterOrEqual", ["chosen", "start_scalar"], ["there"]),
        n("Cast", ["there"], ["mask"], to=TensorProto.FLOAT),
        n("Max", ["chosen", "start_scalar"], ["cell"]),
        n("Gather", ["all_boxes", "cell"], ["boxes_or_first"], axis=0),
        n("Gather", ["best", "cell"], ["scores_or_first"], axis=0),
        n("Gather", ["best_class", "cell"], ["class_numbers"], axis=0),
        n("Cast", ["class_numbers"], ["classes_or_first"], to=TensorProto.FLOAT),
        n("Unsqueeze", ["mask", "second"], ["mask_column"]),
        n("Mul", ["boxes_or_first", "mask_column"], ["boxes"]),
        n("Mul", ["scores_or_first", "mask"], ["scores"]),
        n("Mul", ["classes_or_first", "mask"], ["classes"]),
        n("ReduceSum", ["mask", "first"], ["count"], keepdims=1),
    ]


def _constants(classes: int, width: int, height: int, thinning: Thinning) -> dict[str, NDArray[Any]]:
    most, overlap, mark = thinning.most, thinning.overlap, thinning.mark or 0.0
    across, down = width // STRIDE, height // STRIDE
    y, x = np.mgrid[:down, :across].astype(np.float32) + 0.5
    up, left = (y / down).ravel(), (x / across).ravel()
    reach = np.array([[-1 / down], [-1 / across], [1 / down], [1 / across]], np.float32)
    marks = {
        "opposite": np.tile(np.eye(2, dtype=np.float32), 2),
        "mark_reach": reach * np.float32(mark / 2),
    }
    return (marks if mark else {}) | {
        "table": np.array([classes + 4, across * down], np.int64),
        "parts": np.array([classes, 4], np.int64),
        "reach": reach,
        "centres": np.stack([up, left, up, left]).astype(np.float32),
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "first": np.array([0], np.int64),
        "first_two": np.array([0, 1], np.int64),
        "second": np.array([1], np.int64),
        "most": np.array([most], np.int64),
        "overlap": np.array([overlap], np.float32),
        "least_score": np.array([LEAST_SCORE], np.float32),
        "two": np.array([2], np.int64),
        "three": np.array([3], np.int64),
        "pads": np.array([0, 0, most, 0], np.int64),
        "none": np.array(-1, np.int64),
        "start": np.array([0], np.int64),
        "start_scalar": np.array(0, np.int64),
    }
