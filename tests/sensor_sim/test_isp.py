"""Pictures → tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sensor_sim.detection import Box
from sensor_sim.isp import develop
from sensor_sim.package import Input

BLUE, GREEN, RED = 10, 20, 30


def target(**changes: Any) -> Input:
    plain: dict[str, Any] = {"width": 8, "height": 4, "colour": "BGR", "aspect": "stretch"}
    return Input(**(plain | changes))


def picture(height: int = 16, width: int = 16) -> Any:
    return np.full((height, width, 3), (BLUE, GREEN, RED), np.uint8)


@pytest.mark.parametrize(("colour", "expected"), [("BGR", [BLUE, GREEN, RED]), ("RGB", [RED, GREEN, BLUE])])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_colours_and_layout(colour: str, expected: list[int], layout: str) -> None:
    tensor, _ = develop(picture(), target(colour=colour, layout=layout))
    assert tensor.shape == ((1, 3, 4, 8) if layout == "NCHW" else (1, 4, 8, 3))
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    channels = tensor[0] if layout == "NCHW" else tensor[0].transpose(2, 0, 1)
    assert [set(np.unique(channel)) for channel in channels] == [{value} for value in expected]


def test_normalisation_is_per_channel_in_the_tensors_order() -> None:
    tensor, _ = develop(picture(), target(colour="RGB", mean=(10.0, 10.0, 10.0), std=(2.0, 5.0, 1.0)))
    assert [float(channel[0, 0]) for channel in tensor[0]] == [(RED - 10) / 2, (GREEN - 10) / 5, BLUE - 10]


def test_a_quantised_network_gets_the_values_as_they_are() -> None:
    tensor, _ = develop(picture(), target(dtype="uint8"))
    assert tensor.dtype == np.uint8
    assert [int(channel[0, 0]) for channel in tensor[0]] == [BLUE, GREEN, RED]


def test_letterbox_keeps_the_aspect_and_pads_evenly() -> None:
    tensor, placement = develop(picture(16, 16), target(aspect="letterbox", pad=99))
    grey = tensor[0, 0]
    assert grey[:, :2].tolist() == grey[:, 6:].tolist() == [[99, 99]] * 4
    assert set(np.unique(grey[:, 2:6])) == {BLUE}
    assert placement.to_picture(Box(0.25, 0.0, 0.75, 1.0)) == Box(0.0, 0.0, 1.0, 1.0)


def test_stretch_fills_the_tensor() -> None:
    _, placement = develop(picture(30, 10), target())
    assert placement.to_picture(Box(0.1, 0.2, 0.3, 0.4)) == Box(0.1, 0.2, 0.3, 0.4)
