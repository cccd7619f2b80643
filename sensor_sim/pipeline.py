"""What follows the chip: metadata in, events out.

Whatever takes events (a printer, an outbox) iterates over :func:`events`. Where the metadata comes from, the
simulated chip or a real one, makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sensor_sim.detection import Metadata
from sensor_sim.errors import SensorError
from sensor_sim.health import Pulse
from sensor_sim.perception import Perception
from sensorapp import wire

# Frames farther apart than this many seconds are an interruption: too much may have happened in between.
LONGEST_GAP_S = 2.0


def events(stream: Iterable[Metadata | None], perception: Perception) -> Iterator[wire.Event]:
    """The events of a scene as they happen; None in the stream means that there is nothing to see.

    The last ones are those of the end: visits cut short and a final heartbeat. Raises
    :class:`SensorError` after them if the stream broke off.
    """
    pulse = Pulse()
    last: float | None = None
    failure: SensorError | None = None
    try:
        for metadata in stream:
            if last is not None and (metadata is None or not 0 < metadata.at - last <= LONGEST_GAP_S):
                yield from _interrupt(perception, pulse)
            last = metadata.at if metadata else None
            if metadata:
                if metadata.detections is not None:
                    yield from perception.observe(metadata.at, metadata.detections)
                heartbeat = pulse.beat(metadata)
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
