"""Round bodies in space and how they are painted.

A solid is what an ellipsoid sweeps on its way from one point to another while it grows or shrinks: a sphere
gives a limb, a flat ellipsoid a trunk or a shoe. In the picture, the ellipsoid's outline is an ellipse; a
linear map that makes it the unit circle turns the solid into a capsule, whose surface is easy to light.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.camera import Camera, Floats, Raster

Patch = NDArray[np.floating[Any]]  # mostly of 32 bits
Ints = NDArray[np.int_]
Colour = tuple[float, float, float]  # blue, green, red, 0 to 255

MOST_PIXELS = 400_000  # computed at once
WORTH_A_GROUP = 20_000  # pixels that take as long as the overhead of one more group
NEAR = 0.25  # metres before the camera; what is nearer is not drawn
_HALF = np.linspace(-np.pi / 2, np.pi / 2, 9)


PATTERNS = ("plain", "stripes", "pinstripes", "check", "heather", "print", "hair")


class Cloth(NamedTuple):
    """What a surface is made of. ``pattern`` is one of ``PATTERNS``, with a second ``accent`` colour;
    ``frequency`` counts its repetitions along the solid, ``folds`` how deep its creases are."""

    colour: Colour
    pattern: str = "plain"
    accent: Colour = (0.0, 0.0, 0.0)
    frequency: float = 6.0
    folds: float = 0.05


@dataclass
class Solids:
    """Solids under construction, in the axes of the thing that they make up (x right, y ahead, z up)."""

    ends: list[tuple[float, ...]] = field(default_factory=list)  # ax, ay, az, bx, by, bz, ra, rb
    shapes: list[tuple[float, float, float]] = field(default_factory=list)
    cloths: list[Cloth] = field(default_factory=list)
    mark: tuple[float, float, float, float] | None = None  # x, y, z and radius

    def add(
        self,
        a: Sequence[float],
        b: Sequence[float],
        ra: float,
        rb: float,
        cloth: Cloth,
        shape: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        """From ``a`` to ``b``, radii ``ra`` to ``rb`` (metres) times ``shape`` along x, y and z."""
        self.ends.append((*a, *b, ra, rb))
        self.shapes.append(shape)
        self.cloths.append(cloth)

    def placed(self, x: float, y: float, heading: float) -> Placed:
        """Stand the thing on the floor; a ``heading`` of 0 looks along the world's y, growing to the left."""
        ends = np.array(self.ends)
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        where = np.array([x, y, 0.0])
        axes = turn * np.array(self.shapes)[:, None, :]
        a, b = ends[:, 0:3] @ turn.T + where, ends[:, 3:6] @ turn.T + where
        mark = (turn @ self.mark[:3] + where, self.mark[3]) if self.mark else None
        return Placed(a, b, ends[:, 6:], axes, self.cloths, mark)


class Placed(NamedTuple):
    """Solids in the world: end points N x 3, radii N x 2, the unit ellipsoid's half axes as columns N x 3 x 3.
    ``mark`` is the ball by which the whole is told apart from its like."""

    a: Floats
    b: Floats
    radii: Floats
    axes: Floats
    cloths: list[Cloth]
    mark: tuple[Floats, float] | None = None


class Projected(NamedTuple):
    """Solids in the picture, grouped by the thing that they belong to, in each far ones first: end points in
    pixels N x 2, the map from the unit circle to the ellipse N x 2 x 2 (lower triangular), radii of the circles
    at both ends N x 2, and what they are made of. Thing i has the solids ``starts[i]`` to ``starts[i + 1]``."""

    a: Floats
    b: Floats
    maps: Floats
    radii: Floats
    cloths: list[Cloth]
    starts: list[int]

    def scaled(self, scale: float, x: float = 0.0, y: float = 0.0) -> Projected:
        """In a picture ``scale`` times as large, moved by (x, y) of its pixels."""
        move = np.array([x, y])
        return self._replace(a=self.a * scale + move, b=self.b * scale + move, maps=self.maps * scale)


