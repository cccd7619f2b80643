"""A Raspberry Pi AI Camera: a real IMX500, which runs its network itself.

Of picamera2 it takes the metadata of each frame and nothing else: no picture is asked for, neither the
camera's nor the network's input. What the chip says becomes the same ``Metadata`` as that of the simulated
one, so that all that follows is shared. The model package's card says what the network's outputs mean.
"""

from __future__ import annotations

import logging
import math
import struct
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from sensor_sim.decoders.found import Outputs
from sensor_sim.decoders.imx500_pp import Imx500PP
from sensor_sim.detection import Metadata
from sensor_sim.errors import SensorError
from sensor_sim.package import Card, Reading
from sensor_sim.stop import Stop

log = logging.getLogger(__name__)

# How long a frame may take, with a margin for the first, before which the network is loaded into the camera.
PATIENCE_S = 15.0
RETRY_S = 2.0
# The first frames may come without what the chip says; that so many do, for some seconds, is a fault.
MOST_SILENT = 150

MOST_TENSORS, MOST_DIMENSIONS = 16, 16
# Name of the network, number of tensors; then for each how many values and dimensions, and their sizes.
HEAD = struct.Struct("<64sI")
TENSOR = struct.Struct(f"<II{MOST_DIMENSIONS}H")
INFO_SIZE = HEAD.size + MOST_TENSORS * TENSOR.size
# Newer versions add a counter of frames of one byte, with or without what aligns it.
INFO_SIZES = (INFO_SIZE, INFO_SIZE + 1, INFO_SIZE + 4)


class Camera(Protocol):
    """The part of ``picamera2.Picamera2`` that is used."""

    def capture_metadata(self, wait: float) -> Mapping[str, Any]: ...

    def cancel_all_and_flush(self) -> None: ...

    def close(self) -> None: ...


class Intrinsics(Protocol):
    """The part of picamera2's ``NetworkIntrinsics`` that is used: what the network says of itself, or None."""

    inference_rate: float | None
    bbox_normalization: bool | None
    bbox_order: str | None
    labels: Sequence[str] | None


class Result(NamedTuple):
    """What one frame's metadata holds; ``outputs`` is None while the chip has no new result."""

    at: float
    outputs: Outputs | None
    dnn_us: int
    dsp_us: int
    temperature_c: float | None


class PiCamera:
    """The metadata of a camera, frame by frame until ``stop`` is set, of objects with these labels and scores.

    ``opener`` starts the camera. One that gives no frame for :data:`PATIENCE_S` seconds is started again, every
    ``retry`` seconds until that works; meanwhile None is given out, so that the time is known not to be observed.
    So it is for the first frames until one tells the temperature. Raises :class:`SensorError` if none of
    :data:`MOST_SILENT` does, if the camera cannot be started at first or closed in between, and for metadata that
    contradicts itself or the card.
    """

    def __init__(
        self,
        opener: Callable[[], Camera],
        card: Card,
        labels: Collection[str],
        least_score: float,
        stop: Stop | None = None,
        *,
        retry: float = RETRY_S,
    ) -> None:
        self._opener = opener
        self._camera = opener()
        self._stop = stop or Stop()
        self._retry = retry
        self._labels = labels
        self._least_score = least_score
        self._temperature_c: float | None = None
        self._silent = 0  # frames before the first temperature
        self._reading = Reading(card)

    def __iter__(self) -> Iterator[Metadata | None]:
        away = False
        while not self._stop.is_set():
            try:
                metadata = self._camera.capture_metadata(wait=PATIENCE_S)
            except (RuntimeError, OSError):  # a TimeoutError is one
                if not away:
                    log.warning("--picamera: no picture; trying again every %g s", self._retry)
                away = True
                self._close()
                yield from self._reopen()
            else:
                if away:
                    log.warning("--picamera: here again")
                away = False
                yield self._metadata(read(metadata))

    def _close(self) -> None:
        try:
            self._camera.cancel_all_and_flush()  # what waits for a frame would keep it from closing
            self._camera.close()
        except (RuntimeError, OSError) as error:  # this process would keep it from being started again
            raise SensorError(
                f"--picamera: the camera that went away cannot be closed: {error}; start this program again"
            ) from None

    def _reopen(self) -> Iterator[None]:
        while not self._stop.is_set():
            yield None
            if self._stop.wait(self._retry):
                return
            try:
                self._camera = self._opener()
            except SensorError:
                continue
            return

    def _metadata(self, result: Result) -> Metadata | None:
        if result.temperature_c is not None:
            self._temperature_c = result.temperature_c
        if self._temperature_c is None:
            self._silent += 1
            if self._silent >= MOST_SILENT:
                raise SensorError("SensorTemperature: the camera does not say it; update its software")
            return None
        found = None
        if result.outputs is not None:
            found = self._reading.detections(result.outputs, self._labels, self._least_score)
        return Metadata(result.at, found, result.dnn_us, result.dsp_us, self._temperature_c)


def open_camera(network: Path, card: Card) -> Camera:
    """Load a network (``.rpk``) into the camera and start it; raises :class:`SensorError`."""
    try:
        from picamera2 import Picamera2  # type: ignore[import-not-found]
        from picamera2.devices import IMX500  # type: ignore[import-not-found]
    except ImportError:
        raise SensorError(
            "--picamera: the Python package picamera2 is missing; on Raspberry Pi OS install python3-picamera2 "
            "and imx500-all, and run a Python that sees the system's packages"
        ) from None
    if not network.is_file():
        raise SensorError(f"{network}: there is no such file; --picamera takes the network as an .rpk file")
    try:
        chip = IMX500(str(network))
        rate = check_intrinsics(chip.network_intrinsics, card)
        camera = Picamera2(chip.camera_num)
        try:
            camera.start(camera.create_preview_configuration(controls={"FrameRate": rate}, buffer_count=12))
        except BaseException:
            camera.close()  # else the next try finds it busy
            raise
    except (RuntimeError, ValueError, OSError, IndexError) as error:
        raise SensorError(f"--picamera: the camera does not start: {error}; is it connected?") from None
    started: Camera = camera
    return started


