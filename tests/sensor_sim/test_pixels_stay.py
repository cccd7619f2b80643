"""A picture cannot leave: nothing that holds one can be encoded, and only numbers reach perception."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import numpy as np
import pytest

import sensor_sim
from sensor_sim.detection import Box, Detection
from sensorapp import wire

ROOMS = Path(sensor_sim.__file__).parent
START_MS = 1_772_355_600_000
PIXELS = np.zeros((4, 4, 3), np.uint8)
# The rooms in which pixels exist.
INSIDE = ["pixels", "isp", "network", "chip", "package", "decoders", "watch", "report", "deploy", "__main__"]


EVENTS: list[wire.Event] = [
    wire.Crossing(at=START_MS, line=0, direction="forward"),
    wire.Visit(at=START_MS, zone=0, dwell_ms=1),
    wire.Occupancy(at=START_MS, zone=0, count=1),
    wire.Shelf(at=START_MS, slot=0, units=1, confidence=1.0),
    wire.Heartbeat(at=START_MS, observed_ms=1, frames=1, inferences=1, temperature_c=20.0, dnn_us=1),
    wire.Deployment(at=START_MS, rollout=1, state="done"),
]


def sent_and_read(event: wire.Event, media_type: str) -> wire.Event:
    return wire.decode(wire.encode(event, media_type), type(event), media_type)


def test_all_events_are_tried() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(wire.Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("media_type", [wire.JSON, wire.MSGPACK])
def test_no_field_of_any_event_takes_pixels(event: wire.Event, media_type: str) -> None:
    assert sent_and_read(event, media_type) == event
    for field in msgspec.structs.fields(event):
        for pixels in (PIXELS, PIXELS.tobytes(), PIXELS.tolist(), memoryview(PIXELS.tobytes())):
            smuggled = msgspec.structs.replace(event, **{field.name: pixels})
            with pytest.raises((wire.WireError, TypeError)):
                sent_and_read(smuggled, media_type)


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_no_other_room_knows_pixels() -> None:
    forbidden = {"cv2", "onnxruntime", *(f"sensor_sim.{room}" for room in INSIDE)}
    outside = [
        p for p in ROOMS.rglob("*.py") if p.relative_to(ROOMS).parts[0].removesuffix(".py") not in INSIDE
    ]
    assert {p.relative_to(ROOMS).parts[0] for p in outside} >= {
        "perception",
        "device",
        "detection.py",
        "health.py",
    }
    for path in outside:
        # Perception gets plain numbers; arrays would be a way in for more.
        wanted = forbidden | {"numpy"} if "perception" in path.parts else forbidden
        reached = {
            name for name in imports(path) for bad in wanted if name == bad or name.startswith(bad + ".")
        }
        assert not reached, f"{path.relative_to(ROOMS)} imports {reached}"


def test_a_detection_is_words_and_floats() -> None:
    assert get_type_hints(Detection) == {"label": str, "score": float, "box": Box}
    assert get_type_hints(Box) == dict.fromkeys(("left", "top", "right", "bottom"), float)
