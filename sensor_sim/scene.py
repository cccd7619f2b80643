"""Reading a scene configuration from a file, and checking it against the model and what is read of the picture."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sensor_sim import documents
from sensor_sim.detection import Box
from sensor_sim.errors import SensorError
from sensorapp import wire

log = logging.getLogger(__name__)

# What to do about a number that the contract does not take, by how its complaint begins.
REMEDIES = {
    r".*\.(points|polygon)\[.*Expected `float` [<>]= ": (
        "give fractions of the picture, 0 to 1: pixels divided by its width or height"
    ),
    r"lines\[\d+\]\.points: Expected `array`": "a line has two points, [[x, y], [x, y]]",
    r"detect\.score: Expected `float` [<>]= ": "give a fraction from 0.05 to 0.95, 0.35 unless another counts better",
    r"camera\.\w+_degrees: Expected `float` [<>]= ": (
        "give degrees: 5 to 85 below the horizontal, and a vertical angle of view of 10 to 120"
    ),
    r"camera\.height_metres: Expected `float` [<>]= ": "give metres above the floor, 1 to 20",
}


def load_scene(path: Path) -> wire.Scene:
    """Raises :class:`SensorError` naming the file and the field."""
    text = documents.read_file(path, documents.MAX_BYTES, "--scene takes a JSON file")
    try:
        scene = documents.parse(text, wire.Scene, str(path))
    except SensorError as error:
        complaint = str(error).removeprefix(f"{path}: ")
        for beginning, remedy in REMEDIES.items():
            if re.match(beginning, complaint):
                raise SensorError(f"{error}; {remedy}") from None
        raise
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
    """Raises :class:`SensorError` for a line, zone or slot that lies outside of what is ``seen`` of the picture, where
    nothing would look like nobody; warns of one that reaches out of it."""
    for field, points in _places(scene):
        xs, ys = zip(*points, strict=True)
        if max(xs) <= seen.left or min(xs) >= seen.right or max(ys) <= seen.top or min(ys) >= seen.bottom:
            raise SensorError(
                f"scene: {field}: {_outside(seen)}; draw it there, or choose another --region or --mode"
            )
        if min(xs) < seen.left or max(xs) > seen.right or min(ys) < seen.top or max(ys) > seen.bottom:
            log.warning("sensor_sim: scene: %s: a part of it is not observed: %s", field, _outside(seen))


def _places(scene: wire.Scene) -> Iterator[tuple[str, Sequence[tuple[float, float]]]]:
    yield from ((f"lines[{i}].points", line.points) for i, line in enumerate(scene.lines))
    yield from ((f"zones[{i}].polygon", zone.polygon) for i, zone in enumerate(scene.zones))
    yield from ((f"slots[{i}].polygon", slot.polygon) for i, slot in enumerate(scene.slots))


def _outside(seen: Box) -> str:
    return (
        f"of the picture only x from {seen.left:.2f} to {seen.right:.2f} and y from {seen.top:.2f} to "
        f"{seen.bottom:.2f} is read"
    )
