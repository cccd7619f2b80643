"""Small real networks, built for the tests and run by ONNX Runtime, and videos to go with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sensor_sim.package import Card, Package, read_card
from sensor_sim.pixels import Image

Node = onnx.NodeProto


def model(
    nodes: Sequence[Node],
    outputs: Sequence[str],
    constants: dict[str, Any],
    input_shape: Sequence[int | str] = (1, 3, 64, 64),
    input_type: int = TensorProto.FLOAT,
) -> bytes:
    """A graph with the input ``image``, these nodes, constants and outputs."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("image", input_type, list(input_shape))],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    for output in graph.output:
        output.type.tensor_type.elem_type = input_type
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    built.ir_version = 9
    return bytes(built.SerializeToString())


def constant_model(**outputs: Any) -> bytes:
    """A network that gives out the same whatever it sees."""
    values = {f"{name}_value": np.asarray(value, np.float32) for name, value in outputs.items()}
    nodes = [helper.make_node("Identity", [f"{name}_value"], [name]) for name in outputs]
    return model(nodes, list(outputs), values)


def card(**changes: Any) -> dict[str, Any]:
    """A card for a 64 x 64 network with the imx500_pp layout; ``changes`` replace its fields."""
    plain: dict[str, Any] = {
        "name": "test",
        "licence": "Apache-2.0",
        "input": {"width": 64, "height": 64, "colour": "RGB", "aspect": "stretch"},
        "decoder": {"layout": "imx500_pp"},
        "labels": ["person", "bottle"],
    }
    return plain | changes


def read(plain: dict[str, Any]) -> Card:
    return read_card(json.dumps(plain).encode(), "test")


def package(plain: dict[str, Any], weights: bytes) -> Package:
    return Package(read(plain), weights, "0" * 16, "test")


def bright_spot_model() -> bytes:
    """A detector that really looks: the bounding box of all bright pixels, with suppression inside.

    Two boxes around it, scoring 0.9 and 0.6, go through NonMaxSuppression, which leaves the better one; the
    count is 0 when nothing is bright. Boxes are y, x, y, x in pixels of a 64 x 64 input of values 0 to 255.
    """
    n = helper.make_node
    nodes = [
        n("ReduceMax", ["image"], ["grey"], axes=[1], keepdims=0),  # 1 x 64 x 64
        n("Greater", ["grey", "half"], ["bright"]),
        n("Cast", ["bright"], ["mask"], to=TensorProto.FLOAT),
        n("ReduceMax", ["mask"], ["rows"], axes=[2], keepdims=0),  # 1 x 64
        n("ReduceMax", ["mask"], ["columns"], axes=[1], keepdims=0),
        n("ReduceMax", ["mask"], ["any"], axes=[1, 2], keepdims=0),  # 1
    ]
    for axis, line in (("y", "rows"), ("x", "columns")):
        nodes += [
            n("Sub", ["one", line], [f"{line}_dark"]),
            n("Mul", [f"{line}_dark", "far"], [f"{line}_far"]),
            n("Add", [f"{line}_far", "index"], [f"{line}_begin"]),
            n("ReduceMin", [f"{line}_begin"], [f"{axis}0"], axes=[1], keepdims=0),
            n("Mul", [line, "next"], [f"{line}_end"]),
            n("ReduceMax", [f"{line}_end"], [f"{axis}1"], axes=[1], keepdims=0),
        ]
    nodes += [
        n("Concat", ["y0", "x0", "y1", "x1"], ["tight"], axis=0),  # 4
        n("Reshape", ["tight", "one_row"], ["first"]),
        n("Add", ["first", "nudge"], ["second"]),
        n("Concat", ["first", "second"], ["candidates"], axis=0),  # 2 x 4
        n("Reshape", ["candidates", "batch_rows"], ["nms_boxes"]),  # 1 x 2 x 4
        n("NonMaxSuppression", ["nms_boxes", "nms_scores", "most", "iou", "least"], ["selected"]),
        n("Slice", ["selected", "two", "three", "one_axis"], ["picked"]),  # k x 1
        n("Reshape", ["picked", "flat"], ["indices"]),
        n("Gather", ["candidates", "indices"], ["boxes"], axis=0),
        n("Gather", ["flat_scores", "indices"], ["scores"], axis=0),
        n("Gather", ["class_numbers", "indices"], ["classes"], axis=0),
        n("Identity", ["any"], ["count"]),
    ]
    index = np.arange(64, dtype=np.float32)[None]
    constants = {
        "half": np.float32(127),
        "one": np.float32(1),
        "far": np.float32(1000),
        "index": index,
        "next": index + 1,
        "nudge": np.float32(1),
        "one_row": np.array([1, 4], np.int64),
        "batch_rows": np.array([1, 2, 4], np.int64),
        "nms_scores": np.array([[[0.9, 0.6]]], np.float32),
        "flat_scores": np.array([0.9, 0.6], np.float32),
        "class_numbers": np.array([0, 0], np.float32),
        "most": np.array([5], np.int64),
        "iou": np.array([0.5], np.float32),
        "least": np.array([0.1], np.float32),
        "two": np.array([2], np.int64),
        "three": np.array([3], np.int64),
        "one_axis": np.array([1], np.int64),
        "flat": np.array([-1], np.int64),
    }
    return model(nodes, ["boxes", "scores", "classes", "count"], constants)


SPOT_CARD = card(decoder={"layout": "imx500_pp", "box_order": "yxyx", "box_unit": "pixel"})


def write_package(folder: Path, plain: dict[str, Any], weights: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text(json.dumps(plain))
    (folder / "model.onnx").write_bytes(weights)
    return folder


def walker(y: float) -> Image:
    """A picture, 128 x 96, of a white figure whose foot is at the height ``y`` (fraction)."""
    image = np.zeros((96, 128, 3), np.uint8)
    bottom = round(y * 96)
    image[max(bottom - 24, 0) : bottom, 56:72] = 255
    return image


def write_video(path: Path, images: Sequence[Image], rate: float = 10.0, codec: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, images[0].shape[1::-1])
    assert writer.isOpened()
    for image in images:
        writer.write(image)
    writer.release()
    return path


def walk_down() -> list[Image]:
    """Two seconds above the line at half height, a walk of two seconds, two seconds below."""
    heights = [0.35] * 20 + [0.35 + 0.02 * i for i in range(20)] + [0.75] * 20
    return [walker(y) for y in heights]