def project(things: Sequence[Placed], camera: Camera, raster: Raster) -> Projected:
    a = camera.seen(np.concatenate([thing.a for thing in things]))
    b = camera.seen(np.concatenate([thing.b for thing in things]))
    radii = np.concatenate([thing.radii for thing in things])
    axes = np.concatenate([thing.axes for thing in things])
    owner = np.repeat(np.arange(len(things)), [len(thing.a) for thing in things])
    middle = (a + b) / 2
    front = np.sqrt((middle**2).sum(axis=1)) - radii.max(axis=1)
    order = np.lexsort((-front, owner))
    order = order[np.minimum(a[order, 2], b[order, 2]) > NEAR]
    a, b, middle = a[order], b[order], middle[order]
    centre = np.array([raster.cx, raster.cy])
    cloths = [cloth for thing in things for cloth in thing.cloths]
    return Projected(
        a[:, :2] * (raster.focal / a[:, 2:]) + centre,
        b[:, :2] * (raster.focal / b[:, 2:]) + centre,
        _ellipses(middle, camera.rotation @ axes[order], raster.focal),
        radii[order] * (middle[:, 2:] / np.stack([a[:, 2], b[:, 2]], axis=1)),
        [cloths[i] for i in order.tolist()],
        np.searchsorted(owner[order], np.arange(len(things) + 1)).tolist(),
    )


def _ellipses(at: Floats, axes: Floats, focal: float) -> Floats:
    """Outlines of small ellipsoids: the Jacobian of the projection maps their half axes to the picture."""
    scale = focal / at[:, 2]
    jacobian = np.zeros((len(at), 2, 3))
    jacobian[:, 0, 0] = jacobian[:, 1, 1] = scale
    jacobian[:, :, 2] = -at[:, :2] * (scale / at[:, 2])[:, None]
    flat = jacobian @ axes
    square = flat @ flat.transpose(0, 2, 1)
    # Cholesky's decomposition, written out for 2 x 2.
    maps = np.zeros_like(square)
    maps[:, 0, 0] = np.sqrt(square[:, 0, 0])
    maps[:, 1, 0] = square[:, 1, 0] / maps[:, 0, 0]
    maps[:, 1, 1] = np.sqrt(np.maximum(square[:, 1, 1] - maps[:, 1, 0] ** 2, 1e-12))
    return maps


def outlines(projected: Projected) -> Floats:
    """Convex outlines in pixels, N x 18 x 2."""
    x, y = (projected.b - projected.a).T
    m00, m10, m11 = projected.maps[:, 0, 0], projected.maps[:, 1, 0], projected.maps[:, 1, 1]
    x = x / m00
    angle = np.arctan2((y - m10 * x) / m11, x)[:, None]
    ahead = np.stack([np.cos(angle + _HALF), np.sin(angle + _HALF)], axis=2)
    at_b = projected.b[:, None] + projected.radii[:, 1, None, None] * (
        ahead @ projected.maps.transpose(0, 2, 1)
    )
    at_a = projected.a[:, None] - projected.radii[:, 0, None, None] * (
        ahead @ projected.maps.transpose(0, 2, 1)
    )
    return np.concatenate([at_b, at_a], axis=1)


class Light(NamedTuple):
    """Direction towards the light in camera axes, and how much of a surface's brightness comes from it."""

    x: float
    y: float
    z: float
    share: float


def lit(camera: Camera, direction: Sequence[float], share: float) -> Light:
    x, y, z = camera.rotation @ (np.array(direction) / np.linalg.norm(direction))
    return Light(float(x), float(y), float(z), share)


class Painted(NamedTuple):
    """A painted thing: ``patch`` is height x width x 4, blue, green, red, opacity (0 to 255), colours already
    multiplied with the opacity; its upper left pixel lies at (``left``, ``top``) of the picture."""

    left: int
    top: int
    patch: Patch


def paint(projected: Projected, raster: Raster, light: Light) -> Iterator[Painted | None]:
    """Paint what of each thing lies in the picture; None if nothing does."""
    corners = outlines(projected)
    start = np.floor(np.clip(corners.min(axis=1) - 1, 0, (raster.width, raster.height))).astype(int)
    size = np.ceil(np.clip(corners.max(axis=1) + 1, 0, (raster.width, raster.height))).astype(int) - start
    pixels = np.concatenate([[0], np.cumsum(size.prod(axis=1))])[projected.starts]
    first, last = 0, 0
    while first < len(pixels) - 1:
        last = max(int(np.searchsorted(pixels, pixels[first] + MOST_PIXELS)) - 1, first + 1)
        tiles = _tiles(projected, projected.starts[first], projected.starts[last], start, size, light)
        for thing in range(first, last):
            solids = [i for i in range(projected.starts[thing], projected.starts[thing + 1]) if i in tiles]
            yield _assembled([tiles[i] for i in solids], start[solids], size[solids]) if solids else None
        first = last


