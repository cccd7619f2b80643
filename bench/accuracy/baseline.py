"""What roboflow's supervision makes of a recording: ByteTrack with LineZone and PolygonZone.

ByteTrack is that of the package trackers, where supervision's own has moved. It is used as its documentation
recommends and then helped: it is told the frame rate and each frame's time; detections become tracks from the
score on from which this project's perception begins them too (its own default, 0.7, is meant for other
networks); the point of a box that counts is the middle of its lower edge, where a person stands; and LineZone
waits for ``minimum_crossing_threshold`` frames beyond the line, of which the best number is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

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


THRESHOLDS = (1, 2, 3, 5, 7, 10)  # LineZone's minimum_crossing_threshold, in frames

Tracked = Sequence[tuple[float, sv.Detections]]


def people(recording: Recording) -> dict[str, list[Told]]:
    """Crossings and stays: with all defaults, and as described above with each of ``THRESHOLDS``.

    The tracks are the same for all thresholds and followed once: that is what takes the time.
    """
    defaults = _tracked(recording, activation=0.7, high=0.6)
    score = recording.scene.detect.score
    helped = _tracked(recording, activation=score, high=score)
    return {"supervision, defaults": _counted(recording.scene, defaults, 1)} | {
        f"supervision, threshold {frames}": _counted(recording.scene, helped, frames) for frames in THRESHOLDS
    }


def shelf(recording: Recording) -> dict[str, list[Told]]:
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
    return {"supervision": told}


def _tracked(recording: Recording, *, activation: float, high: float) -> Tracked:
    """(time, detections with their tracks) of each frame."""
    tracker = ByteTrackTracker(
        frame_rate=RATE, track_activation_threshold=activation, high_conf_det_threshold=high
    )
    labels = set(recording.scene.detect.labels)
    tracked = []
    for at, found in recording.frames():
        boxes = _detections([d for d in found if d.label in labels and d.score >= LEAST_SCORE])
        tracked.append((at, tracker.update(boxes, timestamp=at)))
    return tracked


def _counted(scene: wire.Scene, frames: Tracked, threshold: int) -> list[Told]:
    lines = [(line.id, _line_zone(line, threshold)) for line in scene.lines]
    zones = [_Stays(zone) for zone in scene.zones]
    told = []
    for at, tracked in frames:
        for number, line in lines:
            # "In" is what crosses from the left hand to the right hand of the line's way.
            crossed_in, crossed_out = line.trigger(tracked)
            told += [Told(at, Crossed(at, number, "backward"))] * int(crossed_in.sum())
            told += [Told(at, Crossed(at, number, "forward"))] * int(crossed_out.sum())
        for zone in zones:
            told += zone.observe(at, tracked)
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


def _line_zone(line: wire.Line, threshold: int) -> sv.LineZone:
    first, second = (sv.Point(x * WIDTH, y * HEIGHT) for x, y in line.points)
    return sv.LineZone(
        first,
        second,
        triggering_anchors=[sv.Position.BOTTOM_CENTER],
        minimum_crossing_threshold=threshold,
    )


def _pixels(polygon: wire.Polygon) -> np.ndarray:
    return np.rint(np.array(polygon) * (WIDTH, HEIGHT)).astype(int)
