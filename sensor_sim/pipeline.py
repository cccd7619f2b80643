"""The whole sensor: a source of frames in, events out.

Whatever takes events (a printer, an outbox) iterates over :func:`events`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sensor_sim.errors import SensorError
from sensor_sim.health import Pulse
from sensor_sim.network import Network
from sensor_sim.perception import Perception
from sensor_sim.pixels import Source
from sensorapp import wire

# Frames farther apart than this many seconds are an interruption: too much may have happened in between.
LONGEST_GAP_S = 2.0


def events(source: Source, network: Network, scene: wire.Scene) -> Iterator[wire.Event]:
    """The events of a scene as they happen.

    The last ones are those of the end: visits cut short and a final heartbeat. Raises
    :class:`SensorError` after them if the source broke off.
    """
    perception, pulse = Perception(scene), Pulse()
    last: float | None = None
    failure: SensorError | None = None
    try:
        for frame in source:
            if last is not None and (frame is None or not 0 < frame.at - last <= LONGEST_GAP_S):
                yield from _interrupt(perception, pulse)
            last = frame.at if frame else None
            if frame:
                found, dnn_us = network.detect(frame.image, perception.labels, perception.least_score)
                yield from perception.observe(frame.at, found)
                heartbeat = pulse.beat(frame.at, dnn_us)
                if heartbeat:
                    yield heartbeat
    except SensorError as error:
        failure = error
    yield from _interrupt(perception, pulse)
    if failure:
        raise failure


def _interrupt(perception: Perception, pulse: Pulse) -> Iterator[wire.Event]:
    yield from perception.interrupt()
    heartbeat = pulse.interrupt()
    if heartbeat:
        yield heartbeat
