"""Reading a scene configuration from a file, and checking it against the model and what is read of the picture."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from sensor_sim import documents
from sensor_sim.detection import Box
from sensor_sim.errors import SensorError
from sensorapp import wire

log = logging.getLogger(__name__)

# Below the least, everything is somebody; above the most, hardly anybody is.
LEAST_SCORE, MOST_SCORE = 0.05, 0.95
SCORES = f"give a fraction from {LEAST_SCORE} to {MOST_SCORE}, 0.35 unless another counts better"
# What to do about a value that the contract does not take; see ``documents.REMEDIES``.
REMEDIES = {
    r".*\.polygon: Expected": "a polygon has 3 to 64 corners, [[x, y], [x, y], [x, y]]",
    r"lines\[\d+\]\.points: Expected": "a line has two points, [[x, y], [x, y]]",
    r".*\.(points|polygon)\[.*Expected": (
        "give fractions of the picture, 0 to 1: pixels divided by its width or height"
    ),
    r"detect\.score: Expected": SCORES,
    r"camera\.tilt_degrees: Expected": "give by how many degrees it looks below the horizontal, 5 to 85",
    r"camera\.view_degrees: Expected": "give its angle of view from top to bottom in degrees, 10 to 120",
    r"camera\.height_metres: Expected": "give metres above the floor, 1 to 20",
}


def load_scene(path: Path) -> wire.Scene:
    """Raises :class:`SensorError` naming the file and the field."""
    text = documents.read_file(path, documents.MAX_BYTES, "--scene takes a JSON file")
    scene = documents.parse(text, wire.Scene, str(path), REMEDIES)
    if not LEAST_SCORE <= scene.detect.score <= MOST_SCORE:
        raise SensorError(
            f"{path}: detect.score: {scene.detect.score:g} counts everything or nothing; {SCORES}"
        )
    if not (scene.lines or scene.zones or scene.slots):
        raise SensorError(f"{path}: nothing to measure; add lines, zones or slots")
    return scene


def check_labels(scene: wire.Scene, labels: Sequence[str]) -> None:
    """Raises :class:`SensorError` for a label that is looked for and that the model does not have."""
    people = scene.detect.labels if scene.lines or scene.zones else ()
    asked = [(f"detect.labels[{i}]", label) for i, label in enumerate(people)]
    asked += [(f"slots[{i}].item", slot.item) for i, slot in enumerate(scene.slots)]
    for field, label in asked:
        if label not in labels:
            some = ", ".join(labels[:8]) + (", …" if len(labels) > 8 else "")
            raise SensorError(
                f"scene: {field}: the model has no label {label!r}; it has {some}; name one of them, or give another model"
            )


def check_seen(scene: wire.Scene, seen: Box) -> None:
    """Raises :class:`SensorError` for a line, zone or slot above or beside what is ``seen`` of the picture, where nothing
    would look like nobody. Below it the feet may be of people whose heads are seen; items are not."""
    for field, points in _places(scene):
        left, top, right, bottom = _extent(points)
        below = top > seen.bottom and field.startswith("slots")
        if right < seen.left or left > seen.right or bottom < seen.top or below:
            raise SensorError(f"scene: {field}: it is not observed: {_only(seen)}")


def warn_of_unseen(scene: wire.Scene, seen: Box) -> None:
    """Say which lines, zones and slots reach out of what is ``seen``, if any do."""
    if out := [field for field, points in _places(scene) if min(_within(_extent(points), seen)) < 0]:
        log.warning("sensor_sim: scene: %s: not all of it is observed: %s", ", ".join(out), _only(seen))


def _within(place: Box, seen: Box) -> tuple[float, float, float, float]:
    """How far the place keeps within each side; less than 0 beyond it."""
    return place.left - seen.left, place.top - seen.top, seen.right - place.right, seen.bottom - place.bottom


def _extent(points: Sequence[tuple[float, float]]) -> Box:
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _places(scene: wire.Scene) -> Iterator[tuple[str, Sequence[tuple[float, float]]]]:
    yield from ((f"lines[{i}].points", line.points) for i, line in enumerate(scene.lines))
    yield from ((f"zones[{i}].polygon", zone.polygon) for i, zone in enumerate(scene.zones))
    yield from ((f"slots[{i}].polygon", slot.polygon) for i, slot in enumerate(scene.slots))


def _only(seen: Box) -> str:
    return (
        f"of the picture only x from {seen.left:.2f} to {seen.right:.2f} and y from {seen.top:.2f} to "
        f"{seen.bottom:.2f} is read; draw it there, or choose another --region or --mode"
    )
