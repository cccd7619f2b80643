"""Reading a scene configuration from a file, and checking it against the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sensor_sim.errors import SensorError
from sensor_sim.perception.geometry import area
from sensorapp import wire


def load_scene(path: Path) -> wire.Scene:
    """Raises :class:`SensorError` naming the file and the field."""
    try:
        scene = wire.decode(path.read_bytes(), wire.Scene)
    except OSError as error:
        raise SensorError(f"{path}: cannot be read: {error.strerror}; --scene takes a JSON file") from None
    except wire.WireError as error:
        field = error.path.removeprefix("$").removeprefix(".")
        raise SensorError(f"{path}: {field + ': ' if field else ''}{error.reason}") from None
    problem = _problem(scene)
    if problem:
        raise SensorError(f"{path}: {problem}")
    return scene


def check_labels(scene: wire.Scene, labels: Sequence[str]) -> None:
    """Raises :class:`SensorError` for a label that the model does not have."""
    asked = [(f"detect.labels[{i}]", label) for i, label in enumerate(scene.detect.labels)]
    asked += [(f"slots[{i}].item", slot.item) for i, slot in enumerate(scene.slots)]
    for field, label in asked:
        if label not in labels:
            some = ", ".join(labels[:8]) + (", …" if len(labels) > 8 else "")
            raise SensorError(f"scene: {field}: the model has no label {label!r}; it has {some}")


def _problem(scene: wire.Scene) -> str | None:
    if not (scene.lines or scene.zones or scene.slots):
        return "nothing to measure; add lines, zones or slots"
    for i, line in enumerate(scene.lines):
        if line.points[0] == line.points[1]:
            return f"lines[{i}].points: both are the same; give two different points"
    polygons = {f"zones[{i}]": zone.polygon for i, zone in enumerate(scene.zones)}
    polygons |= {f"slots[{i}]": slot.polygon for i, slot in enumerate(scene.slots)}
    for field, polygon in polygons.items():
        if not area(polygon):
            return f"{field}.polygon: it encloses nothing; give at least three points not in line"
    return None
