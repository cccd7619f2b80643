"""The chip: frames in, metadata out."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from sensor_sim.detection import Metadata
from sensor_sim.network import Network
from sensor_sim.pixels import Source


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


class Chip:
    """A sensor that runs one network; looks for ``labels`` with at least the score ``least_score``."""

    def __init__(self, network: Network, labels: Collection[str], least_score: float) -> None:
        self._network = network
        self._labels = labels
        self._least_score = least_score
        self._thermometer = Thermometer()

    def watch(self, source: Source) -> Iterator[Metadata | None]:
        """One result per frame; None where there is nothing to see."""
        last: float | None = None
        for frame in source:
            if frame is None:
                last = None
                yield None
                continue
            found, dnn_us = self._network.detect(frame.image, self._labels, self._least_score)
            passed = frame.at - last if last is not None and frame.at > last else 0.0
            load = dnn_us / 1e6 / passed if passed else 0.0
            last = frame.at
            yield Metadata(frame.at, found, dnn_us, 0, self._thermometer.advance(passed, load))
