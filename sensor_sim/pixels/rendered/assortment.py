"""What there is to buy: bottles, cans, jars and cartons, each kind in endless variety."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.looks import Colour, any_colour, from_hsv, label_art, mixed
from sensor_sim.pixels.rendered.products import SKIN, Floats, Product


def make_product(rng: np.random.Generator, label: str, tallest: float = 27.0) -> Product:
    """A product of one of ``LABELS`` that is at most ``tallest`` centimetres high."""
    return _MAKERS[label](rng, tallest)


def _plain_skin(colour: Colour, opacity: int = 255) -> Image:
    return np.full((*SKIN, 4), (*colour, opacity), np.uint8)


def _rows(bottom: float, top: float) -> slice:
    """Rows of the skin between two shares of the height."""
    return slice(round((1 - top) * SKIN[0]), round((1 - bottom) * SKIN[0]))


def _wrap_label(rng: np.random.Generator, skin: Image, bottom: float, top: float) -> None:
    rows = _rows(bottom, top)
    part = skin[rows]
    share = 1.0 if rng.random() < 0.7 else rng.uniform(0.35, 0.6)  # all around, or a patch on the front
    width = int(share * SKIN[1])
    left = (SKIN[1] - width) // 2
    part[:, left : left + width, :3] = label_art(rng, width, part.shape[0])
    part[:, left : left + width, 3] = 255


def _make_bottle(rng: np.random.Generator, tallest: float) -> Product:
    height = rng.uniform(0.68, 1.0) * min(tallest, 32.0)
    radius = height * rng.uniform(0.115, 0.17)
    shoulder, neck = rng.uniform(0.5, 0.72), rng.uniform(0.8, 0.88)
    thin = radius * rng.uniform(0.3, 0.48)
    cap = rng.uniform(0.91, 0.95)
    profile = _bottle_profile(rng, height, radius, shoulder, neck, thin, cap)
    skin = _bottle_skin(rng, shoulder, cap)
    cap_colour = any_colour(rng)
    skin[_rows(cap, 1.0)] = (*cap_colour, 255)
    skin[_rows(cap, 1.0), ::8, :3] = mixed(cap_colour, (0, 0, 0), 0.25)
    skin[_rows(cap - 0.008, cap)] = (*mixed(cap_colour, (0, 0, 0), 0.4), 255)
    gloss = rng.uniform(0.5, 1.3)
    return Product("bottle", 2 * radius, height, 2 * radius, skin, cap_colour, gloss, profile)


def _bottle_profile(
    rng: np.random.Generator,
    height: float,
    radius: float,
    shoulder: float,
    neck: float,
    thin: float,
    cap: float,
) -> Floats:
    rise = np.linspace(0.0, 1.0, 12)
    slope = rng.uniform(0.7, 1.6)
    curve = thin + (radius - thin) * (0.5 + 0.5 * np.cos(np.pi * rise**slope))
    waist = rng.uniform(0.86, 1.0)
    wide = thin * rng.uniform(1.02, 1.3)
    return np.concatenate(
        [
            [(0.0, 0.9 * radius), (0.02 * height, radius), (0.18 * height, radius)],
            [(0.3 * height, waist * radius), (0.45 * height, radius)],
            np.stack([(shoulder + rise * (neck - shoulder)) * height, curve], axis=1),
            [(cap * height - 0.05, thin), (cap * height, wide), (height, wide)],
        ]
    )


def _bottle_skin(rng: np.random.Generator, shoulder: float, cap: float) -> Image:
    kind = rng.choice(["water", "glass", "drink", "opaque"], p=[0.3, 0.2, 0.3, 0.2])
    if kind == "water":
        tint = from_hsv(rng.uniform(0.5, 0.62), rng.uniform(0.05, 0.45), rng.uniform(0.7, 0.95))
        skin = _plain_skin(tint, int(rng.uniform(70, 150)))
        _fill(rng, skin, cap, mixed(tint, (120, 100, 80), rng.uniform(0.1, 0.4)), int(rng.uniform(110, 190)))
        _sparkle(rng, skin)
    elif kind == "glass":
        tint = from_hsv(
            float(rng.choice([0.06, 0.1, 0.25, 0.35])), rng.uniform(0.5, 0.95), rng.uniform(0.15, 0.5)
        )
        skin = _plain_skin(tint, int(rng.uniform(190, 240)))
    else:
        tint = any_colour(rng)
        skin = _plain_skin(tint, 255 if kind == "opaque" else int(rng.uniform(120, 200)))
        if kind == "drink":
            _fill(rng, skin, cap, tint, 245)
    if rng.random() < (0.55 if kind == "water" else 0.9):
        bottom = rng.uniform(0.08, 0.3)
        _wrap_label(rng, skin, bottom, rng.uniform(bottom + 0.15, max(shoulder, bottom + 0.2)))
    return skin


def _fill(rng: np.random.Generator, skin: Image, cap: float, colour: Colour, opacity: int) -> None:
    """Something to drink, up to a level near the neck."""
    level = rng.uniform(0.65, cap - 0.03)
    skin[_rows(0.0, level)] = (*colour, opacity)
    skin[_rows(level - 0.006, level)] = (*mixed(colour, (255, 255, 255), 0.5), min(255, opacity + 40))


def _sparkle(rng: np.random.Generator, skin: Image) -> None:
    """Light broken by the foot of a clear bottle, and faint rings around its body."""
    for _ in range(14):
        x, y = int(rng.uniform(0, SKIN[1])), int(rng.uniform(0.94, 0.995) * SKIN[0])
        ink = mixed((255, 255, 255), (150, 60, 30), float(rng.integers(0, 2)))
        cv2.ellipse(skin, (x, y), (int(rng.uniform(2, 9)), 3), rng.uniform(-30, 30), 0, 360, (*ink, 220), -1)
    for y in rng.uniform(0.3, 0.9, rng.integers(0, 6)):
        row = skin[int(y * SKIN[0]) : int(y * SKIN[0]) + 3]
        row[..., :3] = cv2.addWeighted(row[..., :3], 0.8, np.full_like(row[..., :3], 255), 0.2, 0)


def _make_can(rng: np.random.Generator, tallest: float) -> Product:
    radius = rng.uniform(2.6, 4.3)
    height = min(tallest, radius * rng.uniform(2.4, 5.0 if radius < 3.4 else 3.4))
    drink = rng.random() < 0.6
    rim = radius * (0.84 if drink else 1.0)
    taper = 0.07 if drink else 0.02
    profile = np.array(
        [
            (0.0, rim),
            (taper * height, radius),
            ((1 - taper) * height, radius),
            (0.985 * height, rim),
            (height, rim * 1.02),
        ]
    )
    silver = mixed((188, 186, 184), (120, 150, 170), rng.random() * 0.5)
    skin = _plain_skin(silver)
    _wrap_all_around(rng, skin, taper * 0.5, 1 - taper * 0.8)
    if not drink and rng.random() < 0.5:
        skin[_rows(0.1, 0.9)][::12, :, :3] //= 2
    return Product("can", 2 * radius, height, 2 * radius, skin, silver, rng.uniform(0.4, 1.2), profile)


def _wrap_all_around(rng: np.random.Generator, skin: Image, bottom: float, top: float) -> None:
    part = skin[_rows(bottom, top)]
    part[..., :3] = label_art(rng, SKIN[1], part.shape[0])


def _make_jar(rng: np.random.Generator, tallest: float) -> Product:
    radius = rng.uniform(2.8, 4.8)
    height = min(tallest, radius * rng.uniform(2.0, 3.4))
    lid = rng.uniform(0.8, 0.88)
    wide = radius * rng.uniform(0.8, 1.0)
    profile = np.array(
        [
            (0.0, 0.9 * radius),
            (0.04 * height, radius),
            ((lid - 0.12) * height, radius),
            ((lid - 0.02) * height, wide * 0.93),
            (lid * height, wide),
            (height, wide),
        ]
    )
    content = from_hsv(rng.uniform(0.0, 0.3), rng.uniform(0.3, 0.95), rng.uniform(0.2, 0.85))
    skin = _plain_skin(mixed(content, (230, 230, 230), 0.5), 150)
    skin[_rows(0.03, lid - rng.uniform(0.04, 0.12))] = (*content, 248)
    _speckle(rng, skin, content, lid)
    if rng.random() < 0.85:
        bottom = rng.uniform(0.1, 0.25)
        _wrap_label(rng, skin, bottom, rng.uniform(bottom + 0.25, lid - 0.12))
    cap = any_colour(rng)
    skin[_rows(lid, 1.0)] = (*cap, 255)
    skin[_rows(lid, 1.0), ::6, :3] = mixed(cap, (0, 0, 0), 0.2)
    return Product("jar", 2 * radius, height, 2 * radius, skin, cap, rng.uniform(0.6, 1.3), profile)


def _speckle(rng: np.random.Generator, skin: Image, content: Colour, lid: float) -> None:
    """Fruit, gherkins or grains behind the glass."""
    size = rng.uniform(2, 22)
    for _ in range(rng.integers(0, 60)):
        x, y = int(rng.uniform(0, SKIN[1])), int(rng.uniform(1.15 - lid, 0.95) * SKIN[0])
        ink = mixed(content, (255, 255, 255) if rng.random() < 0.4 else (0, 0, 0), rng.uniform(0.1, 0.4))
        axes = (int(size), int(size * rng.uniform(0.4, 1.2)) + 1)
        cv2.ellipse(skin, (x, y), axes, rng.uniform(0, 180), 0, 360, (*ink, 250), -1)


def _make_carton(rng: np.random.Generator, tallest: float) -> Product:
    height = rng.uniform(0.35, 0.95) * min(tallest, 30.0)
    width = float(np.clip(height * rng.uniform(0.4, 1.3), 5.0, 17.0))
    depth = float(np.clip(width * rng.uniform(0.35, 1.0), 3.5, 9.0))
    skin = np.full((SKIN[0], 3 * SKIN[1], 4), 255, np.uint8)
    front, side, lid = (skin[:, i * SKIN[1] : (i + 1) * SKIN[1], :3] for i in range(3))
    front[:] = label_art(rng, SKIN[1], SKIN[0])
    ground = _colour_at(front, 4, 4)
    side[:] = label_art(rng, SKIN[1], SKIN[0]) if rng.random() < 0.3 else ground
    lid[:] = ground
    lid[126:130] = mixed(ground, (0, 0, 0), 0.3)
    return Product("carton", width, height, depth, skin, ground, 0.0)


def _colour_at(image: Image, row: int, column: int) -> Colour:
    blue, green, red = (int(c) for c in image[row, column])
    return blue, green, red


_MAKERS: dict[str, Callable[[np.random.Generator, float], Product]] = {
    "bottle": _make_bottle,
    "can": _make_can,
    "jar": _make_jar,
    "carton": _make_carton,
}
