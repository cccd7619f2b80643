"""Products: what they look like from any side.

A product is drawn once for each angle it is seen under, as a sprite: seen from far away (in parallel
projection), upright, in centimetres from the middle of its foot. The shelf then turns and scales the sprite
to where an item stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.looks import Colour

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
