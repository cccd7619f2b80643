"""The items of a bay, each drawn once per size of the picture and kept as a patch to lay on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.products import Product, Sprite
from sensor_sim.pixels.rendered.shelf_bay import Bay, Camera, Floats

# Sprites are drawn for angles in these steps, radians.
ELEVATION_STEP, TURN_STEP = 0.03, 0.06
FINEST = 12.0  # pixels a centimetre; closer by, sprites are enlarged


class Patch(NamedTuple):
    """Lies on the picture with its upper left corner at column ``left``, row ``top``: what was there is
    multiplied by ``kept`` (255 leaves it), then ``ink`` is added.
    """

    left: int
    top: int
    kept: Image
    ink: Image

    @property
    def right(self) -> int:
        return self.left + int(self.ink.shape[1])

    @property
    def bottom(self) -> int:
        return self.top + int(self.ink.shape[0])


class Region(NamedTuple):
    """Columns and rows of a picture, from the first to before the last."""

    left: int
    top: int
    right: int
    bottom: int


class Pose(NamedTuple):
    """How an item is seen: angles as its sprite is drawn, the foot's middle and the directions of its right
    and up, a centimetre each, in widths of the picture.
    """

    elevation: float
    turn: float
    foot: Floats
    right: Floats
    up: Floats

    def outline(self, product: Product) -> Floats:
        """n x 2, in widths of the picture."""
        points = product.outline(self.elevation, self.turn)
        outline: Floats = self.foot + points[:, :1] * self.right + points[:, 1:] * self.up
        return outline


def pose(camera: Camera, product: Product, turn: float, place: Floats) -> Pose:
    """``place`` is the middle of the item's foot. What is held above the camera is shown as if level with it."""
    ahead = camera.position - place - (0.0, product.height / 2, 0.0)
    elevation = _stepped(max(float(np.arctan2(ahead[1], np.hypot(ahead[0], ahead[2]))), 0.0), ELEVATION_STEP)
    turn = _stepped(turn - float(np.arctan2(-ahead[0], -ahead[2])), TURN_STEP)
    foot, head = camera.project(place + np.array([[0.0, 0.0, 0.0], [0.0, product.height, 0.0]]))
    up = (head - foot) / (product.height * np.cos(elevation))
    return Pose(elevation, turn, foot, np.array([-up[1], up[0]]), up)


def _stepped(angle: float, step: float) -> float:
    return round(angle / step) * step


@lru_cache(maxsize=256)
def _sprite(product: Product, elevation: float, turn: float, scale: float) -> Sprite:
    return product.sprite(elevation, turn, scale)


def make_patch(bay: Bay, product: Product, seen: Pose, place: Floats | None, width: int) -> Patch | None:
    """An item on a picture of 4:3, ``width`` wide; None if it lies beyond. With a ``place``, the middle of
    its foot, it stands there and throws a shadow; in a hand it does not.
    """
    scale = min(FINEST, float(np.linalg.norm(seen.up)) * width)
    sprite = _sprite(product, seen.elevation, seen.turn, float(2.0 ** (np.ceil(np.log2(scale) * 4) / 4)))
    matrix = _matrix(sprite, seen, width)
    rows, columns = sprite.image.shape[:2]
    corners = np.array([[0, 0, 1], [columns, 0, 1], [columns, rows, 1], [0, rows, 1]]) @ matrix.T
    shadow = None if place is None else _shadow_outline(bay.camera, product, place) * width
    region = _bounds(corners if shadow is None else np.concatenate([corners, shadow]), width)
    if region.right <= region.left or region.bottom <= region.top:
        return None
    return _laid(sprite, matrix, region, shadow, _light(bay, place))


def _light(bay: Bay, place: Floats | None) -> float:
    """It is darker at the back of a shelf."""
    if place is None or bay.table:
        return 1.0
    return 1.0 - 0.35 * float(place[2]) / bay.depth


def _laid(sprite: Sprite, matrix: Floats, region: Region, shadow: Floats | None, light: float) -> Patch:
    shift = matrix - [[0, 0, region.left], [0, 0, region.top]]
    size = region.right - region.left, region.bottom - region.top
    seen = cv2.warpAffine(sprite.image, shift, size, flags=cv2.INTER_LINEAR)
    ink = np.asarray(cv2.convertScaleAbs(seen[..., :3], alpha=light), np.uint8)
    kept = np.asarray(255 - seen[..., 3], np.uint8)
    if shadow is not None:
        dark = _shadow(shadow - (region.left, region.top), size)
        kept = np.asarray(cv2.multiply(kept, dark, scale=1 / 255), np.uint8)
    return Patch(region.left, region.top, np.asarray(cv2.merge([kept] * 3), np.uint8), ink)


def _matrix(sprite: Sprite, seen: Pose, width: int) -> Floats:
    """2 x 3, from the sprite's pixels to the picture's."""
    right, up = seen.right * width / sprite.scale, seen.up * width / sprite.scale
    corner = seen.foot * width - sprite.left * sprite.scale * right + sprite.top * sprite.scale * up
    # Pixels are counted from their middles by warpAffine, from their corners here.
    middle = corner + 0.5 * right - 0.5 * up - 0.5
    return np.stack([right, -up, middle], axis=1)


def _shadow_outline(camera: Camera, product: Product, place: Floats) -> Floats:
    """Around the foot, thrown a little to the right and back."""
    circle = np.linspace(0, 2 * np.pi, 20)
    across, along = 0.6 * product.width + 0.4, 0.6 * product.depth + 0.4
    ring = np.stack([across * np.cos(circle) + 0.6, np.zeros(20), along * np.sin(circle) + 0.8], axis=1)
    return camera.project(place + ring)


def _shadow(outline: Floats, size: tuple[int, int]) -> Image:
    mask = np.full(size[::-1], 255, np.uint8)
    cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 120, cv2.LINE_AA, 4)
    softness = max(0.5, 0.05 * float(np.ptp(outline[:, 0])))
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), softness, borderType=cv2.BORDER_REPLICATE), np.uint8)


def _bounds(points: Floats, width: int) -> Region:
    """Whole pixels around the points, with room for soft edges, within a picture of 4:3."""
    margin = 2 + 0.06 * float(np.ptp(points[:, 0]))
    limits = (width, width * 3 // 4)
    left, top = np.clip(np.floor(points.min(axis=0) - margin).astype(int), 0, limits)
    right, bottom = np.clip(np.ceil(points.max(axis=0) + margin).astype(int), 0, limits)
    return Region(int(left), int(top), int(right), int(bottom))


def around(patches: Sequence[Patch]) -> Region:
    return Region(
        min(patch.left for patch in patches),
        min(patch.top for patch in patches),
        max(patch.right for patch in patches),
        max(patch.bottom for patch in patches),
    )


def lay(canvas: Image, patches: Iterable[Patch], within: Region) -> None:
    """Draw the patches one over another, changing nothing outside of ``within``."""
    for patch in patches:
        left, top = max(patch.left, within.left), max(patch.top, within.top)
        right, bottom = min(patch.right, within.right), min(patch.bottom, within.bottom)
        if left >= right or top >= bottom:
            continue
        part = np.s_[top - patch.top : bottom - patch.top, left - patch.left : right - patch.left]
        region = canvas[top:bottom, left:right]
        region[:] = cv2.add(cv2.multiply(region, patch.kept[part], scale=1 / 255), patch.ink[part])