class _Tile(NamedTuple):
    """One solid: colour and opacity planes times the opacity, 4 x height x width, 0 to 255; the share of what
    is behind that shows through, height x width, 0 to 1."""

    colour: Patch
    keep: Patch


def _assembled(tiles: list[_Tile], start: Ints, size: Ints) -> Painted:
    left, top = start.min(axis=0).tolist()
    right, bottom = (start + size).max(axis=0).tolist()
    planes = np.zeros((4, bottom - top, right - left), np.float32)
    for (x, y), (width, height), tile in zip(
        (start - (left, top)).tolist(), size.tolist(), tiles, strict=True
    ):
        area = planes[:, y : y + height, x : x + width]
        area *= tile.keep[:height, :width]
        area += tile.colour[:, :height, :width]
    planes[:3] *= 1.0 + 0.03 * _grain(planes.shape[1], planes.shape[2])
    np.clip(planes, 0, 255, out=planes)
    return Painted(left, top, np.ascontiguousarray(planes.transpose(1, 2, 0)))


def _tiles(
    projected: Projected, first: int, last: int, start: Ints, size: Ints, light: Light
) -> dict[int, _Tile]:
    """Those of similar size are computed together, which costs far less than one by one."""
    tiles: dict[int, _Tile] = {}
    drawn = first + np.flatnonzero(size[first:last].all(axis=1))
    for group in _alike(drawn, size) if len(drawn) else ():
        painted = _tile_group(projected, group, start, size[group].max(axis=0), light)
        tiles.update(zip(group.tolist(), painted, strict=True))
    return tiles


def _alike(group: Ints, size: Ints) -> Iterator[Ints]:
    """Tiles are computed as large as the largest of their group: divide until that wastes little."""
    if len(group) > 1:
        halves = min((_halves(group, size, axis) for axis in (0, 1)), key=lambda two: _cost(two, size))
        whole = _cost([group], size)
        if whole - _cost(halves, size) > WORTH_A_GROUP or whole > MOST_PIXELS:
            for half in halves:
                yield from _alike(half, size)
            return
    yield group


def _halves(group: Ints, size: Ints, axis: int) -> tuple[Ints, Ints]:
    """The best division into small and large ones along an axis."""
    order = group[np.argsort(size[group, axis], kind="stable")]
    small = np.maximum.accumulate(size[order])[:-1].prod(axis=1)
    large = np.maximum.accumulate(size[order[::-1]])[-2::-1].prod(axis=1)
    count = np.arange(1, len(group))
    cut = 1 + int((small * count + large * count[::-1]).argmin())
    return order[:cut], order[cut:]


def _cost(groups: Sequence[Ints], size: Ints) -> int:
    """Pixels."""
    return sum(len(group) * int(size[group].max(axis=0).prod()) for group in groups)


