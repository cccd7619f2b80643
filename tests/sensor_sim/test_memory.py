"""The memory report and the times, against what was published of real networks and counted by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from sensor_sim.cost import Cost, cost
from sensor_sim.errors import SensorError
from sensor_sim.graph import Graph, Node
from sensor_sim.memory import KIB, MIB, PROGRAM, MemoryReport, memory_report
from sensor_sim.network import Network, examine
from sensor_sim.package import load_package
from tests.real.clips import CARD, WEIGHTS
from tests.sensor_sim import networks
from tests.sensor_sim.conftest import Command

Shape = tuple[int, ...]


def graph(
    nodes: Sequence[tuple[str, str, str]], shapes: dict[str, Shape], weights: dict[str, Shape] | None = None
) -> Graph:
    """Operators as (name, inputs, output); the input is ``x``, the last result the output."""
    ready = [Node(operator, inputs.split(), [output]) for operator, inputs, output in nodes]
    return Graph(ready, "x", [nodes[-1][2]], shapes | (weights or {}))


def examined(nodes: Sequence[Any], constants: dict[str, Any], *outputs: str, **shape: Any) -> Graph:
    return examine(networks.package(networks.card(), networks.model(nodes, outputs, constants, **shape)))


# --- working memory --------------------------------------------------------------------------------


def test_only_what_is_still_needed_is_alive() -> None:
    """x (10) stays; a (20) is read again by the sum; b (30) and c (20) are never there together."""
    chain = graph(
        [("Conv", "x", "a"), ("Conv", "a", "b"), ("Conv", "b", "c"), ("Concat", "a c", "d")],
        {"x": (10,), "a": (20,), "b": (30,), "c": (20,), "d": (40,)},
    )
    assert memory_report(chain).working == 10 + 20 + 20 + 40
    assert memory_report(chain).input == 10


def test_value_by_value_an_operator_writes_over_what_it_reads() -> None:
    shapes: dict[str, Shape] = {"x": (1,), "a": (50,), "b": (50,), "c": (50,)}
    conv = ("Conv", "x", "a")
    assert memory_report(graph([conv, ("Relu", "a", "b")], shapes)).working == 51
    assert memory_report(graph([conv, ("MaxPool", "a", "b")], shapes)).working == 101
    still_needed = [conv, ("Sigmoid", "a", "b"), ("Mul", "a b", "c")]
    assert memory_report(graph(still_needed, shapes)).working == 101


def test_what_follows_from_weights_alone_takes_no_working_memory() -> None:
    quantised = graph(
        [("DequantizeLinear", "q s", "w"), ("Conv", "x w", "a")],
        {"x": (10,), "w": (500,), "a": (7,)},
        {"q": (500,), "s": ()},
    )
    assert memory_report(quantised) == MemoryReport(working=17, input=10, model=501)


MANY = np.array([64, 5_000])


@pytest.mark.parametrize(
    ("nodes", "constants", "model"),
    [
        ([("Expand", "one many", "w")], {"one": np.float32([1])}, 320_000),
        ([("ConstantOfShape", "many", "w")], {}, 320_000),
        ([("Expand", "one many", "e"), ("Transpose", "e", "t"), ("Reshape", "t many", "w")], {"one": np.float32([1])}, 320_000),
        ([("Transpose", "narrow", "w")], {"narrow": np.zeros((5, 64), np.float32)}, 320),
        ([("Expand", "q many", "e"), ("DequantizeLinear", "e s", "w")], {"q": np.int8([1]), "s": np.float32(1)}, 320_001),
        ([("Expand", "one many", "e"), ("Cast", "e", "w")], {"one": np.array([1])}, 320_000),
        ([("Identity", "v", "w"), ("MatMul", "image v", "z")], {"v": np.zeros((64, 5), np.float32)}, 320),
        ([("Mul", "v v", "unread"), ("Identity", "v", "w")], {"v": np.zeros((64, 5), np.float32)}, 320),
    ],
    ids=["expanded", "of a shape", "a view", "transposed", "quantised", "from integers", "read twice", "unread"],
)  # fmt: skip
def test_what_follows_from_weights_alone_is_part_of_the_model(
    nodes: Sequence[tuple[str, str, str]], constants: dict[str, Any], model: int
) -> None:
    """Once, in the form in which it is stored, and not also what it was made of."""
    made = [
        helper.make_node(name, read.split(), [gives], **({"to": 1} if name == "Cast" else {}))
        for name, read, gives in nodes
    ]
    product = helper.make_node("MatMul", ["image", "w"], ["y"])
    assert memory_report(examined([*made, product], {"many": MANY} | constants, "y")).model == model


def test_sizes_and_indices_are_no_part_of_the_model() -> None:
    """Neither those that are stored nor those that follow from others, be they worked out as fractions."""
    n = helper.make_node
    nodes = [
        n("Concat", ["first", "rest"], ["shape"], axis=0),
        n("Reshape", ["image", "shape"], ["flat"]),
        n("Mul", ["half", "fractions"], ["places"]),
        n("Cast", ["places"], ["indices"], to=TensorProto.INT64),
        n("Gather", ["flat", "indices"], ["y"], axis=1),
    ]
    constants = {
        "first": np.array([1]), "rest": np.array([-1]), "half": np.float32(0.5), "fractions": zeros(100)
    }  # fmt: skip
    assert memory_report(examined(nodes, constants, "y")).model == 0


def test_a_result_that_is_left_out_takes_none() -> None:
    dropout = helper.make_node("Dropout", ["image"], ["y", ""])
    pool = helper.make_node("MaxPool", ["y"], ["z", ""], kernel_shape=[2, 2], strides=[2, 2])
    found = examined([dropout, pool], {}, "z")
    assert memory_report(found) == MemoryReport(working=3 * (64**2 + 32**2), input=3 * 64**2, model=0)


MEASURED = """
from pathlib import Path
from sensor_sim.network import examine
from sensor_sim.package import load_package

