"""Video files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from sensor_sim.errors import SensorError
from sensor_sim.pixels import Frame

# Containers state the number of frames, some a little wrong; fewer than this share is a cut-off file.
COMPLETE = 0.98


class VideoFile:
    """The frames of a video file, each at ``start`` plus its time in the video.

    Without a ``start`` the video ends now. Raises :class:`SensorError` for a file that is missing, that
    is no video, or (after its last readable frame) that is cut off.
    """

    def __init__(self, path: Path, start: float | None = None) -> None:
        self.path = path
        self._capture = _open(path)
        self._expected = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.duration = self._expected / rate if rate > 0 else 0.0
        self.start = time.time() - self.duration if start is None else start

    def __iter__(self) -> Iterator[Frame | None]:
        count, last = 0, -1.0
        while True:
            there, image = self._capture.read()
            if not there:
                break
            count += 1
            seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if seconds > last:  # a container with broken time stamps repeats them
                last = seconds
                yield Frame(self.start + seconds, np.asarray(image, dtype=np.uint8))
        self._capture.release()
        if not count:
            raise SensorError(f"{self.path}: no picture can be read from it; give a video that plays")
        if count < COMPLETE * self._expected:
            raise SensorError(
                f"{self.path}: the file is cut off, {count} of its {self._expected} frames can be read; "
                "copy it again (events up to there were given out)"
            )


def _open(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise SensorError(f"{path}: there is no such file; --video takes the path of a video file")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise SensorError(
            f"{path}: this is no video that FFmpeg can read, or it is cut off; give another file"
        )
    return capture
