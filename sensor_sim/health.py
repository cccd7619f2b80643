"""Heartbeats: how long the sensor has looked, at how many frames, and how warm it is."""

from __future__ import annotations

from sensor_sim.detection import Metadata
from sensorapp import wire

INTERVAL_S = 60.0


class Pulse:
    """Adds up what was observed and says so once a minute of the frames' own time.

    Time counts as observed between two frames that follow each other; :meth:`interrupt` ends that.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._last: Metadata | None = None
        self._frames = 0
        self._inferences = 0
        self._dnn_us = 0

    def beat(self, metadata: Metadata) -> wire.Heartbeat | None:
        """Count one frame and its inference; returns a heartbeat if one is due."""
        if self._since is None:
            self._since = metadata.at
        self._last = metadata
        self._frames += 1
        if metadata.detections is not None:
            self._inferences += 1
            self._dnn_us += metadata.dnn_us
        return self._report(metadata, metadata.at) if metadata.at - self._since >= INTERVAL_S else None

    def interrupt(self) -> wire.Heartbeat | None:
        """The view is lost: report what was observed up to the last frame."""
        return self._report(self._last, None) if self._last and self._frames else None

    def _report(self, last: Metadata, since: float | None) -> wire.Heartbeat:
        observed = last.at - (self._since or last.at)
        heartbeat = wire.Heartbeat(
            at=round(last.at * 1000),
            observed_ms=round(observed * 1000),
            frames=self._frames,
            inferences=self._inferences,
            temperature_c=round(last.temperature_c, 1),
            dnn_us=round(self._dnn_us / self._inferences) if self._inferences else 0,
        )
        self._since, self._frames, self._inferences, self._dnn_us = since, 0, 0, 0
        return heartbeat
