"""The art on packages: labels, logos, lettering and colours, drawn per seed."""

from __future__ import annotations

import cv2
import numpy as np

from sensor_sim.pixels import Image

Colour = tuple[int, int, int]  # blue, green, red
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_ITALIC)
SYLLABLES = [
    "ba",
    "ko",
    "mi",
    "lu",
    "sta",
    "ner",
    "vi",
    "to",
    "ra",
    "fe",
    "qua",
    "zi",
    "pol",
    "da",
    "nu",
    "gri",
    "so",
    "lem",
    "ta",
    "ro",
]


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """``hue`` turns once from 0 to 1; the others are 0 to 1."""
    pixel = np.array([[[hue % 1.0 * 179, saturation * 255, value * 255]]]).astype(np.uint8)
    blue, green, red = (int(c) for c in cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0])
    return blue, green, red


def any_colour(rng: np.random.Generator) -> Colour:
    """A colour such as packages have: mostly vivid, sometimes white, black or grey."""
    if rng.random() < 0.25:
        return from_hsv(0.0, 0.0, float(rng.choice([0.12, 0.5, 0.9, 0.97])))
    return from_hsv(rng.random(), rng.uniform(0.25, 0.95), rng.uniform(0.3, 0.95))


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """``a`` with ``share`` of ``b`` in it."""
    blue, green, red = (round(x + share * (y - x)) for x, y in zip(a, b, strict=True))
    return blue, green, red


def label_art(rng: np.random.Generator, width: int, height: int) -> Image:
    """A label: ground, bands, shapes, a logo, a name and small print."""
    art = _ground(rng, width, height)
    for _ in range(rng.integers(0, 4)):
        _band(rng, art)
    for _ in range(rng.integers(0, 5)):
        _blob(rng, art)
    if rng.random() < 0.7:
        _logo(rng, art)
    _name(rng, art)
    _small_print(rng, art)
    return art


def _ground(rng: np.random.Generator, width: int, height: int) -> Image:
    top, bottom = any_colour(rng), any_colour(rng)
    if rng.random() < 0.6:
        bottom = mixed(top, (0, 0, 0), rng.uniform(0.0, 0.3))
    ramp = np.linspace(0.0, 1.0, height)[:, None, None]
    column = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
    return np.repeat(column.astype(np.uint8), width, axis=1)


def _band(rng: np.random.Generator, art: Image) -> None:
    height, width = art.shape[:2]
    start, size = rng.uniform(0.0, 0.9), rng.uniform(0.02, 0.3)
    colour = any_colour(rng)
    if rng.random() < 0.7:
        first, last = (0, int(start * height)), (width, int((start + size) * height))
    else:
        first, last = (int(start * width), 0), (int((start + size / 2) * width), height)
    cv2.rectangle(art, first, last, colour, -1)


def _blob(rng: np.random.Generator, art: Image) -> None:
    height, width = art.shape[:2]
    centre = int(rng.uniform(0, width)), int(rng.uniform(0, height))
    axes = int(rng.uniform(0.04, 0.2) * width), int(rng.uniform(0.04, 0.25) * height)
    cv2.ellipse(art, centre, axes, rng.uniform(0, 180), 0, 360, any_colour(rng), -1, cv2.LINE_AA)


def _logo(rng: np.random.Generator, art: Image) -> None:
    height, width = art.shape[:2]
    centre = np.array([width / 2, rng.uniform(0.25, 0.7) * height])
    corners = int(rng.choice([3, 4, 5, 6, 24]))
    angles = np.arange(corners * 2) * np.pi / corners + rng.uniform(0, np.pi)
    radii = np.where(np.arange(corners * 2) % 2, rng.uniform(0.4, 1.0), 1.0) * rng.uniform(0.1, 0.22)
    points = centre + radii[:, None] * min(width, height) * np.stack([np.cos(angles), np.sin(angles)], 1)
    cv2.fillPoly(art, [points.astype(np.int32)], any_colour(rng), cv2.LINE_AA)


def _name(rng: np.random.Generator, art: Image) -> None:
    height, width = art.shape[:2]
    name = "".join(rng.choice(SYLLABLES, rng.integers(1, 4))).upper()
    font, ink = int(rng.choice(FONTS)), any_colour(rng)
    thickness = max(1, width // 60)
    (wide, tall), _ = cv2.getTextSize(name, font, 1.0, thickness)
    scale = min(0.42 * width / wide, 0.3 * height / tall)
    at = int(width / 2 - scale * wide / 2), int(rng.uniform(0.3, 0.7) * height)
    cv2.putText(art, name, at, font, scale, ink, thickness, cv2.LINE_AA)


def _small_print(rng: np.random.Generator, art: Image) -> None:
    height, width = art.shape[:2]
    ink = any_colour(rng)
    top = rng.uniform(0.7, 0.9) * height
    for line in range(rng.integers(0, 4)):
        y, half = int(top + line * 0.05 * height), int(rng.uniform(0.08, 0.2) * width)
        cv2.line(art, (width // 2 - half, y), (width // 2 + half, y), ink, max(1, height // 90))