def most() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024

package, before = load_package(Path({folder!r})), most()
examine(package)
print(most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's own peak in /proc")
def test_measuring_takes_no_more_memory_than_running(tmp_path: Path) -> None:
    """Of thirty results of 16 MiB each, two at a time are needed."""
    nodes = [helper.make_node("MaxPool", [f"r{i}"], [f"r{i + 1}"], kernel_shape=[1, 1]) for i in range(30)]
    first = helper.make_node("Conv", ["image", "w"], ["r0"])
    wide = networks.model([first, *nodes], ["r30"], {"w": zeros(1024, 3, 1, 1)})
    folder = networks.write_package(tmp_path / "wide", networks.card(), wide)
    program = MEASURED.format(folder=str(folder))
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(ran.stdout) < 150 * MIB


# --- published figures -----------------------------------------------------------------------------


class Layers:
    """Convolutions in a row, as shapes only."""

    def __init__(self, channels: int, side: int) -> None:
        self.channels, self.side = channels, side
        self.nodes: list[tuple[str, str, str]] = []
        self.shapes: dict[str, Shape] = {"x": (1, channels, side, side)}
        self.weights: dict[str, Shape] = {}
        self.last = "x"

    def add(self, operator: str, inputs: str = "") -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append((operator, f"{self.last} {inputs}".strip(), name))
        self.shapes[name] = (1, self.channels, self.side, self.side)
        self.last = name
        return name

    def conv(self, channels: int, size: int = 1, stride: int = 1, depthwise: bool = False) -> str:
        number = len(self.nodes)
        each = 1 if depthwise else self.channels
        self.weights |= {f"w{number}": (channels, each, size, size), f"b{number}": (channels,)}
        self.channels, self.side = channels, self.side // stride
        return self.add("Conv", f"w{number} b{number}")

    def graph(self) -> Graph:
        return graph(self.nodes, self.shapes, self.weights)


def mobilenet_v2() -> Graph:
    """MobileNetV2 as its authors published it (1801.04381, table 2), normalisation folded."""
    net = Layers(3, 224)
    net.conv(32, 3, 2)
    net.add("Clip")
    for factor, channels, times, stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    ]:  # fmt: skip
        for i in range(times):
            before, inside = net.last, factor * net.channels
            if factor > 1:
                net.conv(inside)
                net.add("Clip")
            net.conv(inside, 3, stride if i == 0 else 1, depthwise=True)
            net.add("Clip")
            net.conv(channels)
            if i > 0:
                net.add("Add", before)
    net.conv(1280)
    net.add("Clip")
    net.side = 1
    net.add("GlobalAveragePool")
    net.conv(1000)
    return net.graph()


