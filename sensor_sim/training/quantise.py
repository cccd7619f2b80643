"""Float network → int8, in the notation of QuantizeLinear and DequantizeLinear pairs.

Weights are symmetric, one scale per output channel, of 7 bits: on CPUs without VNNI the product of 8 bit
unsigned activations and 8 bit signed weights overflows the 16 bit sums of the fastest kernels.
The last layer stays in float: 8 bits are too few for the logarithm of a distance.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from sensor_sim.pixels import Image
from sensor_sim.training.export import CELLS, INPUT


def quantise(cells: onnx.ModelProto, pictures: Iterable[Image]) -> onnx.ModelProto:
    """``cells`` in int8, its ranges measured on pictures (height x width x 3) of the tensor's size."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(cells.SerializeToString())
        quantize_static(
            before,
            after,
            _Pictures(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=_last_layers(cells),
        )
        return onnx.load(after)


def _last_layers(cells: onnx.ModelProto) -> list[str]:
    """The names of the nodes from the output back to the layers with weights."""
    makers = {output: node for node in cells.graph.node for output in node.output}
    names, waiting = [], [CELLS]
    while waiting:
        node = makers[waiting.pop()]
        names.append(node.name)
        if node.op_type != "Conv":
            waiting += node.input
    return names


class _Pictures(CalibrationDataReader):
    def __init__(self, pictures: Iterable[Image]) -> None:
        self._tensors: Iterator[NDArray[np.float32]] = (
            picture.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255) for picture in pictures
        )

    def get_next(self) -> dict[str, Any] | None:
        tensor = next(self._tensors, None)
        return None if tensor is None else {INPUT: tensor}
