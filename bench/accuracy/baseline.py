"""What roboflow's supervision makes of a recording: ByteTrack with LineZone and PolygonZone.

ByteTrack is that of the package trackers, where supervision's own has moved. It is used as its documentation
recommends and then helped: it is told the frame rate and each frame's time; detections become tracks from the
score on from which this project's perception begins them too (its own default, 0.7, is meant for other
networks); the point of a box that counts is the middle of its lower edge, where a person stands; and LineZone
waits for ``minimum_crossing_threshold`` frames beyond the line, of which the best number is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

from bench.accuracy.counting import Told
from bench.accuracy.recording import RATE, Recording
from sensor_sim.detection import Detection
from sensor_sim.pixels.rendered import Crossed, Stayed, Stocked
from sensorapp import wire

WIDTH, HEIGHT = 4056, 3040  # boxes are told in pixels of the whole array; PolygonZone rounds to whole ones
LEAST_SCORE = 0.1  # ByteTrack's second stage takes detections from here on
LEAST_STAY = 1.0  # seconds: the truth counts no shorter stay, and no shorter absence ends one


class Settings(NamedTuple):
    """``frames`` is LineZone's minimum_crossing_threshold; the scores None stand for the scene's own."""

    name: str
    frames: int
    activation: float | None = None
    high: float | None = None


DEFAULTS = Settings("supervision, defaults", 1, 0.7, 0.6)
SETTINGS = (DEFAULTS, *(Settings(f"supervision, threshold {n}", n) for n in (1, 2, 3, 5)))


def people(recording: Recording, settings: Settings) -> list[Told]:
    """Crossings and stays."""
    score = recording.scene.detect.score
    tracker = ByteTrackTracker(
        frame_rate=RATE,
        track_activation_threshold=score if settings.activation is None else settings.activation,
        high_conf_det_threshold=score if settings.high is None else settings.high,
    )
    lines = [(line.id, _line_zone(line, settings.frames)) for line in recording.scene.lines]
    zones = [_Stays(zone) for zone in recording.scene.zones]
    labels = set(recording.scene.detect.labels)
    told = []
    for at, found in recording.frames():
        boxes = _detections([d for d in found if d.label in labels and d.score >= LEAST_SCORE])
        tracked = tracker.update(boxes, timestamp=at)
        for number, line in lines:
            # "In" is what crosses from the left hand to the right hand of the line's way.
            crossed_in, crossed_out = line.trigger(tracked)
            told += [Told(at, Crossed(at, number, "backward"))] * int(crossed_in.sum())
            told += [Told(at, Crossed(at, number, "forward"))] * int(crossed_out.sum())
        for zone in zones:
            told += zone.observe(at, tracked)
    return told


def shelf(recording: Recording) -> list[Told]:
    """Units a slot: the detections of its product whose middles lie in it, frame by frame."""
    zones = [
        (slot, sv.PolygonZone(_pixels(slot.polygon), triggering_anchors=[sv.Position.CENTER]))
        for slot in recording.scene.slots
    ]
    told, last = [], dict[int, int]()
    for at, found in recording.frames():
        clear = [d for d in found if d.score >= recording.scene.detect.score]
        for slot, zone in zones:
            units = int(zone.trigger(_detections([d for d in clear if d.label == slot.item])).sum())
            if last.get(slot.id) != units:
                last[slot.id] = units
                told.append(Told(at, Stocked(at, slot.id, units)))
    return told


@dataclass
class _Stays:
    """How long each track has been in a zone without leaving it for longer than ``LEAST_STAY``."""

    zone: wire.Zone
    since: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._inside = sv.PolygonZone(_pixels(self.zone.polygon))

    def observe(self, at: float, tracked: sv.Detections) -> Iterator[Told]:
        inside = self._inside.trigger(tracked)
        for number in tracked.tracker_id[inside] if len(tracked) else ():
            if number >= 0:
                self.since[number] = self.since.get(number, (at, at))[0], at
        for number, (first, last) in list(self.since.items()):
            if at - last > LEAST_STAY:
                del self.since[number]
                if last - first >= LEAST_STAY:
                    yield Told(at, Stayed(last, self.zone.id, last - first))


def _detections(found: list[Detection]) -> sv.Detections:
    if not found:
        return sv.Detections.empty()
    return sv.Detections(
        xyxy=np.array([d.box for d in found]) * (WIDTH, HEIGHT, WIDTH, HEIGHT),
        confidence=np.array([d.score for d in found]),
        class_id=np.zeros(len(found), int),
    )


def _line_zone(line: wire.Line, frames: int) -> sv.LineZone:
    first, second = (sv.Point(x * WIDTH, y * HEIGHT) for x, y in line.points)
    return sv.LineZone(
        first,
        second,
        triggering_anchors=[sv.Position.BOTTOM_CENTER],
        minimum_crossing_threshold=frames,
    )


def _pixels(polygon: wire.Polygon) -> np.ndarray:
    return np.rint(np.array(polygon) * (WIDTH, HEIGHT)).astype(int)