def test_mobilenet_v2_is_as_large_as_the_converter_says() -> None:
    """Published: runtime 1.60 MB, model 3.51 MB, input persistence 151 KB, in all 5.11 MB."""
    report = memory_report(mobilenet_v2())
    assert report.runtime / MIB == pytest.approx(1.60, rel=0.06)
    assert report.model / MIB == pytest.approx(3.51, rel=0.06)
    assert report.input == 150_528
    assert report.total / MIB == pytest.approx(5.11, rel=0.05)
    assert report.fits


def test_yolov8n_needs_as_much_working_memory_as_the_converter_says() -> None:
    """Published: runtime 4.48 MB. Its first layer, a convolution and x * sigmoid(x), is the widest."""
    net = Layers(3, 640)
    wide = net.conv(16, 3, 2)
    net.add("Sigmoid")
    net.add("Mul", wide)
    net.conv(32, 3, 2)
    assert memory_report(net.graph()).runtime / MIB == pytest.approx(4.48, rel=0.03)


def test_the_time_of_published_networks() -> None:
    """MobileNetV2 has 0.30 G; the others are the figures that the factors rest on."""
    assert cost(mobilenet_v2()).macs == pytest.approx(0.30e9, rel=0.01)
    ssd = Cost(macs=985_034_496, values=12_804 * 95)
    assert (ssd.dnn_us, ssd.dsp_us) == (13_347, 12_360)
    assert Cost(macs=4_350_000_000, values=0).dnn_us == pytest.approx(58_790, rel=0.005)


@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"no {WEIGHTS}")
def test_nanodet_as_published() -> None:
    """NanoDet-m 320: 0.95 M parameters, 0.72 G operations (two a MAC); 2100 cells of 80 scores and 4 x 8 sides."""
    graph = examine(load_package(CARD, WEIGHTS))
    assert memory_report(graph).model == pytest.approx(0.95e6, rel=0.02)
    assert cost(graph).macs == pytest.approx(0.36e9, rel=0.06)
    assert cost(graph).values == 2100 * (80 + 32)
    # The widest place: the picture, the first layer's 24 channels and what pooling leaves of them.
    assert memory_report(graph).working == 3 * 320**2 + 24 * 160**2 + 24 * 80**2


# --- operations ------------------------------------------------------------------------------------


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("node", "constants", "macs"),
    [
        (helper.make_node("Conv", ["image", "w"], ["y"], strides=[2, 2]), {"w": zeros(8, 3, 2, 2)}, 32 * 32 * 8 * 12),
        (helper.make_node("Conv", ["image", "w"], ["y"], group=3), {"w": zeros(6, 1, 1, 1)}, 64 * 64 * 6),
        (
            helper.make_node("ConvTranspose", ["image", "w"], ["y"], strides=[2, 2]),
            {"w": zeros(3, 5, 2, 2)},
            64 * 64 * 3 * 5 * 4,
        ),
        (helper.make_node("MatMul", ["image", "w"], ["y"]), {"w": zeros(64, 7)}, 3 * 64 * 64 * 7),
        (
            helper.make_node("Einsum", ["image", "w"], ["y"], equation="nchw, cd -> ndhw"),
            {"w": zeros(3, 5)},
            64 * 64 * 3 * 5,
        ),
        (
            helper.make_node("Einsum", ["image", "w"], ["y"], equation="...hw,...wk->...hk"),
            {"w": zeros(1, 1, 64, 7)},
            3 * 64 * 64 * 7,
        ),
        (helper.make_node("Einsum", ["image"], ["y"], equation="nchw->nhwc"), {}, 0),
        (helper.make_node("Relu", ["image"], ["y"]), {}, 0),
    ],
)  # fmt: skip
def test_operations_are_counted(node: Any, constants: dict[str, Any], macs: int) -> None:
    assert cost(examined([node], constants, "y")).macs == macs


