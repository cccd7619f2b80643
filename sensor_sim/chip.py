"""The chip: frames in, metadata out, with the limits of time and temperature that a real one has."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator

from sensor_sim.detection import Detection, Metadata
from sensor_sim.network import Network
from sensor_sim.pixels import Frame, Source

log = logging.getLogger(__name__)


class Thermometer:
    """The chip's temperature, simulated: a file or a camera has no chip to measure.

    A first-order model: working all the time the chip ends ``RISE_C`` above its surroundings, and it gets
    there with the time constant ``INERTIA_S``; both are assumptions. The limits are the real chip's: its
    register holds ``LOWEST_C`` to ``HIGHEST_C``, and at the end of that it stops working. How far it has to
    cool until it works again is not published; ``RESUME_C`` keeps it from stopping and starting all the time.
    """

    RISE_C = 20.0
    INERTIA_S = 240.0
    LOWEST_C, HIGHEST_C = -20.0, 80.0
    RESUME_C = 75.0

    def __init__(self, ambient_c: float = 25.0) -> None:
        self._ambient_c = self._celsius = ambient_c
        self.stopped = ambient_c >= self.HIGHEST_C

    @property
    def celsius(self) -> float:
        """As the register has it."""
        return min(max(self._celsius, self.LOWEST_C), self.HIGHEST_C)

    def advance(self, seconds: float, load: float) -> None:
        """Let ``seconds`` pass of which the network ran the share ``load``."""
        end = self._ambient_c + self.RISE_C * min(max(load, 0.0), 1.0)
        self._celsius = end + (self._celsius - end) * math.exp(-seconds / self.INERTIA_S)
        limit = self.RESUME_C if self.stopped else self.HIGHEST_C
        self.stopped = self._celsius >= limit


class Chip:
    """A sensor that runs one network; looks for ``labels`` with at least the score ``least_score``.

    Time is that of the frames: how long the network takes for one follows from its cost, not from the
    computer that simulates it, so that the same frames always give the same metadata.
    """

    def __init__(
        self,
        network: Network,
        labels: Collection[str],
        least_score: float,
        thermometer: Thermometer | None = None,
    ) -> None:
        self._network = network
        self._labels = labels
        self._least_score = least_score
        self._thermometer = thermometer or Thermometer()
        self._last: float | None = None  # when the last frame was taken
        self._busy_s = 0.0  # what was left to do of the last inference then
        self._stands_still = False  # as was told last

    def watch(self, source: Source) -> Iterator[Metadata | None]:
        """One result per frame; None where there is nothing to see or the chip is too hot to look."""
        for frame in source:
            if frame is None:
                yield None
                continue
            self._pass_time(frame.at)
            self._tell()
            yield None if self._thermometer.stopped else self._look(frame)

    def _tell(self) -> None:
        """Say it when the chip stops or goes on."""
        if self._stands_still == self._thermometer.stopped:
            return
        self._stands_still = self._thermometer.stopped
        if self._stands_still:
            log.warning("the chip is too hot and stands still until it has cooled down; nothing is observed")
        else:
            log.warning("the chip has cooled down and looks again")

    def _pass_time(self, at: float) -> None:
        """Work and warm up until ``at``; a clock that was set back ends what was running."""
        passed = at - self._last if self._last is not None else 0.0
        self._last = at
        if passed < 0.0:
            self._busy_s = 0.0
        elif passed > 0.0:
            self._thermometer.advance(passed, self._busy_s / passed)
            self._busy_s = max(self._busy_s - passed, 0.0)

    def _look(self, frame: Frame) -> Metadata:
        """A frame that comes while the network is busy with an earlier one carries no result."""
        found: list[Detection] | None = None
        dnn_us = dsp_us = 0
        if not self._busy_s:
            found, dnn_us, dsp_us = self._network.detect(frame.image, self._labels, self._least_score)
            self._busy_s = (dnn_us + dsp_us) / 1e6
        return Metadata(frame.at, found, dnn_us, dsp_us, self._thermometer.celsius)