def _tile_group(projected: Projected, group: Ints, start: Ints, size: Ints, light: Light) -> Iterator[_Tile]:
    columns = [projected.a - start - 0.5, projected.b - start - 0.5, projected.radii]
    columns += [projected.maps[:, 0, :1], projected.maps[:, 1]]
    numbers = np.concatenate(columns, axis=1)[group].astype(np.float32)
    ax, ay, bx, by, ra, rb, m00, m10, m11 = numbers.T[:, :, None, None]
    # To the coordinates in which the outline is a circle.
    qx = (np.arange(size[0], dtype=np.float32) - ax) / m00
    qy = (np.arange(size[1], dtype=np.float32)[:, None] - ay) / m11 - qx * (m10 / m11)
    dx = (bx - ax) / m00
    dy = (by - ay) / m11 - dx * (m10 / m11)
    length = dx * dx + dy * dy + np.float32(1e-9)
    along = qx * (dx / length) + qy * (dy / length)
    np.clip(along, 0.0, 1.0, out=along)
    shrink = 1.0 / (ra + (rb - ra) * along)
    nx = (qx - along * dx) * shrink
    ny = (qy - along * dy) * shrink
    inner = 1.0 - nx * nx - ny * ny
    pixels = (ra + rb) / 2 * np.sqrt(m00 * m11)
    opacity = np.clip(inner * (pixels / 2) + 0.5, 0.0, 1.0)
    nz = np.sqrt(np.maximum(inner, 0.0))
    # Half Lambert: light wraps round what is soft.
    tone = nx * (light.share * light.x) + ny * (light.share * light.y) + nz * (0.1 - light.share * light.z)
    tone += 0.9 - light.share * 0.35
    cloths = [projected.cloths[i] for i in group.tolist()]
    across = (nx * dy - ny * dx) / np.sqrt(length)
    tone += _creases(cloths, along, across)
    main = np.array([cloth.colour for cloth in cloths], np.float32)[:, :, None, None]
    colour = np.full((len(group), 4, *tone.shape[1:]), 255, np.float32)
    np.multiply(tone[:, None], main, out=colour[:, :3])
    for i, cloth in enumerate(cloths):
        if pixels[i, 0, 0] > 2.5 and cloth.pattern != "plain":
            accent = tone[i] * _pattern(cloth, along[i], across[i])
            difference = np.array(cloth.accent, np.float32)[:, None, None] - main[i]
            colour[i, :3] += accent * difference
    colour *= opacity[:, None]
    yield from map(_Tile, colour, 1.0 - opacity)


_NOISE: Patch = np.random.default_rng(11).normal(0, 1, (512, 512)).astype(np.float32)
_SPOTS: Patch = np.asarray(cv2.GaussianBlur(_NOISE, (0, 0), 5), np.float32)
_SPOTS /= _SPOTS.std()


def _grain(height: int, width: int) -> Patch:
    """Noise of a picture's size."""
    if height <= 512 and width <= 512:
        return _NOISE[:height, :width]
    return np.tile(_NOISE, (-(-height // 512), -(-width // 512)))[:height, :width]


def _creases(cloths: list[Cloth], along: Patch, across: Patch) -> Patch:
    depth = np.array([cloth.folds for cloth in cloths], np.float32)[:, None, None]
    phase = np.array([cloth.frequency * 1.7 + cloth.colour[0] for cloth in cloths], np.float32)[:, None, None]
    return np.asarray(depth * np.sin(7 * along + 5 * across * (along - 0.4 + 0.1 * (phase % 3)) + phase))


def _pattern(cloth: Cloth, along: Patch, across: Patch) -> Patch:
    """How much of the accent colour there is."""
    match cloth.pattern:
        case "stripes":
            return _edge(np.sin((2 * np.pi * cloth.frequency) * along))
        case "pinstripes":
            return _edge(np.sin((np.pi * cloth.frequency) * across) - 0.6)
        case "check":
            both = np.sin(2 * np.pi * cloth.frequency * along) + np.sin(np.pi * cloth.frequency * across)
            return _edge(both / 6)
        case "heather":
            return _edge(_sampled(_NOISE, along, across, 60, 40) / 12 - 0.03)
        case "print":
            return _edge(_sampled(_SPOTS, along, across, 90, 40) - 0.4)
        case "hair":
            return _edge(_sampled(_SPOTS, along, across, 6, 120) / 14 - 0.07)
        case _:
            return np.zeros_like(along)


def _edge(wave: Patch) -> Patch:
    return np.asarray(np.clip(wave * 3 + 0.5, 0.0, 1.0))


def _sampled(tile: Patch, along: Patch, across: Patch, long: float, wide: float) -> Patch:
    """A tile of noise laid on the surface."""
    u = (along * long + 256).astype(np.intp) & 511
    v = (across * wide + 256).astype(np.intp) & 511
    return np.asarray(tile[u, v])


def put(image: Image, painted: Painted, strength: float = 1.0) -> None:
    """Lay a painted thing over the picture."""
    height, width = painted.patch.shape[:2]
    part = image[painted.top : painted.top + height, painted.left : painted.left + width]
    keep = 1.0 - painted.patch[..., 3:] * (strength / 255)
    part[...] = np.clip(part * keep + painted.patch[..., :3] * strength + 0.5, 0, 255)
