"""Detections → events: what the sensor says about its scene.

Only numbers come in here (labels, scores, boxes, seconds); see ``sensor_sim.detection``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sensor_sim.detection import Detection
from sensor_sim.perception.geometry import find_nadir
from sensor_sim.perception.items import Places
from sensor_sim.perception.lines import LineCounter
from sensor_sim.perception.shelves import SlotCounter
from sensor_sim.perception.tracking import DIM_SHARE, Tracker
from sensor_sim.perception.zones import ZoneCounter
from sensorapp import wire

__all__ = ["Perception"]


class Perception:
    """Measures what one scene configuration asks for.

    Call :meth:`observe` with each frame's detections in order of time and :meth:`interrupt` when the view
    is lost or ends. Memory is bounded by the numbers of tracks and places.
    """

    def __init__(self, scene: wire.Scene) -> None:
        self._scene = scene
        self._people = frozenset(scene.detect.labels) if scene.lines or scene.zones else frozenset()
        self._items = frozenset(slot.item for slot in scene.slots)
        self.labels = self._people | self._items
        self.least_score = DIM_SHARE * scene.detect.score
        self._start()

    def _start(self) -> None:
        """Know nobody and nothing yet."""
        scene = self._scene
        camera = scene.camera or None
        self._tracker = Tracker(scene.detect.score, find_nadir(camera) if camera else None)
        self._lines = [LineCounter(line, camera) for line in scene.lines]
        self._zones = [ZoneCounter(zone) for zone in scene.zones]
        self._places = Places(scene.detect.score)
        self._slots = [SlotCounter(slot) for slot in scene.slots]

    def observe(self, at: float, detections: Sequence[Detection]) -> Iterator[wire.Event]:
        """The events of one frame at ``at`` seconds since 1970."""
        if self._people:
            sighting = self._tracker.update(at, (d for d in detections if d.label in self._people))
            for line in self._lines:
                yield from line.observe(sighting)
            for zone in self._zones:
                yield from zone.observe(at, sighting)
        if self._slots:
            self._places.observe(at, [d for d in detections if d.label in self._items])
            for slot in self._slots:
                yield from slot.observe(at, self._places)

    def interrupt(self) -> Iterator[wire.Crossing | wire.Visit]:
        """The view is lost: whoever stood clear beyond a line has crossed it, visits end, everything else is
        forgotten; what is not seen is not known."""
        sighting = self._tracker.give_up()
        for line in self._lines:
            yield from line.observe(sighting)
        for zone in self._zones:
            yield from zone.close()
        self._start()
