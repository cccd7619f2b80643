"""Hands that reach in and people who stand before a shelf, seen from behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.looks import Colour, any_colour, mixed
from sensor_sim.pixels.rendered.shelf_bay import Camera, Floats

SKIN = ((180, 205, 240), (150, 180, 225), (110, 145, 200), (80, 110, 165), (50, 75, 120), (35, 50, 85))
HAIR = ((20, 20, 25), (30, 45, 70), (60, 95, 130), (120, 170, 200), (150, 150, 150), (25, 40, 110))


class Part(NamedTuple):
    """Polygons (n x 2, in widths of the picture) filled as one rounded body."""

    polygons: Sequence[Floats]
    colour: Colour


class Build(NamedTuple):
    """What somebody looks like; ``height`` and ``girth`` in centimetres."""

    height: float
    girth: float
    skin: Colour
    hair: Colour
    top: Colour
    trousers: Colour
    sleeve: float  # share of the arm that it covers


def build(person: int) -> Build:
    rng = np.random.default_rng([person, 5])
    return Build(
        rng.uniform(150, 188),
        rng.uniform(15, 22),
        SKIN[rng.integers(len(SKIN))],
        HAIR[rng.integers(len(HAIR))],
        any_colour(rng),
        mixed(any_colour(rng), (40, 30, 30), 0.7),
        float(rng.choice([0.35, 1.0], p=[0.3, 0.7])),
    )


def body(camera: Camera, who: Build, x: float, z: float, arms: Sequence[float]) -> list[Part]:
    """Legs, trunk, hanging ``arms`` (-1 the left, 1 the right) and head of somebody standing at x, z."""
    h, g = who.height, who.girth
    legs = [_limb(camera, [(x + side * 9, 0.5 * h, z), (x + side * 10, 0, z)], (9, 5)) for side in (-1, 1)]
    half = np.array(
        [(g * 0.95, 0.46), (g * 0.9, 0.6), (g * 1.02, 0.74), (g + 1, 0.79), (g * 0.75, 0.825), (5.5, 0.85)]
    )
    rim = np.concatenate([half, half[::-1] * (-1, 1)])
    trunk = np.stack([x + rim[:, 0], rim[:, 1] * h, np.full(len(rim), z)], axis=1)
    hanging = [
        _limb(
            camera,
            [(x + a * g, 0.79 * h, z), (x + a * (g + 3), 0.6 * h, z), (x + a * g, 0.45 * h, z)],
            (6, 5, 4),
        )
        for a in arms
    ]
    neck = _limb(camera, [(x, 0.8 * h, z), (x, 0.88 * h, z)], (5.5, 5))
    head = _limb(camera, [(x, 0.9 * h, z), (x, 0.945 * h, z)], (7.4, 8.4))
    return [
        Part([*legs[0], *legs[1]], who.trousers),
        Part(neck, who.skin),
        *(Part(arm, mixed(who.top, (0, 0, 0), 0.12)) for arm in hanging),
        Part([camera.project(trunk)], who.top),
        Part(head, who.hair),
    ]


def arm(camera: Camera, who: Build, shoulder: Floats, hand: Floats) -> list[Part]:
    """From the shoulder to a hand around what it holds."""
    along = hand - shoulder
    length = max(float(np.linalg.norm(along)), 1.0)
    wrist = hand - along / length * 9.0 + np.array([0.0, 1.0, 0.0])
    elbow = (shoulder + wrist) / 2 - np.array([0.0, 0.16 * length, 0.0])
    cuff = elbow + (wrist - elbow) * max(2 * who.sleeve - 1.05, 0.0)
    sleeve = [shoulder, elbow, cuff] if who.sleeve > 0.5 else [shoulder, shoulder + (elbow - shoulder) * 0.7]
    return [
        Part(_limb(camera, [elbow, wrist], (4.4, 2.9)), who.skin),
        Part(_hand(camera, wrist, hand), who.skin),
        Part(_limb(camera, sleeve, (6.5, 5.2, 4.2)[: len(sleeve)]), who.top),
    ]


def _hand(camera: Camera, wrist: Floats, hand: Floats) -> list[Floats]:
    along = (hand - wrist) / max(float(np.linalg.norm(hand - wrist)), 1e-6)
    across = np.cross(along, (0.0, 0.0, 1.0))
    across /= max(float(np.linalg.norm(across)), 1e-6)
    palm = wrist + along * 6.0
    polygons = _limb(camera, [wrist, palm], (2.9, 3.9))
    for i in (-1.5, -0.5, 0.5, 1.5):
        knuckle = palm + across * i * 1.9
        polygons += _limb(camera, [knuckle, knuckle + along * 5.5 + across * i * 0.4], (1.1, 0.9))
    thumb = wrist + along * 3.0 - across * 3.0
    return polygons + _limb(camera, [thumb, thumb + along * 5.0 - across * 2.0], (1.3, 1.0))


def _limb(
    camera: Camera, joints: Sequence[Floats | tuple[float, ...]], radii: Sequence[float]
) -> list[Floats]:
    """A chain of tapered capsules as it is seen."""
    points = np.array(joints, np.float64)
    middles = camera.project(points)
    depths = np.maximum((points - camera.position) @ camera.turn[2], 10.0)
    circle = np.linspace(0, 2 * np.pi, 17)[:-1]
    unit = np.stack([np.cos(circle), np.sin(circle)], axis=1)
    rims = middles[:, None] + unit * (np.array(radii) * camera.focal / depths)[:, None, None]
    pairs = [np.concatenate(rims[i : i + 2]).astype(np.float32) for i in range(len(rims) - 1)]
    return [cv2.convexHull(pair)[:, 0].astype(np.float64) for pair in pairs]


def paint(canvas: Image, parts: Sequence[Part]) -> None:
    """Draw the parts one over another, lighter in their middle and from the left, as round bodies are."""
    for part in parts:
        _paint_part(canvas, part)


def _paint_part(canvas: Image, part: Part) -> None:
    height, width = canvas.shape[:2]
    points = np.concatenate(part.polygons) * width
    low = np.clip(np.floor(points.min(axis=0)).astype(int) - 1, 0, (width, height))
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + 2, 0, (width, height))
    if (high <= low).any():
        return
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    for polygon in part.polygons:
        fixed = np.round((polygon * width - low - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 4)
    region = canvas[low[1] : high[1], low[0] : high[0]]
    ink = _rounded(mask, part.colour)
    cover = cv2.merge([mask] * 3)
    kept = cv2.multiply(region, 255 - cover, scale=1 / 255)
    region[:] = cv2.add(kept, cv2.multiply(ink, cover, scale=1 / 255))


def _rounded(mask: Image, colour: Colour) -> Image:
    inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    deepest = max(float(inside.max()), 1.0)
    slope = cv2.sqrt(np.minimum(inside * (1.6 / deepest), 1.0))
    light = (slope * 110 + 130).astype(np.uint8)
    ink = np.full((*mask.shape, 3), colour, np.uint8)
    return np.asarray(cv2.multiply(ink, cv2.merge([light] * 3), scale=1 / 235), np.uint8)
