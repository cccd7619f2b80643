"""Reading a scene configuration from a file, and checking it against the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sensor_sim import documents
from sensor_sim.errors import SensorError
from sensorapp import wire


def load_scene(path: Path) -> wire.Scene:
    """Raises :class:`SensorError` naming the file and the field."""
    text = documents.read_file(path, documents.MAX_BYTES, "--scene takes a JSON file")
    try:
        scene = documents.parse(text, wire.Scene, str(path))
    except SensorError as error:
        if re.search(r"\.(points|polygon)\[.*Expected `float` [<>]= ", str(error)):
            raise SensorError(
                f"{error}; give fractions of the picture, 0 to 1: pixels divided by its width or height"
            ) from None
        raise
    if not (scene.lines or scene.zones or scene.slots):
        raise SensorError(f"{path}: nothing to measure; add lines, zones or slots")
    return scene


def check_labels(scene: wire.Scene, labels: Sequence[str]) -> None:
    """Raises :class:`SensorError` for a label that the model does not have."""
    asked = [(f"detect.labels[{i}]", label) for i, label in enumerate(scene.detect.labels)]
    asked += [(f"slots[{i}].item", slot.item) for i, slot in enumerate(scene.slots)]
    for field, label in asked:
        if label not in labels:
            some = ", ".join(labels[:8]) + (", …" if len(labels) > 8 else "")
            raise SensorError(f"scene: {field}: the model has no label {label!r}; it has {some}")
