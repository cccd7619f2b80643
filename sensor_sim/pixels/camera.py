"""Cameras of the Video4Linux kind, by number or device file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from sensor_sim.errors import SensorError
from sensor_sim.pixels import Frame
from sensor_sim.stop import Stop

log = logging.getLogger(__name__)

RETRY_S = 2.0


def open_v4l2(device: str) -> cv2.VideoCapture:
    """``device`` is a number ("0") or a device file ("/dev/video0")."""
    # By its file also where a number is given, as that may be larger than OpenCV takes.
    capture = cv2.VideoCapture(f"/dev/video{device}" if device.isdecimal() else device, cv2.CAP_V4L2)
    # Old pictures are worth less than none: keep the driver's queue short.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


class Camera:
    """The frames of a camera as they come, until ``stop`` is set.

    A camera that goes away is tried again every ``retry`` seconds; meanwhile None is given out, so that
    the time is known not to be observed. Raises :class:`SensorError` if it cannot be opened at first.
    """

    def __init__(
        self,
        device: str,
        stop: Stop | None = None,
        *,
        retry: float = RETRY_S,
        opener: Callable[[str], cv2.VideoCapture] = open_v4l2,
    ) -> None:
        self.device = device
        self._stop = stop or Stop()
        self._retry = retry
        self._opener = opener
        self._capture = opener(device)
        if not self._capture.isOpened():
            raise SensorError(
                f"camera {device}: cannot be opened; --camera takes a number or a device such as /dev/video0 "
                "that this user may read"
            )

    def __iter__(self) -> Iterator[Frame | None]:
        away = False
        while not self._stop.is_set():
            there, image = self._capture.read()
            if there and away:
                log.warning("camera %s: here again", self.device)
            elif not there and not away:
                log.warning("camera %s: no picture; trying again every %g s", self.device, self._retry)
            away = not there
            if there:
                yield Frame(time.time(), np.asarray(image, dtype=np.uint8))
            else:
                self._capture.release()
                yield None
                self._stop.wait(self._retry)
                self._capture = self._opener(self.device)
        self._capture.release()
