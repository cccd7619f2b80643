"""Heartbeats: how long the sensor has looked, at how many frames, and how warm it is."""

from __future__ import annotations

import math

from sensorapp import wire

INTERVAL_S = 60.0


class Thermometer:
    """The chip's temperature, simulated: a file or a camera has no chip to measure.

    A first-order model: working all the time the chip ends ``RISE`` above its surroundings, and it gets
    there with the time constant ``INERTIA_S``.
    """

    AMBIENT_C = 25.0
    RISE_C = 20.0
    INERTIA_S = 240.0

    def __init__(self) -> None:
        self.celsius = self.AMBIENT_C

    def advance(self, seconds: float, load: float) -> float:
        """The temperature after ``seconds`` during which the network ran the share ``load`` of the time."""
        end = self.AMBIENT_C + self.RISE_C * min(max(load, 0.0), 1.0)
        self.celsius = end + (self.celsius - end) * math.exp(-seconds / self.INERTIA_S)
        return self.celsius


class Pulse:
    """Adds up what was observed and says so once a minute of the frames' own time.

    Time counts as observed between two frames that follow each other; :meth:`interrupt` ends that.
    """

    def __init__(self) -> None:
        self._thermometer = Thermometer()
        self._since: float | None = None
        self._last = 0.0
        self._frames = 0
        self._dnn_us = 0

    def beat(self, at: float, dnn_us: int) -> wire.Heartbeat | None:
        """Count one frame and its inference; returns a heartbeat if one is due."""
        if self._since is None:
            self._since = at
        self._last = at
        self._frames += 1
        self._dnn_us += dnn_us
        return self._report(at, at) if at - self._since >= INTERVAL_S else None

    def interrupt(self) -> wire.Heartbeat | None:
        """The view is lost: report what was observed up to the last frame."""
        return self._report(self._last, None) if self._frames else None

    def _report(self, at: float, since: float | None) -> wire.Heartbeat:
        observed = at - (self._since or at)
        load = self._dnn_us / 1e6 / observed if observed else 0.0
        heartbeat = wire.Heartbeat(
            at=round(at * 1000),
            observed_ms=round(observed * 1000),
            frames=self._frames,
            inferences=self._frames,
            temperature_c=round(self._thermometer.advance(observed, load), 1),
            dnn_us=round(self._dnn_us / self._frames),
        )
        self._since, self._frames, self._dnn_us = since, 0, 0
        return heartbeat
