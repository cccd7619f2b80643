"""The neural network, run by ONNX Runtime as its model card says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from sensor_sim.cost import cost
from sensor_sim.decoders.found import Outputs, check_numbers
from sensor_sim.detection import Detection
from sensor_sim.errors import SensorError
from sensor_sim.graph import Graph, Shape, read_graph, read_model
from sensor_sim.isp import Tensor, develop
from sensor_sim.memory import memory_report
from sensor_sim.package import Input, Package, Reading
from sensor_sim.pixels import Image, Raw, Rectangle
from sensor_sim.pixels.imx500 import ARRAY
from sensor_sim.trial import told, tried


class Inference(NamedTuple):
    """What was found in one picture, and the microseconds that the chip takes for it (see ``cost``)."""

    detections: list[Detection]
    dnn_us: int
    dsp_us: int


class Network:
    """A model package, ready to run on the part ``region`` of the pixel array.

    Raises :class:`SensorError` if the network is not readable, needs more memory than the chip has or does
    not do what its card says; a trial run on a black picture finds that out before the first frame.
    """

    def __init__(self, package: Package, threads: int = 1, region: Rectangle = ARRAY) -> None:
        self.card, self._package = package.card, package
        self._reading = Reading(package.card)
        self._region = region
        with package.named():
            graph = examine(package)
            memory_report(graph).check()
            self._session = try_out(package, graph)
            if threads > 1:  # not on trial, as threads take memory of their own
                self._session = _session(package.weights, threads)
        self.cost = cost(graph)
        self._input_name = graph.input

    def detect(self, image: Image | Raw, labels: Collection[str], least_score: float) -> Inference:
        """Find objects with these labels and at least this score in a raw or BGR picture; raises :class:`SensorError` if
        the network fails on this one."""
        tensor, placement = develop(image, self.card.input, self._region)
        with self._package.named():
            found = self._reading.detections(self._run(tensor), labels, least_score)
        moved = [one._replace(box=placement.to_picture(one.box)) for one in found]
        # What is a box in the tensor may be too thin for one in the picture, once rounded.
        detections = [one for one in moved if one.box.width > 0 and one.box.height > 0]
        return Inference(detections, self.cost.dnn_us, self.cost.dsp_us)

    def _run(self, tensor: Tensor) -> Outputs:
        try:
            return _run(self._session, self._input_name, tensor)
        except Exception:  # what ONNX Runtime says of it may hold values of the picture
            raise SensorError(
                "model.onnx: the network runs on a black picture, but not on every other; export it again, or take a "
                "smaller one where memory is short"
            ) from None


def examine(package: Package) -> Graph:
    """What the network consists of, whether the chip can hold it or not; raises :class:`SensorError`."""
    model = read_model(package.weights)
    return read_graph(model, lambda weights: tried(partial(_measure, weights, package.card.input)))


def try_out(package: Package, graph: Graph) -> onnxruntime.InferenceSession:
    """A network that does what its card says on a black picture; raises :class:`SensorError` for any other."""
    session, outputs = tried(partial(_first_run, package, graph.input))
    for output in outputs:
        check_numbers(output)
    package.card.check(outputs)
    package.card.check_values(outputs)
    return session


def _first_run(package: Package, name: str) -> tuple[onnxruntime.InferenceSession, Outputs]:
    session = _session(package.weights, threads=1)
    return session, _run_black(session, name, _black(package.card.input))


def _measure(weights: bytes, card: Input) -> tuple[Shape, Sequence[Shape]]:
    """The shape of the input, and those that the outputs are, on a black picture."""
    session = _session(weights, threads=1, measuring=True)
    name, tensor = _check_input(session, card), _black(card)
    return tensor.shape, [tuple(shape.tolist()) for shape in _run_black(session, name, tensor)]


def _black(card: Input) -> Tensor:
    tensor, _ = develop(np.zeros((card.height, card.width, 3), np.uint8), card)
    return tensor


def _run_black(session: onnxruntime.InferenceSession, name: str, tensor: Tensor) -> Outputs:
    try:
        return _run(session, name, tensor)
    except Exception as error:  # ONNX Runtime has no common base class for its errors
        raise told(error, "the network does not run") from None


def _run(session: onnxruntime.InferenceSession, name: str, tensor: Tensor) -> Outputs:
    return [np.asarray(output) for output in session.run(None, {name: tensor})]


def _session(weights: bytes, threads: int, *, measuring: bool = False) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if measuring:  # all operators are left, and each result's shape is taken as soon as it is there
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what matters comes as an exception
    try:
        return onnxruntime.InferenceSession(
            weights, options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
    except Exception as error:
        raise told(error, "not a network that ONNX Runtime can load") from None


def _check_input(session: onnxruntime.InferenceSession, card: Input) -> str:
    """The name of the input; raises if card and network disagree on it. Dynamic dimensions fit anything."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise SensorError(f"model.onnx: the network has {len(inputs)} inputs; one picture goes into one")
    tensor = inputs[0]
    shape = (1, 3, card.height, card.width) if card.layout == "NCHW" else (1, card.height, card.width, 3)
    agree = len(tensor.shape) == 4 and all(
        is_ == says or not isinstance(is_, int) for is_, says in zip(tensor.shape, shape, strict=True)
    )
    if not agree:
        raise SensorError(
            f"input: the card says {'x'.join(map(str, shape))} ({card.layout}), "
            f"the network takes {'x'.join(map(str, tensor.shape))}"
        )
    if tensor.type != f"tensor({card.dtype})":
        raise SensorError(f"input.dtype: the card says {card.dtype}, the network takes {tensor.type}")
    return str(tensor.name)
