"""The pixel array: light in, counted electrons out."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from operator import length_hint
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim import isp
from sensor_sim.pixels import Image, Raw
from sensor_sim.pixels.array import (
    DAY_S,
    FULL_WELL_E,
    LARGEST_GAIN,
    READ_NOISE_E,
    PixelArray,
    Rendered,
    drawn_size,
    expose,
)
from sensor_sim.pixels.imx500 import ARRAY, BINNED, BLACK, FULL, MODES, VIDEO, Mode
from sensor_sim.pixels.rendered import Crossed, Happening, Stayed, View
from tests.sensor_sim.people import START

modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


def plain(colour: tuple[int, int, int], size: tuple[int, int], light: float = 1.0) -> View:
    """A wall of one colour (blue, green, red)."""
    width, height = size
    return View(np.full((height, width, 3), colour, np.uint8), light, [])


def grey(level: int, mode: Mode = BINNED, light: float = 1.0) -> View:
    return plain((level, level, level), drawn_size(mode), light)


def middle(values: Any, part: int = 8) -> Any:
    """Where the lens takes away next to nothing."""
    height, width = values.shape[:2]
    y, x = (height // 2 - height // part) // 2 * 2, (width // 2 - width // part) // 2 * 2
    return values[y : height - y, x : width - x]


# --- modes -----------------------------------------------------------------------------------------


def test_what_the_modes_read() -> None:
    assert {mode.name: (*mode.size, mode.rate) for mode in MODES.values()} == {
        "full": (4056, 3040, 10.0),
        "binned": (2028, 1520, 30.0),
        "video": (3840, 2160, 60.0),
    }


@modes
def test_a_mode_fits_into_its_frame_time(mode: Mode) -> None:
    height = mode.size[1]
    assert height * mode.line_s < 1 / mode.rate
    assert mode.line_s < mode.longest_s < 1 / mode.rate
    assert mode.delay(height / 2) == 0
    assert mode.delay(height) - mode.delay(0) == pytest.approx(height * mode.line_s)


@modes
def test_raw_is_ten_bits_of_the_modes_size(mode: Mode) -> None:
    raw = PixelArray(mode).read_out(grey(255, mode))
    assert (raw.values.shape[::-1], raw.values.dtype) == (mode.size, np.uint16)
    assert (raw.window, raw.binning, raw.bits, raw.black) == (mode.window, mode.binning, 10, 64)
    assert raw.values.max() <= 1023


# --- exposure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("light", "mode", "seconds", "gain", "level"),
    [
        (1.0, BINNED, DAY_S, 1.0, 1.0),
        (2.0, BINNED, DAY_S / 2, 1.0, 1.0),
        (0.03, BINNED, BINNED.longest_s, DAY_S / 0.03 / BINNED.longest_s, 1.0),
        (0.03, VIDEO, VIDEO.longest_s, DAY_S / 0.03 / VIDEO.longest_s, 1.0),
        (1e-4, FULL, FULL.longest_s, LARGEST_GAIN, FULL.longest_s * LARGEST_GAIN * 1e-4 / DAY_S),
    ],
)
def test_time_first_then_gain(light: float, mode: Mode, seconds: float, gain: float, level: float) -> None:
    assert expose(light, mode) == pytest.approx((seconds, gain, level))


@given(light=st.floats(0, 100), mode=st.sampled_from(sorted(MODES.values())))
def test_exposure_keeps_its_limits(light: float, mode: Mode) -> None:
    exposure = expose(light, mode)
    assert mode.line_s <= exposure.seconds <= mode.longest_s
    assert 1.0 <= exposure.gain <= LARGEST_GAIN
    assert exposure.level <= 1.0 + 1e-9
    if exposure.level < 1.0 - 1e-9:
        assert (exposure.seconds, exposure.gain) == (mode.longest_s, LARGEST_GAIN)


# --- noise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("light", [1.0, 0.05, 0.01])
@pytest.mark.parametrize("mode", [FULL, BINNED], ids=["full", "binned"])
def test_photon_transfer(mode: Mode, light: float) -> None:
    """EMVA 1288: the variance grows with the mean by the steps per electron, from read noise and rounding."""
    steps_per_electron = expose(light, mode).gain * (1023 - BLACK) / FULL_WELL_E
    array = PixelArray(mode, seed=3)
    for level in (40, 120, 220):
        greens = middle(array.read_out(grey(level, mode, light)).values)[0::2, 1::2].astype(float)
        signal = greens.mean() - BLACK
        pixels = mode.binning**2
        expected = (steps_per_electron * signal + (steps_per_electron * READ_NOISE_E) ** 2) / pixels + 1 / 12
        # The lens still takes a little away towards the rim: remove what is smooth.
        noise = np.diff(greens, axis=1).var() / 2
        assert noise == pytest.approx(expected, rel=0.05)


def test_darkness_is_the_black_level_and_read_noise() -> None:
    values = PixelArray(FULL).read_out(grey(0, FULL, light=0.0)).values
    assert values.mean() == pytest.approx(BLACK, abs=0.02)
    steps = READ_NOISE_E * LARGEST_GAIN * (1023 - BLACK) / FULL_WELL_E
    assert values.std() == pytest.approx((steps**2 + 1 / 12) ** 0.5, rel=0.01)


def test_the_lens_takes_light_from_the_corners() -> None:
    values = PixelArray(BINNED).read_out(grey(255)).values[0::2, 1::2] - float(BLACK)
    assert values[:20, :20].mean() / middle(values, 50).mean() == pytest.approx(0.36, abs=0.02)


def test_the_same_seed_gives_the_same_values() -> None:
    first, again = (PixelArray(BINNED, 5).read_out(grey(128)).values for _ in range(2))
    other = PixelArray(BINNED, 6).read_out(grey(128)).values
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_noise_of_two_frames_has_nothing_in_common() -> None:
    array = PixelArray(BINNED)
    one, two = (np.diff(middle(array.read_out(grey(128)).values)[0::2, 0::2] * 1.0).ravel() for _ in range(2))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.02


# --- there and back --------------------------------------------------------------------------------

COLOURS = [(128, 128, 128), (30, 60, 200), (200, 90, 20), (240, 240, 240), (60, 160, 60)]


@modes
def test_developing_gets_the_picture_back(mode: Mode) -> None:
    """Bands of colour over the height: each has its colour in the middle and at the sides."""
    view = grey(0, mode)
    height, band = mode.size[1], mode.size[1] // len(COLOURS)
    top = mode.window.top // mode.binning
    for number, colour in enumerate(COLOURS):
        view.image[top + number * band : top + (number + 1) * band] = colour
    developed = isp.develop_raw(PixelArray(mode).read_out(view), 320, height * 320 // mode.size[0])
    for number, colour in enumerate(COLOURS):
        rows = developed[number * len(developed) // 5 + 4 : (number + 1) * len(developed) // 5 - 4]
        for part in (rows, rows[:, :20], rows[:, -20:]):
            assert part.reshape(-1, 3).mean(axis=0) == pytest.approx(colour, abs=1.0)


def moments(picture: Image) -> tuple[Any, Any]:
    return picture.reshape(-1, 3).mean(axis=0), picture.reshape(-1, 3).std(axis=0)


@pytest.mark.parametrize("light", [1.0, 0.03, 0.003])
@pytest.mark.parametrize("colour", [(120, 120, 120), (90, 60, 160)])
@pytest.mark.parametrize("size", [(320, 240), (507, 380), (128, 96)])
def test_reduced_looks_like_the_real_path(
    light: float, colour: tuple[int, int, int], size: tuple[int, int]
) -> None:
    """Mean and noise of each channel, in the middle and in the dimmer corner."""
    read = isp.develop_raw(PixelArray(BINNED, 1).read_out(plain(colour, drawn_size(BINNED), light)), *size)
    reduced = PixelArray(BINNED, 2).reduced(plain(colour, size, light))
    assert reduced.shape == read.shape
    corner = np.s_[: size[1] // 4, : size[0] // 4]
    for part in (np.s_[:, :], corner):
        (mean, noise), (expected_mean, expected_noise) = moments(reduced[part]), moments(read[part])
        assert mean == pytest.approx(expected_mean, abs=0.3)
        # Rounding to whole levels hides how much noise there is below half of one.
        assert np.maximum(noise, 0.5) == pytest.approx(np.maximum(expected_noise, 0.5), rel=0.08)


# --- a world over time -----------------------------------------------------------------------------


class Brightening:
    """A wall that grows brighter, a step of grey every 100th of a second, and somebody who walks by."""

    scene: dict[str, Any] = {}

    def __init__(self) -> None:
        self.passes = Crossed(START + 0.1, 0, "forward")
        self.at = START

    def advance(self, at: float) -> Sequence[Happening]:
        passed = self.at < self.passes.at <= at
        self.at = at
        return [self.passes] if passed else []

    def end(self) -> Sequence[Happening]:
        return [Stayed(self.at, 0, self.at - START)]

    def view(self, width: int, height: int) -> View:
        level = 100 + round(100 * (self.at - START))
        return plain((level, level, level), (width, height))


def test_frames_come_at_the_modes_rate() -> None:
    told: list[Happening] = []
    world = Brightening()
    frames = list(Rendered(world, start=START, seconds=0.2, reduced=(64, 48), tell=told.append))
    assert [frame.at for frame in frames] == [START + i / 30 for i in range(6)]
    assert [frame.image.mean() for frame in frames] == pytest.approx([100, 103, 107, 110, 113, 117], abs=0.6)
    assert told == [world.passes, Stayed(START + 5 / 30, 0, pytest.approx(5 / 30))]


def test_a_year_takes_no_more_memory_than_a_second() -> None:
    tracemalloc.start()
    year = Rendered(Brightening(), start=START, seconds=365 * 86_400.0, reduced=(64, 48))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert length_hint(year) == 365 * 86_400 * 30


def test_who_has_seen_enough_is_told_the_end() -> None:
    told: list[Happening] = []
    source = iter(Rendered(Brightening(), start=START, seconds=9.0, reduced=(64, 48), tell=told.append))
    next(source)
    assert told == []
    del source
    assert told == [Stayed(START, 0, 0.0)]


def test_raw_frames_by_default() -> None:
    [frame] = Rendered(Brightening(), start=START, seconds=1 / 30)
    assert isinstance(frame.image, Raw)


def test_the_shutter_rolls() -> None:
    """In the slow mode the last rows are exposed nearly a tenth of a second after the first."""
    [frame] = Rendered(Brightening(), FULL, start=START + 1, seconds=0.1, bands=4)
    picture = isp.develop_raw(frame.image, 64, 48)
    assert [picture[rows : rows + 12].mean() for rows in (0, 12, 24, 36)] == pytest.approx(
        [196, 199, 201, 204], abs=0.7
    )


def test_a_crop_shows_the_middle_of_the_array() -> None:
    """A white mark at the window's first pixel is the first of what is read."""
    view = grey(0, VIDEO)
    view.image[VIDEO.window.top : VIDEO.window.top + 40, VIDEO.window.left : VIDEO.window.left + 40] = 255
    values = PixelArray(VIDEO).read_out(view).values
    assert values[:40, :40].mean() > 200
    assert values[44:, :].max() < 100
    assert values[:, 44:].max() < 100
    assert drawn_size(VIDEO) == (ARRAY.width, ARRAY.height)
