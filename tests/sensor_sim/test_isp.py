"""Pictures → tensors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim.detection import Box
from sensor_sim.errors import SensorError
from sensor_sim.isp import develop, develop_raw
from sensor_sim.package import Input
from sensor_sim.pixels import Image, Raw, Rectangle
from sensor_sim.pixels.array import PixelArray, drawn_size
from sensor_sim.pixels.imx500 import (
    ARRAY,
    BINNED,
    BLACK,
    COLOUR_MATRIX,
    VIDEO,
    WHITE,
    WHITE_BALANCE,
    Mode,
    shading,
)
from sensor_sim.pixels.rendered import View

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


# --- raw pictures ----------------------------------------------------------------------------------


def smooth(mode: Mode = BINNED) -> Raw:
    """Colours that change slowly over the picture, without noise."""
    width, height = mode.size
    x, y = np.linspace(0, 1, width)[None, :], np.linspace(0, 1, height)[:, None]
    red, green, blue = 120 + 150 * x * y, 260 + 90 * np.sin(3 * x + 2 * y), 210 - 90 * x + 0 * y
    values = BLACK + green
    values[0::2, 0::2] = BLACK + red[0::2, 0::2]
    values[1::2, 1::2] = BLACK + blue[1::2, 1::2]
    return Raw(np.rint(values).astype(np.uint16), mode.window, mode.binning, 10, BLACK, WHITE_BALANCE)


def by_the_book(raw: Raw, width: int, height: int) -> Image:
    """Everything at full size, in the order of textbooks, and scaled at the end."""
    colours = cv2.demosaicing(raw.values, cv2.COLOR_BayerRGGB2BGR).astype(np.float64) - raw.black
    full = colours / WHITE / shading(raw.window, *raw.values.shape[::-1]) * raw.white_balance[::-1]
    linear = np.clip(full @ COLOUR_MATRIX[::-1, ::-1].T, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(cv2.resize(255 * coded, (width, height), interpolation=cv2.INTER_AREA))


OFF_CENTRE = Mode("off centre", Rectangle(100, 1800, 1200, 900), 1, 30.0)


@pytest.mark.parametrize("mode", [BINNED, OFF_CENTRE], ids=["binned", "off centre"])
@pytest.mark.parametrize("size", [(320, 240), (416, 416), (1280, 960)])
def test_scaling_first_gives_what_the_textbook_gives(mode: Mode, size: tuple[int, int]) -> None:
    raw = smooth(mode)
    difference = np.abs(develop_raw(raw, *size) - by_the_book(raw, *size))
    assert difference.max() < 1.5
    assert difference.mean() < 0.35  # rounding to whole levels alone gives 0.25


def test_a_raw_picture_becomes_the_tensor_that_its_developed_picture_does() -> None:
    raw, wanted = smooth(), target(width=64, height=48, colour="RGB", dtype="uint8", layout="NHWC")
    tensor, placement = develop(raw, wanted)
    assert np.array_equal(tensor[0, :, :, ::-1], develop_raw(raw, 64, 48))
    assert placement == (0, 0, 1, 1)


def test_letterbox_keeps_the_aspect_of_raw_pictures() -> None:
    tensor, placement = develop(
        smooth(), target(width=64, height=64, aspect="letterbox", dtype="uint8", pad=9)
    )
    assert set(np.unique(tensor[0, :, :8])) == set(np.unique(tensor[0, :, 56:])) == {9}
    assert placement == (0, 8 / 64, 1, 48 / 64)


# --- region of interest ----------------------------------------------------------------------------


def marked(mark: Box, mode: Mode | None) -> Image | Raw:
    """A black picture with a white mark, of a file or read out in the mode."""
    width, height = drawn_size(mode) if mode else (640, 480)
    image = np.zeros((height, width, 3), np.uint8)
    image[
        round(mark.top * height) : round(mark.bottom * height),
        round(mark.left * width) : round(mark.right * width),
    ] = 255
    return PixelArray(mode).read_out(View(image, 1.0, [])) if mode else image


@pytest.mark.parametrize("mode", [None, BINNED, VIDEO], ids=["file", "binned", "video"])
@pytest.mark.parametrize("aspect", ["stretch", "letterbox"])
@pytest.mark.parametrize(
    "region",
    [ARRAY, Rectangle(0, 500, 2000, 2000), Rectangle(801, 803, 1333, 777), Rectangle(-9, -9, 9999, 9999)],
)
def test_boxes_are_fractions_of_the_whole_array(mode: Mode | None, aspect: str, region: Rectangle) -> None:
    """The mark is found where it is, whatever part is read and looked at, and however it is scaled."""
    mark = Box(0.25, 0.3, 0.4, 0.45)
    tensor, placement = develop(
        marked(mark, mode), target(width=320, height=240, aspect=aspect, pad=0), region
    )
    rows, columns = (np.nonzero(tensor[0, 1].max(axis=axis) > 127)[0] for axis in (1, 0))
    found = Box(columns[0] / 320, rows[0] / 240, (columns[-1] + 1) / 320, (rows[-1] + 1) / 240)
    assert placement.to_picture(found) == pytest.approx(mark, abs=0.006)


@pytest.mark.parametrize("image", [marked(Box(0, 0, 0, 0), None), smooth()], ids=["file", "raw"])
@pytest.mark.parametrize(
    "region", [Rectangle(4056, 0, 100, 100), Rectangle(0, 0, 0, 9), Rectangle(-9, 0, 9, 9)]
)
def test_a_region_of_which_nothing_is_read(image: Image | Raw, region: Rectangle) -> None:
    with pytest.raises(SensorError, match="region of interest: the sensor reads nothing there"):
        develop(image, target(), region)


@given(
    left=st.integers(0, 4000),
    top=st.integers(0, 3000),
    width=st.integers(1, 4056),
    height=st.integers(1, 3040),
)
def test_any_region_within_the_array_can_be_looked_at(left: int, top: int, width: int, height: int) -> None:
    raw = Raw(np.full((1520, 2028), BLACK, np.uint16), ARRAY, 2, 10, BLACK, (1.0, 1.0, 1.0))
    tensor, placement = develop(raw, target(), Rectangle(left, top, width, height))
    assert tensor.max() == 0
    seen = placement.to_picture(Box(0, 0, 1, 1))
    assert seen.left <= left / 4056 + 1e-9
    assert seen.top <= top / 3040 + 1e-9
    assert seen.right >= min(left + width, 4056) / 4056 - 1e-9
    assert seen.bottom >= min(top + height, 3040) / 3040 - 1e-9
    assert seen.width * 4056 < width + 8
    assert seen.height * 3040 < height + 8
