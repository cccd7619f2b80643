"""Products: what they look like from any side.

A product is drawn once for each angle it is seen under, as a sprite: seen from far away (in parallel
projection), upright, in centimetres from the middle of its foot. The shelf then turns and scales the sprite
to where an item stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.looks import Colour, any_colour, from_hsv, label_art, mixed

LABELS = ("bottle", "can", "carton", "jar")

Floats = NDArray[np.float64]
Pixels = NDArray[np.float32]

SKIN = (256, 256)  # pixels over the height and once around


class Sprite(NamedTuple):
    """``image`` is blue, green, red, all already multiplied by the fourth, opacity; pixel (column, row) shows
    the point (column / ``scale`` - ``left``, ``top`` - row / ``scale``) in centimetres right of and above the
    foot's middle.
    """

    image: Image
    scale: float
    left: float
    top: float


@dataclass(frozen=True, eq=False)
class Product:
    """One kind of package. Lengths in centimetres.

    ``profile`` holds rows of (height, radius) of a round package, growing in height; a box has none and is
    ``width`` x ``height`` x ``depth``. ``skin`` is its surface, blue, green, red and opacity: over the
    height (top first) and once around (the front in the middle) of a round one; the front, the side and the
    lid side by side, a third each, of a box.
    """

    label: str
    width: float
    height: float
    depth: float
    skin: Image
    lid: Colour
    gloss: float
    profile: Floats | None = None

    def outline(self, elevation: float, turn: float) -> Floats:
        """Polygon of n x 2 points (right, up) in centimetres from the foot's middle.

        ``elevation`` and ``turn`` say from where it is seen: radians above the horizon and around from its
        front to its right.
        """
        if self.profile is None:
            return _box_outline(self, elevation, turn)
        return _round_outline(self.profile, elevation)

    def sprite(self, elevation: float, turn: float, scale: float) -> Sprite:
        """The product at ``scale`` pixels a centimetre."""
        outline = self.outline(elevation, turn)
        fine = scale * (2.0 if scale * self.height < 300 else 1.0)
        low, high = outline.min(axis=0) - 2 / scale, outline.max(axis=0) + 2 / scale
        size = np.ceil((high - low) * scale).astype(int)
        grid = np.round(size * fine / scale).astype(int)
        canvas = np.zeros((grid[1], grid[0], 4), np.uint8)
        frame = Sprite(canvas, fine, -float(low[0]), float(high[1]))
        mask = _mask(frame, outline)
        if self.profile is None:
            _draw_box(self, frame, elevation, turn)
        else:
            _draw_round(self, frame, elevation, turn)
        canvas[..., 3] = cv2.multiply(canvas[..., 3], mask, scale=1 / 255)
        canvas[..., :3] = cv2.multiply(canvas[..., :3], cv2.merge([canvas[..., 3]] * 3), scale=1 / 255)
        if fine != scale:
            small = cv2.resize(canvas, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
            canvas = np.asarray(small, np.uint8)
        return Sprite(canvas, scale, frame.left, frame.top)


def _to_pixels(frame: Sprite, points: Floats) -> Floats:
    return np.stack([points[:, 0] + frame.left, frame.top - points[:, 1]], axis=1) * frame.scale


def _mask(frame: Sprite, outline: Floats) -> Image:
    mask = np.zeros(frame.image.shape[:2], np.uint8)
    points = np.round((_to_pixels(frame, outline) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
    return mask


# --- round packages ----------------------------------------------------------------------------------------


def _round_outline(profile: Floats, elevation: float) -> Floats:
    """The lower half of the foot's ellipse, the sides, the upper half of the lid's ellipse."""
    height, radius = profile.T
    around = np.linspace(0.0, np.pi, 24)
    half = np.stack([np.cos(around), np.sin(around) * np.sin(elevation)], axis=1)
    foot = half[::-1] * (1, -1) * radius[0] + (0, height[0] * np.cos(elevation))
    lid = half * radius[-1] + (0, height[-1] * np.cos(elevation))
    side = np.stack([radius, height * np.cos(elevation)], axis=1)
    return np.concatenate([foot, side, lid, side[::-1] * (-1, 1)])


def _draw_round(product: Product, frame: Sprite, elevation: float, turn: float) -> None:
    """Find for each pixel the height and the angle of the surface point it shows, and shade that point.

    A point at height h and towards the viewer t is seen at h cos e - t sin e above the foot, where
    t² = r(h)² - x²; h follows from a few fixed-point steps.
    """
    assert product.profile is not None
    rows, columns = frame.image.shape[:2]
    x = ((np.arange(columns, dtype=np.float32) + 0.5) / frame.scale - frame.left)[None, :]
    up = (frame.top - (np.arange(rows, dtype=np.float32) + 0.5) / frame.scale)[:, None]
    cos, sin = float(np.cos(elevation)), float(np.sin(elevation))
    h, r = _surface(product.profile, x, up, cos, sin)
    across = np.clip(x / r, -1, 1)
    angle = np.arcsin(across)
    column = (angle + turn) * (SKIN[1] / (2 * np.pi)) + SKIN[1] / 2
    row = (1 - h / product.height) * (SKIN[0] - 1)
    seen = cv2.remap(
        product.skin,
        column.astype(np.float32),
        row.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    shade, shine = _round_light(angle, product.gloss)
    frame.image[..., :3] = np.clip(seen[..., :3] * shade[..., None] + shine[..., None], 0, 255)
    # Glass is denser where one looks along it.
    rim = np.clip(np.abs(across) * 3 - 2, 0, 1)
    frame.image[..., 3] = np.maximum(seen[..., 3], np.maximum(rim * 190, shine))
    _draw_lid(product, frame, elevation)


def _surface(profile: Floats, x: Pixels, up: Pixels, cos: float, sin: float) -> tuple[Pixels, Pixels]:
    """Height and radius of the surface point nearest to the viewer, for each pixel."""
    heights = np.linspace(0.0, profile[-1, 0], 257)
    radii = np.interp(heights, profile[:, 0], profile[:, 1]).astype(np.float32)
    step = 256 / float(profile[-1, 0])
    h: Pixels = np.broadcast_to(up / cos, (up.shape[0], x.shape[1]))
    for _ in range(4):
        r = radii[np.clip(h * step, 0, 256).astype(np.int16)]
        h = (up + sin * np.sqrt(np.maximum(r * r - x * x, 0))) / cos
    h = np.clip(h, 0, float(profile[-1, 0]))
    return h, radii[(h * step).astype(np.int16)]


def _round_light(angle: Pixels, gloss: float) -> tuple[Pixels, Pixels]:
    """Diffuse light from the upper left with a dark rim, and the shine of two lamps."""
    shade = 0.45 + 0.6 * np.maximum(np.cos(angle + 0.35), 0) ** 0.8
    lamps = np.exp(-(((angle + 0.75) / 0.13) ** 2)) + 0.4 * np.exp(-(((angle - 0.9) / 0.1) ** 2))
    return shade, lamps * (110 * gloss)


def _draw_lid(product: Product, frame: Sprite, elevation: float) -> None:
    assert product.profile is not None
    height, radius = product.profile[-1]
    centre = _to_pixels(frame, np.array([[0.0, height * np.cos(elevation)]]))[0]
    for share, dark in ((1.0, 1.0), (0.86, 0.7), (0.8, 1.06)):
        axes = np.array([radius, radius * np.sin(elevation)]) * share * frame.scale
        colour = tuple(min(255, int(c * dark)) for c in product.lid)
        cv2.ellipse(
            frame.image, _fixed(centre - 0.5), _fixed(axes), 0, 0, 360, (*colour, 255), -1, cv2.LINE_AA, 4
        )


def _fixed(point: Floats) -> tuple[int, int]:
    """In sixteenths of a pixel, as OpenCV draws with ``shift`` 4."""
    return round(float(point[0]) * 16), round(float(point[1]) * 16)


# --- boxes -------------------------------------------------------------------------------------------------


def _box_corners(product: Product, elevation: float, turn: float) -> Floats:
    """2 x 2 x 2 points (right, up): by left/right, foot/lid, back/front."""
    cos, sin = np.cos(turn), np.sin(turn)
    corners = np.empty((2, 2, 2, 2))
    for i, x in enumerate((-product.width / 2, product.width / 2)):
        for j, h in enumerate((0.0, product.height)):
            for k, near in enumerate((-product.depth / 2, product.depth / 2)):
                right, towards = x * cos - near * sin, x * sin + near * cos
                corners[i, j, k] = right, h * np.cos(elevation) - towards * np.sin(elevation)
    return corners


def _box_outline(product: Product, elevation: float, turn: float) -> Floats:
    corners = _box_corners(product, elevation, turn).reshape(-1, 2).astype(np.float32)
    return cv2.convexHull(corners)[:, 0].astype(np.float64)


def _draw_box(product: Product, frame: Sprite, elevation: float, turn: float) -> None:
    """The faces that are seen: one side, the lid, the front; the light comes from the upper left."""
    c = _box_corners(product, elevation, turn)
    third = product.skin.shape[1] // 3
    front, side, lid = (product.skin[:, i * third : (i + 1) * third] for i in range(3))
    if turn > 0:
        _draw_face(frame, side, (c[1, 1, 1], c[1, 1, 0], c[1, 0, 0], c[1, 0, 1]), 0.62)
    else:
        _draw_face(frame, side, (c[0, 1, 0], c[0, 1, 1], c[0, 0, 1], c[0, 0, 0]), 0.85)
    _draw_face(frame, lid, (c[0, 1, 0], c[1, 1, 0], c[1, 1, 1], c[0, 1, 1]), 1.1)
    _draw_face(frame, front, (c[0, 1, 1], c[1, 1, 1], c[1, 0, 1], c[0, 0, 1]), 0.97)


def _draw_face(frame: Sprite, skin: Image, corners: tuple[Floats, ...], light: float) -> None:
    """Corners are given from the face's upper left, clockwise."""
    there = _to_pixels(frame, np.stack(corners)).astype(np.float32)
    height, width = skin.shape[:2]
    here = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    rows, columns = frame.image.shape[:2]
    turned = cv2.warpPerspective(
        np.ascontiguousarray(skin),
        cv2.getPerspectiveTransform(here, there),
        (columns, rows),
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_REPLICATE,
    )
    mask = np.zeros((rows, columns), np.uint8)
    # Grown by half a pixel, so that nothing shows between two faces.
    cv2.fillConvexPoly(mask, np.round((there - 0.5) * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    shade = light * np.linspace(1.04, 0.92, rows, dtype=np.float32)[:, None, None]
    face = np.clip(turned[..., :3] * shade, 0, 255).astype(np.uint8)
    np.copyto(frame.image[..., :3], face, where=mask[..., None] > 0)
    np.copyto(frame.image[..., 3], mask, where=mask > 0)


# --- what there is to buy ----------------------------------------------------------------------------------


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
    front, side = label_art(rng, 256, 256), label_art(rng, 256, 256)
    blue, green, red = (int(c) for c in front[4, 4])
    ground = blue, green, red
    if rng.random() < 0.7:
        side = (0.25 * side + 0.75 * np.array(ground)).astype(np.uint8)
    lid = np.full_like(front, ground)
    cv2.line(lid, (0, 128), (255, 128), mixed(ground, (0, 0, 0), 0.3), 3)
    skin = np.dstack([np.hstack([front, side, lid]), np.full((256, 768), 255, np.uint8)])
    return Product("carton", width, height, depth, skin, ground, 0.0)


_MAKERS: dict[str, Callable[[np.random.Generator, float], Product]] = {
    "bottle": _make_bottle,
    "can": _make_can,
    "jar": _make_jar,
    "carton": _make_carton,
}