def test_a_gemm_of_either_orientation() -> None:
    flat = helper.make_node("Reshape", ["image", "shape"], ["flat"])
    for shape, transposed in (((4, 3072), 0), ((3072, 4), 1)):
        gemm = helper.make_node("Gemm", ["flat", "w"], ["y"], transA=transposed)
        found = examined([flat, gemm], {"shape": np.array(shape), "w": zeros(3072, 5)}, "y")
        assert cost(found).macs == 4 * 3072 * 5


@pytest.mark.parametrize(("operator", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_a_recurrent_layer_costs_all_its_weights_at_each_step(operator: str, gates: int) -> None:
    """48 steps of 2 sequences, 128 values wide, in both directions; the sequences of states are left out."""
    n = helper.make_node
    steps = n("Reshape", ["image", "shape"], ["steps"])
    layer = n(operator, ["steps", "w", "r"], ["", "last"], hidden_size=5, direction="bidirectional")
    constants = {"shape": np.array([48, 2, 128]), "w": zeros(2, gates * 5, 128), "r": zeros(2, gates * 5, 5)}
    assert cost(examined([steps, layer], constants, "last")) == Cost(
        macs=48 * 2 * 2 * gates * 5 * (128 + 5), values=2 * 2 * 5
    )


def test_quantised_and_float_cost_the_same() -> None:
    """The same convolution, in float, with QDQ around it, and as one quantised operator."""
    n = helper.make_node
    scale = {"s": np.float32(1), "z": np.uint8(0), "zw": np.int8(0)}
    qdq = [
        n("QuantizeLinear", ["image", "s", "z"], ["q"]),
        n("DequantizeLinear", ["q", "s", "z"], ["x"]),
        n("DequantizeLinear", ["wq", "s", "zw"], ["w"]),
        n("Conv", ["x", "w"], ["y"]),
    ]
    quantised = [qdq[0], n("QLinearConv", ["q", "s", "z", "wq", "s", "zw", "s", "z"], ["c"]),
                 n("DequantizeLinear", ["c", "s", "z"], ["y"])]  # fmt: skip
    whole = examined([n("Conv", ["image", "w"], ["y"])], {"w": zeros(8, 3, 3, 3)}, "y")
    for nodes in (qdq, quantised):
        found = examined(nodes, scale | {"wq": zeros(8, 3, 3, 3, dtype=np.int8)}, "y")
        assert cost(found).macs == cost(whole).macs == 62 * 62 * 8 * 27
        assert memory_report(found).working == memory_report(whole).working
        assert memory_report(found).model == memory_report(whole).model + 3


def test_values_are_those_of_the_last_layers() -> None:
    """Two heads behind one layer; what follows a head is not a head, however large."""
    n = helper.make_node
    nodes = [
        n("Conv", ["image", "a"], ["body"]),
        n("Relu", ["body"], ["lively"]),
        n("Conv", ["lively", "b"], ["boxes"]),
        n("Conv", ["body", "c"], ["scores"]),
        n("Concat", ["scores"] * 9, ["many"], axis=1),
    ]
    constants = {"a": zeros(2, 3, 1, 1), "b": zeros(4, 2, 1, 1), "c": zeros(5, 2, 1, 1)}
    assert cost(examined(nodes, constants, "boxes", "many")).values == 64 * 64 * 9


# --- the limit -------------------------------------------------------------------------------------


def test_a_report_is_complete() -> None:
    report = MemoryReport(working=2 * MIB, input=MIB // 2, model=3 * MIB)
    assert report.rows() == [
        ("Runtime", "2.10 MiB"),
        ("  program", "0.10 MiB"),
        ("  working memory", "2.00 MiB"),
        ("  of it input persistence", "0.50 MiB"),
        ("Model", "3.00 MiB"),
        ("Reserved", "1 KiB"),
        ("Total", "5.10 MiB of 8.00 MiB, 64 %"),
        ("Fit in chip", "yes"),
    ]


def test_the_last_byte_fits() -> None:
    full = MemoryReport(working=MIB, input=0, model=7 * MIB - PROGRAM - KIB)
    assert full.fits
    full.check()
    with pytest.raises(
        SensorError, match=r"needs 8\.00 MiB of the chip's 8\.00 MiB \(runtime 1\.10 MiB, model"
    ):
        MemoryReport(working=MIB + 1, input=0, model=full.model).check()


def wide_package(folder: Path) -> Path:
    """A network with 9 MiB of weights (stored as 8 bit) that does what its card says."""
    n = helper.make_node
    values = {
        "boxes": zeros(1, 1, 4), "scores": zeros(1, 1), "classes": zeros(1, 1), "count": zeros(1)
    }  # fmt: skip
    nodes = [n("Identity", [f"{name}_value"], [name]) for name in values]
    nodes += [n("DequantizeLinear", ["q", "s"], ["w"]), n("MatMul", ["image", "w"], ["unused"])]
    constants = {f"{name}_value": value for name, value in values.items()}
    constants |= {"q": zeros(64, 9 * MIB // 64, dtype=np.int8), "s": np.float32(1)}
    return networks.write_package(folder, networks.card(), networks.model(nodes, list(values), constants))


def test_what_does_not_fit_is_refused_with_the_figures(sensor_sim: Command, tmp_path: Path) -> None:
    package = wide_package(tmp_path / "wide")
    with pytest.raises(SensorError) as caught:
        Network(load_package(package))
    assert "of the chip's 8.00 MiB" in str(caught.value)
    assert "model 9.00 MiB" in str(caught.value)
    reported = sensor_sim("report", package)
    assert (reported.returncode, reported.stderr) == (1, f"sensor_sim: {caught.value}\n")
    assert "Fit in chip                 no" in reported.stdout


def test_the_report_of_a_package(sensor_sim: Command, tmp_path: Path) -> None:
    package = networks.write_package(tmp_path / "p", networks.SPOT_CARD, networks.bright_spot_model())
    reported = sensor_sim("report", package)
    assert (reported.returncode, reported.stderr) == (0, "")
    assert [line[:28].strip() for line in reported.stdout.splitlines()] == [
        "Runtime", "program", "working memory", "of it input persistence", "Model", "Reserved", "Total",
        "Fit in chip", "DNN time", "DSP time",
    ]  # fmt: skip
    plain = json.loads(sensor_sim("report", package, "--json").stdout)
    assert plain["input"] == 3 * 64 * 64
    assert plain["total"] == plain["runtime"] + plain["model"] + plain["reserved"]
    assert (plain["fits"], plain["dnn_us"]) == (True, 0)


def test_a_report_of_what_does_not_do_what_its_card_says(sensor_sim: Command, tmp_path: Path) -> None:
    """It is refused as by the sensor that should run it, after its figures; what the chip cannot hold need not fit its
    card as well."""
    plain = networks.card(decoder={"layout": "yolov8"})
    package = networks.write_package(tmp_path / "p", plain, networks.bright_spot_model())
    with pytest.raises(SensorError) as caught:
        Network(load_package(package))
    reported = sensor_sim("report", package)
    assert reported.returncode == 1
    assert "Fit in chip                 yes\n" in reported.stdout
    assert reported.stderr == f"sensor_sim: {caught.value}\n"
    wide = wide_package(tmp_path / "wide")
    (wide / "model.json").write_text(json.dumps(plain))
    reported = sensor_sim("report", wide)
    assert reported.returncode == 1
    assert "Fit in chip                 no" in reported.stdout
    assert "of the chip's 8.00 MiB" in reported.stderr


def test_a_report_of_what_is_no_package(sensor_sim: Command, tmp_path: Path) -> None:
    reported = sensor_sim("report", tmp_path)
    assert reported.returncode == 1
    assert reported.stdout == ""
    assert "has no model.json" in reported.stderr