def check_intrinsics(intrinsics: Intrinsics | None, card: Card) -> float:
    """The frame rate that the network is made for; raises if it says of itself something else than the card."""
    if intrinsics is None:
        return 30.0
    if isinstance(card.decoder, Imx500PP):
        unit = "pixel" if intrinsics.bbox_normalization else "fraction"
        order = "xyxy" if intrinsics.bbox_order == "xy" else "yxyx"
        _agree("decoder.box_unit", card.decoder.box_unit, unit)
        _agree("decoder.box_order", card.decoder.box_order, order)
    if intrinsics.labels:
        _agree("labels", ", ".join(card.labels), ", ".join(intrinsics.labels))
    return intrinsics.inference_rate or 30.0


def _agree(field: str, card: str, network: str) -> None:
    if card != network:
        raise SensorError(f"{field}: the card says {card}, the network says of itself {network}")


def read(metadata: Mapping[str, Any]) -> Result:
    """What picamera2's metadata of one frame says; raises :class:`SensorError` where that cannot be."""
    values = metadata.get("CnnOutputTensor")
    outputs = None if values is None else tensors(values, metadata.get("CnnOutputTensorInfo"))
    dnn_us, dsp_us = _runtimes(metadata.get("CnnKpiInfo")) if outputs else (0, 0)
    celsius = metadata.get("SensorTemperature")
    temperature_c = None if celsius is None else _finite("SensorTemperature", celsius)
    return Result(_moment(metadata), outputs, dnn_us, dsp_us, temperature_c)


def tensors(values: Sequence[float], info: bytes | Sequence[int] | None) -> Outputs:
    """The network's outputs from their values, one after another, and the description of their shapes.

    The first dimension runs fastest: boxes come as all tops, then all left sides and so on.
    """
    try:
        flat = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        raise SensorError("CnnOutputTensor: it holds something else than numbers; update picamera2") from None
    shapes = _shapes(_bytes(info))
    counts = [math.prod(shape) for shape in shapes]
    if sum(counts) != flat.size:
        raise SensorError(
            f"CnnOutputTensor: it holds {flat.size} values where CnnOutputTensorInfo describes {sum(counts)}; "
            "use picamera2 and libcamera of one release"
        )
    parts = np.split(flat, np.cumsum(counts)[:-1])
    return [part.reshape(shape, order="F") for part, shape in zip(parts, shapes, strict=True)]


def _bytes(info: bytes | Sequence[int] | None) -> bytes | None:
    """libcamera's Python binding gives arrays of bytes as tuples of numbers."""
    try:
        return None if info is None else bytes(list(info))
    except (TypeError, ValueError):
        raise SensorError(
            "CnnOutputTensorInfo: it holds something else than bytes; update picamera2"
        ) from None


def _shapes(info: bytes | None) -> list[tuple[int, ...]]:
    if info is None or len(info) not in INFO_SIZES:
        raise SensorError(
            f"CnnOutputTensorInfo: {'missing' if info is None else f'{len(info)} bytes'} where "
            f"{INFO_SIZES[0]} or {INFO_SIZES[1]} bytes describe the tensors; update picamera2"
        )
    _, count = HEAD.unpack_from(info)
    if not 1 <= count <= MOST_TENSORS:
        raise SensorError(
            f"CnnOutputTensorInfo: it describes {count} tensors where 1 to {MOST_TENSORS} can be"
        )
    return [_shape(info, HEAD.size + number * TENSOR.size) for number in range(count)]


def _shape(info: bytes, offset: int) -> tuple[int, ...]:
    count, dimensions, *sizes = TENSOR.unpack_from(info, offset)
    shape = tuple(sizes[:dimensions])
    if not 1 <= dimensions <= MOST_DIMENSIONS or math.prod(shape) != count:
        raise SensorError(
            f"CnnOutputTensorInfo: a tensor of {count} values cannot have {dimensions} dimensions of the sizes "
            f"{'x'.join(map(str, shape))}; use picamera2 and libcamera of one release"
        )
    return shape


def _runtimes(kpi: Sequence[int] | None) -> tuple[int, int]:
    """Microseconds of the network and of what follows it on the chip; zero if the camera does not say."""
    if kpi is None:
        return 0, 0
    if not isinstance(kpi, Sequence | np.ndarray):
        raise SensorError(f"CnnKpiInfo: {kpi!r:.40} where two running times must be; update picamera2")
    if len(kpi) != 2:
        raise SensorError(f"CnnKpiInfo: {len(kpi)} numbers where two are running times; update picamera2")
    return int(_finite("CnnKpiInfo", kpi[0])), int(_finite("CnnKpiInfo", kpi[1]))


def _moment(metadata: Mapping[str, Any]) -> float:
    """Seconds since 1970. Older software says only the time since the computer was started."""
    if (wall_clock := metadata.get("FrameWallClock")) is not None:
        return _finite("FrameWallClock", wall_clock) / 1e9
    if (since_start := metadata.get("SensorTimestamp")) is not None:
        since_start_s = _finite("SensorTimestamp", since_start) / 1e9
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_start_s
    raise SensorError("SensorTimestamp: the camera does not say when a frame was taken; update picamera2")


def _finite(key: str, value: object) -> float:
    if not isinstance(value, int | float | np.integer | np.floating) or not math.isfinite(value):
        raise SensorError(f"{key}: {value!r:.40} where a finite number must be; update picamera2")
    return float(value)
