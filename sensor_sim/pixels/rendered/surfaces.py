"""Textures of floors and walls, made of noise and lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from sensor_sim.pixels.rendered.solids import Colour, Patch

SIZE = 384


class Surface(NamedTuple):
    """A square tile that repeats every ``metres`` both ways: SIZE x SIZE x 3, blue, green, red, 0 to 255."""

    tile: Patch
    metres: float

    def at(self, u: Patch, v: Patch) -> Patch:
        """The texture at points of the surface, in metres; arrays of one length. Returns N x 3."""
        scale = SIZE / self.metres
        # remap takes no more than 32767 columns and wraps slowly; so the wrapping is done here.
        x = np.mod(u * scale, SIZE).astype(np.float32)
        y = np.mod(v * scale, SIZE).astype(np.float32)
        columns = 4096
        spare = -len(x) % columns if len(x) else columns
        x, y = (np.pad(axis, (0, spare)).reshape(-1, columns) for axis in (x, y))
        colours = cv2.remap(self.tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(colours, np.float32).reshape(-1, 3)[: len(u)]


@cache
def _blurred(scale: float) -> Patch:
    """Noise that repeats at the tile's edges, blurred by so many pixels, mean 0, deviation 1."""
    spectrum = np.fft.rfft2(np.random.default_rng(round(scale * 10)).normal(0, 1, (SIZE, SIZE)))
    fy, fx = np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :]
    noise = np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * scale) ** 2 * (fx**2 + fy**2)))
    noise -= noise.mean()
    return np.asarray(noise / noise.std(), np.float32)


def _noise(rng: np.random.Generator, *scales: float) -> Patch:
    """The mean of noises of several scales, each from another place."""
    shifted = [np.roll(_blurred(scale), rng.integers(0, SIZE, 2), (0, 1)) for scale in scales]
    return np.asarray(sum(shifted) / np.float32(len(scales)))


def _coloured(colour: Colour, tone: Patch) -> Patch:
    return np.clip(tone[..., None] * np.array(colour, np.float32), 0, 255).astype(np.float32)


def plain(rng: np.random.Generator, colour: Colour) -> Patch:
    return _coloured(colour, 1 + 0.012 * _noise(rng, 1, 40))


def concrete(rng: np.random.Generator, colour: Colour) -> Patch:
    return _coloured(colour, 1 + rng.uniform(0.03, 0.09) * _noise(rng, 1, 6, 30, 60))


def carpet(rng: np.random.Generator, colour: Colour) -> Patch:
    return _coloured(colour, 1 + rng.uniform(0.05, 0.16) * _noise(rng, 0.6) + 0.03 * _noise(rng, 30))


def terrazzo(rng: np.random.Generator, colour: Colour) -> Patch:
    chips = _noise(rng, 2.0)
    tone = 1 + 0.02 * _noise(rng, 30) + 0.12 * (chips > 1.2) - 0.2 * (chips < -1.3)
    return _coloured(colour, tone.astype(np.float32))


def tiles(rng: np.random.Generator, colour: Colour) -> Patch:
    count = int(rng.choice([2, 4, 6]))
    cell = SIZE // count
    each = 1 + rng.uniform(0, 0.08) * rng.normal(0, 1, (count, count))
    if rng.random() < 0.3:
        each *= 1 - rng.uniform(0.1, 0.6) * (np.indices((count, count)).sum(axis=0) % 2)
    tone = np.kron(each, np.ones((cell, cell))).astype(np.float32) + 0.02 * _noise(rng, 2, 20)
    place = np.arange(SIZE) % cell
    joint = place < max(2, cell // 40)
    tone[joint, :] *= (grout := rng.uniform(0.6, 1.15))
    tone[:, joint] *= grout
    return _coloured(colour, tone)


def planks(rng: np.random.Generator, colour: Colour) -> Patch:
    rows = int(rng.choice([8, 16, 24]))
    wide = SIZE // rows
    contrast = rng.uniform(0.04, 0.22)
    tone = np.empty((SIZE, SIZE), np.float32)
    tint = np.empty((SIZE, SIZE), np.float32)
    for row in range(rows):
        ends = np.sort(rng.integers(0, SIZE, 2))
        boards = np.searchsorted(ends, np.arange(SIZE)) % 2
        across = slice(row * wide, (row + 1) * wide)
        tone[across] = (1 + contrast * rng.normal(0, 1, 2))[boards]
        tint[across] = rng.normal(0, 0.05, 2)[boards]
        tone[row * wide] *= 0.75
        tone[across, ends] *= 0.75
    grain = cv2.resize(_noise(rng, 1.5)[:, : SIZE // 8], (SIZE, SIZE))
    tone *= 1 + rng.uniform(0.02, 0.08) * grain
    board = _coloured(colour, tone)
    board[..., 0] *= 1 - tint
    board[..., 2] *= 1 + tint
    return np.clip(board, 0, 255)


def bricks(rng: np.random.Generator, colour: Colour) -> Patch:
    rows, columns = 16, 6
    tone = np.empty((SIZE, SIZE), np.float32)
    y, x = np.indices((SIZE, SIZE))
    row = y * rows // SIZE
    place = x * columns / SIZE + 0.5 * (row % 2)
    each = 1 + 0.1 * rng.normal(0, 1, (rows, columns))
    tone[:] = each[row, place.astype(int) % columns] + 0.04 * _noise(rng, 1, 5)
    joint = (y % (SIZE // rows) < 3) | (place % 1.0 < 0.04)
    tone[joint] = rng.uniform(0.7, 1.3)
    return _coloured(colour, tone)


Maker = Callable[[np.random.Generator, Colour], Patch]
FLOORS: tuple[Maker, ...] = (tiles, tiles, planks, planks, concrete, carpet, terrazzo, plain)
WALLS: tuple[Maker, ...] = (plain, plain, plain, concrete, bricks, tiles, planks)


def made(rng: np.random.Generator, maker: Maker, colour: Colour, metres: float) -> Surface:
    return Surface(maker(rng, colour), metres)


def floor_colour(rng: np.random.Generator) -> Colour:
    """Wood, stone, or anything."""
    kind = rng.random()
    if kind < 0.4:
        bright = rng.uniform(0.35, 1.15)
        return 75 * bright * rng.uniform(0.6, 1.3), 120 * bright, 185 * bright
    if kind < 0.85:
        grey = rng.uniform(40, 225)
        return grey * rng.uniform(0.85, 1.05), grey, grey * rng.uniform(0.95, 1.15)
    b, g, r = rng.uniform(30, 200, 3)
    return float(b), float(g), float(r)


def wall_colour(rng: np.random.Generator) -> Colour:
    grey = rng.uniform(150, 250) if rng.random() < 0.7 else rng.uniform(30, 150)
    b, g, r = np.clip(grey * (1 + rng.normal(0, 0.05 if rng.random() < 0.7 else 0.3, 3)), 5, 252)
    return float(b), float(g), float(r)
