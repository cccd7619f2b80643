"""Models that are broken in all ways, given to the command as their users would: one sentence and status 1."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from sensor_sim.errors import SensorError
from sensor_sim.network import Network
from sensor_sim.package import load_package
from tests.sensor_sim import networks
from tests.sensor_sim.conftest import Command
from tests.sensor_sim.networks import card, constant_model

n = helper.make_node
GOOD = {
    "boxes": [[[0.1, 0.2, 0.5, 0.4]]],
    "scores": [[0.9]],
    "classes": [[0]],
    "count": [1],
}


def good() -> onnx.ModelProto:
    return onnx.load_model_from_string(constant_model(**GOOD))


def saved(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString())


def with_node(node: onnx.NodeProto, **opsets: int) -> bytes:
    """The good network with one more operator that reads the picture."""
    model = good()
    model.graph.node.append(node)
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in opsets.items())
    return saved(model)


def with_weights(values: Any, change: Callable[[onnx.TensorProto], object] = id) -> bytes:
    """The good network with one more operator and its weights."""
    model = good()
    tensor = numpy_helper.from_array(np.asarray(values, np.float32), "kernel")
    change(tensor)
    model.graph.initializer.append(tensor)
    model.graph.node.append(n("Mul", ["image", "kernel"], ["product"]))
    return saved(model)


def elsewhere(tensor: onnx.TensorProto) -> None:
    external_data_helper.set_external_data(tensor, "weights.bin")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")


def shortened(tensor: onnx.TensorProto) -> None:
    tensor.raw_data = tensor.raw_data[:-1]


def with_second_input() -> bytes:
    model = good()
    model.graph.input.append(helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 1, 64, 64]))
    return saved(model)


def without_input() -> bytes:
    model = good()
    del model.graph.input[:]
    return saved(model)


def with_sequence() -> bytes:
    """The good network with a sequence of pictures of two sizes, of which one is taken out again."""
    model = good()
    model.graph.initializer.append(numpy_helper.from_array(np.array(0), "first"))
    model.graph.node.extend(
        [
            n("MaxPool", ["image"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
            n("SequenceConstruct", ["image", "half"], ["pictures"]),
            n("SequenceAt", ["pictures", "first"], ["picture"]),
        ]
    )
    return saved(model)


def with_body(
    operator: str, inputs: Sequence[str], reads: Sequence[str], *names: str, **others: Any
) -> bytes:
    """The good network with an operator whose body, under these names, gives out again what it reads."""
    results = [f"{name} again" for name in reads[1:] or reads or ["always"]]
    copies = [n("Identity", [result.removesuffix(" again")], [result]) for result in results]
    empty = helper.make_empty_tensor_value_info
    body = helper.make_graph(copies, "body", [*map(empty, reads)], [*map(empty, results)])
    model = good()
    constants = {"always": np.array(True), "three": np.array(3), "values": np.zeros(2, np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    model.graph.node.append(n(operator, inputs, ["result"], **dict.fromkeys(names, body), **others))
    return saved(model)


def with_constant(**values: Any) -> bytes:
    """The good network with a constant that lies in an attribute of its own operator."""
    model = good()
    model.graph.node.append(n("Constant", [], ["constant"], **values))
    model.graph.node.append(n("Mul", ["image", "constant"], ["product"]))
    return saved(model)


def with_words_for_floats() -> bytes:
    model = good()
    constant = n("Constant", [], ["constant"], value_strings=["high"])
    constant.attribute[0].name = "value_floats"
    model.graph.node.extend([constant, n("Mul", ["image", "constant"], ["product"])])
    return saved(model)


def sparse(values: Any = (1.0, 2.0)) -> onnx.SparseTensorProto:
    weights = helper.make_tensor("kernel", TensorProto.FLOAT, [len(values)], values)
    indices = helper.make_tensor("places", TensorProto.INT64, [len(values)], range(len(values)))
    return helper.make_sparse_tensor(weights, indices, [1, 3, 1, 1])


def with_sparse_weights() -> bytes:
    model = good()
    model.graph.sparse_initializer.append(sparse())
    model.graph.node.append(n("Conv", ["image", "kernel"], ["product"]))
    return saved(model)


def without_numbers() -> bytes:
    """Its weights are finite, and logarithms of them are not."""
    model = onnx.load_model_from_string(
        constant_model(boxes=[[[-1.0] * 4]], scores=[[-1.0]], classes=[[-1.0]], count=[-1.0])
    )
    for node in model.graph.node:
        node.op_type = "Log"
    return saved(model)


def of_the_future() -> bytes:
    model = good()
    model.ir_version = 99
    return saved(model)


CUSTOM = "is none of ONNX's own, and the chip runs no other; export the network without custom operators"
CONTROL_FLOW = (
    "decides while it runs which others run, and the chip runs the same for each picture; export the network without "
    "control flow (If, Loop, Scan)"
)
NOT_FINITE = "hold values that are not finite"

BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the file holds no network"),
    "text": (b"PK is not what this begins with", "this is no ONNX file, or it is cut off"),
    "cut off": (saved(good())[:-20], "this is no ONNX file, or it is cut off"),
    "no operators": (saved(onnx.ModelProto(ir_version=9)), "the file holds no network"),
    "custom operator": (
        with_node(n("Magic", ["image"], ["m"], domain="acme.ai"), **{"acme.ai": 1}),
        f"the operator 'Magic' of the domain 'acme.ai' {CUSTOM}",
    ),
    "runtime's own operator": (
        with_node(n("Gelu", ["image"], ["m"], domain="com.microsoft"), **{"com.microsoft": 1}),
        f"the operator 'Gelu' of the domain 'com.microsoft' {CUSTOM}",
    ),
    "unknown operator": (with_node(n("Relux", ["image"], ["m"])), f"the operator 'Relux' {CUSTOM}"),
    "a name that is no text": (saved(good()).replace(b"Identity", b"Ident\xf4ty"), "a name in it is no text"),
    "an operator that gives nothing": (with_node(n("Reshape", [], [])), "nothing comes out of an operator 'Reshape'"),
    "an operator that gives nothing away": (with_node(n("Relu", ["image"], [""])), "nothing comes out of an operator"),
    "wires that lead nowhere": (with_node(n("Relu", ["nowhere"], ["m"])), "not a network that ONNX Runtime can load"),
    "external data": (with_weights([1.0, 2.0], elsewhere), "the weights 'kernel' lie in another file"),
    "NaN": (with_weights([1.0, np.nan]), f"the weights 'kernel' {NOT_FINITE}"),
    "infinite": (with_weights(-np.inf), f"the weights 'kernel' {NOT_FINITE}"),
    "NaN in an attribute": (with_constant(value_floats=[1.0, np.nan]), f"the weights 'constant' {NOT_FINITE}"),
    "infinite in an attribute": (with_constant(value_float=np.inf), f"the weights 'constant' {NOT_FINITE}"),
    "words for floats": (with_words_for_floats(), "not a network that ONNX Runtime can load"),
    "sparse weights": (with_sparse_weights(), "the weights 'kernel' are stored sparsely"),
    "a sparse constant": (with_constant(sparse_value=sparse()), "the weights 'constant' are stored sparsely"),
    "weights of another size": (with_weights([1.0, 2.0], shortened), "do not have the size they state"),
    "shapes that do not fit": (
        with_node(n("MatMul", ["image", "boxes_value"], ["m"])), "model.onnx: "
    ),
    "outputs that are none of the card's": (constant_model(boxes=[[0, 0, 1, 1]]), "imx500_pp reads 4 outputs"),
    "no input": (without_input(), "the network has 0 inputs; one picture goes into one"),
    "a sequence": (
        with_sequence(),
        "the operator 'SequenceConstruct' makes a sequence or an optional value, and the chip works with tensors "
        "alone; export the network without those",
    ),
    "an optional value": (with_node(n("Optional", ["image"], ["perhaps"])), "the operator 'Optional' makes a sequence or"),
    "a branch": (with_body("If", ["always"], [], "then_branch", "else_branch"), f"the operator 'If' {CONTROL_FLOW}"),
    "a loop": (
        with_body("Loop", ["three", "always", "values"], ["number", "goes on", "value"], "body"),
        f"the operator 'Loop' {CONTROL_FLOW}",
    ),
    "a scan": (with_body("Scan", ["values"], ["value"], "body", num_scan_inputs=1), f"the operator 'Scan' {CONTROL_FLOW}"),
    "no numbers": (
        without_numbers(), "gives values that are no numbers (NaN); train or export it again"
    ),
    "a file of the future": (
        of_the_future(), "not a network that ONNX Runtime can load: Unsupported model IR version: 99, max supported"
    ),
    "two inputs": (
        with_second_input(),
        "the network has 2 inputs",
    ),
}  # fmt: skip


def refused(sensor_sim: Command, *words: object) -> str:
    ran = sensor_sim(*words)
    assert (ran.returncode, ran.stdout) == (1, "")
    [sentence] = ran.stderr.splitlines()
    assert sentence.startswith("sensor_sim: ")
    return sentence


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """A video and a scene to go with a model."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "scene.json").write_text(
        json.dumps({"version": 1, "lines": [{"id": 0, "name": "door", "points": [[0, 0.5], [1, 0.5]]}]})
    )
    video = networks.write_video(folder / "walk.mp4", [networks.walker(0.5)] * 3)
    return ["watch", "--video", video, "--scene", folder / "scene.json", "--model"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_is_refused(
    sensor_sim: Command, watched: list[object], tmp_path: Path, name: str
) -> None:
    weights, complaint = BROKEN[name]
    assert complaint in refused(sensor_sim, *watched, networks.write_package(tmp_path / "p", card(), weights))


def test_the_good_one_is_good(tmp_path: Path) -> None:
    Network(load_package(networks.write_package(tmp_path / "p", card(), saved(good()))))


@settings(max_examples=40)
@given(st.data())
def test_a_damaged_file_never_does_worse_than_a_sentence(data: st.DataObject) -> None:
    """Cut off anywhere, or with any byte changed, it runs or is refused."""
    whole = bytearray(networks.bright_spot_model())
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        del whole[place:]
    else:
        whole[place] = data.draw(st.integers(0, 255))
    with suppress(SensorError):
        Network(networks.package(networks.SPOT_CARD, bytes(whole)))


# --- whose fault it is ------------------------------------------------------------------------------


def test_the_file_that_was_given_is_named(sensor_sim: Command, watched: list[object], tmp_path: Path) -> None:
    """A zip that holds no network, a file that stands in for one, and a card that does not fit such a file."""
    folder = networks.write_package(tmp_path / "p", card(labels=["person"]), b"text")
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    (tmp_path / "text.onnx").write_bytes(b"text")
    (tmp_path / "good.onnx").write_bytes(saved(good()))
    misfit = networks.write_package(tmp_path / "q", card(decoder={"layout": "yolov8"}), b"text")
    no_network = "this is no ONNX file, or it is cut off; export or copy it again"
    for words in (["report"], watched):
        for more, said in (
            ([tmp_path / "p.zip"], f"{tmp_path / 'p.zip'}: model.onnx: {no_network}"),
            ([folder, "--weights", tmp_path / "text.onnx"], f"{tmp_path / 'text.onnx'}: {no_network}"),
            ([misfit, "--weights", tmp_path / "good.onnx"], f"{misfit}: decoder: yolov8 reads one output of"),
        ):
            ran = sensor_sim(*words, *more)
            [sentence] = ran.stderr.splitlines()
            assert (ran.returncode, sentence.startswith(f"sensor_sim: {said}")) == (1, True)


# --- too much --------------------------------------------------------------------------------------


def test_a_bomb_is_not_unpacked(sensor_sim: Command, tmp_path: Path) -> None:
    """100 MiB of nothing in 100 KB, and a file without end."""
    folder = networks.write_package(tmp_path / "p", card(), saved(good()))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "model.json", "model.json")
        archive.writestr("model.onnx", bytes(100 * 2**20))
    assert (tmp_path / "bomb.zip").stat().st_size < 200_000
    assert "model.onnx is larger than 64 MiB" in refused(sensor_sim, "report", tmp_path / "bomb.zip")
    assert "/dev/zero: larger than 64 MiB" in refused(sensor_sim, "report", folder, "--weights", "/dev/zero")
