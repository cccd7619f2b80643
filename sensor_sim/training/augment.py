"""Random changes to a picture, so that the network learns the things and not the renderer.

Cameras differ in lens, place, exposure, colour, sharpness, noise and compression; each change stands for one
of them. Everything is drawn from the generator given, so that the same generator gives the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.pixels import Image
from sensor_sim.training.pictures import BOX, MARK, Labels

Floats = NDArray[np.float32]
Random = np.random.Generator

# Things of which a crop leaves less than this share are as good as hidden.
LEAST_LEFT = 0.15
GREY = np.array([0.114, 0.587, 0.299], np.float32)
# Normal noise to cut pieces from, for drawing it anew would take longer than everything else here.
NOISE = np.random.default_rng(0).standard_normal(2_000_000, np.float32)


@dataclass(frozen=True)
class Changes:
    """How far pictures may change. ``zoom`` is the scale, 1 the whole picture; ``strength`` scales the
    changes of colour, sharpness and noise; ``patches`` is the chance of foreign rectangles."""

    zoom: tuple[float, float]
    aspect: float = 1.25
    strength: float = 1.0
    patches: float = 0.3


def augment(
    picture: Image, things: Labels, width: int, height: int, changes: Changes, random: Random
) -> tuple[Image, Labels]:
    """A changed picture, width x height, and where its things are in it."""
    picture, things = _frame(picture, things, width, height, changes, random)
    if random.random() < 0.5:
        picture, things = picture[:, ::-1], _flip(things)
    if random.random() < changes.patches:
        picture, things = _patches(picture.copy(), things, random)
    for change in (_soften, _recolour, _disturb):
        picture = change(picture, changes.strength, random)
    return picture, things


def _frame(
    picture: Image, things: Labels, width: int, height: int, changes: Changes, random: Random
) -> tuple[Image, Labels]:
    """Zoom, shift and stretch; what lies beyond the picture is one colour."""
    zoom = np.exp(random.uniform(*np.log(changes.zoom)))
    stretch = np.exp(random.uniform(-1, 1) * np.log(changes.aspect) / 2)
    scale = np.array([zoom * stretch, zoom / stretch])
    shift = random.uniform(np.minimum(0, 1 - scale), np.maximum(0, 1 - scale))
    ratio = np.array([width, height]) / picture.shape[1::-1]
    matrix = np.column_stack([np.diag(scale * ratio), shift * (width, height)])
    shrinks = float(scale.min() * ratio.min()) < 0.7
    source = cv2.GaussianBlur(picture, (0, 0), 0.4 / float(scale.min() * ratio.min())) if shrinks else picture
    border = random.integers(0, 256, 3).tolist()
    framed = cv2.warpAffine(source, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=border)
    return np.asarray(framed, np.uint8), _move(things, scale.astype(np.float32), shift.astype(np.float32))


def _move(things: Labels, scale: Floats, shift: Floats) -> Labels:
    moved = things.copy()
    for corners in BOX, MARK:
        moved[:, corners] = things[:, corners] * np.tile(scale, 2) + np.tile(shift, 2)
    whole = _areas(moved)
    moved[:, BOX], moved[:, MARK] = moved[:, BOX].clip(0, 1), moved[:, MARK].clip(0, 1)
    left = _areas(moved) / np.maximum(whole, 1e-9)
    moved[left < LEAST_LEFT, 5] = 0.0  # neither right nor wrong
    return moved[left > 0]


def _areas(things: Labels) -> Floats:
    sides = things[:, 3:5] - things[:, 1:3]
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def _flip(things: Labels) -> Labels:
    flipped = things.copy()
    flipped[:, [1, 3, 6, 8]] = 1 - things[:, [3, 1, 8, 6]]
    return flipped


def _patches(picture: Image, things: Labels, random: Random) -> tuple[Image, Labels]:
    """Rectangles of stripes or noise, before and between the things: furniture, posters, pillars."""
    height, width = picture.shape[:2]
    things = things.copy()
    for _ in range(random.integers(1, 4)):
        size = random.uniform([0.03, 0.05], [0.35, 0.6])
        corner = random.uniform(-0.1, 1.0, 2)
        covered = _covered(things, np.concatenate([corner, corner + size]).astype(np.float32))
        if covered.max(initial=0) > 0.5:
            continue
        things[:, 5] *= 1 - covered
        left, top = (np.maximum(corner, 0) * (width, height)).astype(int)
        right, bottom = ((corner + size) * (width, height)).astype(int).clip(0, (width, height))
        if right > left and bottom > top:
            picture[top:bottom, left:right] = _texture(right - left, bottom - top, random)
    return picture, things


def _covered(things: Labels, patch: Floats) -> Floats:
    """The share of each thing that the patch (left, top, right, bottom) covers."""
    shared = np.minimum(things[:, 3:5], patch[2:]) - np.maximum(things[:, 1:3], patch[:2])
    return np.asarray(shared.clip(0).prod(axis=1) / np.maximum(_areas(things), 1e-9), np.float32)


def _texture(width: int, height: int, random: Random) -> Image:
    """Stripes at some angle between two colours, more or less noisy."""
    a, b = random.integers(0, 256, (2, 3)).astype(np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, step = random.uniform(0, np.pi), random.uniform(3, 60)
    wave = 0.5 + 0.5 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / step)
    hard = np.clip((wave - 0.5) * random.uniform(1, 8) + 0.5, 0, 1)[..., None]
    noise = random.normal(0, random.uniform(0, 20), (height, width, 1))
    return np.asarray((a * hard + b * (1 - hard) + noise).clip(0, 255), np.uint8)


def _soften(picture: Image, strength: float, random: Random) -> Image:
    """Blur, or the loss of detail of a strong compression, or sharpening."""
    kind = random.random()
    if kind < 0.25:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 1.5) * strength), np.uint8)
    if kind < 0.4:
        size = picture.shape[1::-1]
        small = random.uniform(1 - 0.6 * strength, 1)
        coarse = cv2.resize(picture, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if kind < 0.6:
        amount = random.uniform(0.2, 1.5) * strength
        blurred = cv2.GaussianBlur(picture, (0, 0), 1.2)
        return np.asarray(cv2.addWeighted(picture, 1 + amount, blurred, -amount, 0), np.uint8)
    return picture


def _recolour(picture: Image, strength: float, random: Random) -> Image:
    """Saturation; then, by a table per channel, exposure, white balance, contrast and gamma."""
    if random.random() < 0.8:
        saturation = np.exp(random.normal(0, 0.35 * strength)) if random.random() < 0.9 else 0.0
        mixed = np.outer(np.ones(3), GREY) * (1 - saturation) + np.eye(3) * saturation
        picture = np.asarray(cv2.transform(picture, mixed), np.uint8)
    gain = np.exp(random.normal(0, 0.12 * strength, 3) + random.normal(0, 0.25 * strength))
    contrast, gamma = np.exp(random.normal(0, 0.25 * strength, 2))
    table = ((np.linspace(0, 1, 256)[:, None] * gain - 0.5) * contrast + 0.5).clip(0, 1) ** gamma
    return np.asarray(cv2.LUT(picture, (table[None] * 255 + 0.5).astype(np.uint8)), np.uint8)


def _disturb(picture: Image, strength: float, random: Random) -> Image:
    """Noise of the sensor, stronger now and then."""
    if random.random() < 0.4:
        return picture
    size = picture.size
    begin = random.integers(0, NOISE.size - size + 1)
    noise = NOISE[begin : begin + size].reshape(picture.shape)
    sigma = random.exponential(0.02 * strength) * 255
    return np.asarray(cv2.add(picture, noise * np.float32(sigma), dtype=cv2.CV_8U), np.uint8)
