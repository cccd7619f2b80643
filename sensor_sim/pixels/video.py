"""Video files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from sensor_sim.documents import check_file
from sensor_sim.errors import SensorError
from sensor_sim.pixels import Frame
from sensor_sim.pixels.packets import ends_within_packet

# FFmpeg shows plain text files as pictures of text, with this codec.
TEXT = int.from_bytes(b"ansi", "little")
# Containers state the number of frames, some a little wrong; fewer than this share is a cut-off file.
# Of the frames that are there, as many must have times that grow.
COMPLETE = 0.98


class VideoFile:
    """The frames of a video file, each at ``start`` plus its time in the video.

    Without a ``start`` the video ends now. Raises :class:`SensorError` for a file that is missing, that
    is no video, or (after its last readable frame) that is cut off, as far as its format lets that be told, or has
    times that go back.
    """

    def __init__(self, path: Path, start: float | None = None) -> None:
        self.path = path
        self._cut = _ends_within_packet(path)
        self._capture = _open(path)
        self._expected = _stated(self._capture)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.duration = self._expected / rate if rate > 0 else 0.0
        self.start = time.time() - self.duration if start is None else start

    def __length_hint__(self) -> int:
        return self._expected

    def __iter__(self) -> Iterator[Frame | None]:
        count, shown, last = 0, 0, -1.0
        while True:
            there, image = self._capture.read()
            if not there:
                break
            count += 1
            seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if seconds > last:  # a container with broken time stamps repeats them
                shown, last = shown + 1, seconds
                yield Frame(self.start + seconds, np.asarray(image, dtype=np.uint8))
        self._capture.release()
        self._judge(count, shown)

    def _judge(self, count: int, shown: int) -> None:
        """Raises if frames were missing, or if too many had to be left out for their times."""
        if not count:
            raise SensorError(f"{self.path}: no picture can be read from it; give a video that plays")
        if count < COMPLETE * self._expected:
            raise SensorError(
                f"{self.path}: the file is cut off or damaged, {count} of its {self._expected} frames can be read; "
                "copy it again (events up to there were given out)"
            )
        if self._cut:
            raise SensorError(
                f"{self.path}: the file is cut off within its last packet; copy it again, unless it was recorded so "
                "(events up to there were given out)"
            )
        if shown < COMPLETE * count:
            raise SensorError(
                f"{self.path}: the time goes back within it, {count - shown} of its {count} frames had to be "
                "left out; give its parts one by one"
            )


def _ends_within_packet(path: Path) -> bool:
    try:
        check_file(path)
        return ends_within_packet(path)
    except OSError as error:
        raise SensorError(f"{path}: cannot be read: {error.strerror}; --video takes a video file") from None


def _open(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened() or capture.get(cv2.CAP_PROP_FOURCC) == TEXT:
        raise SensorError(
            f"{path}: this is no video that FFmpeg can read, or it is cut off; give another file"
        )
    # Of a picture FFmpeg states one frame or none, as it does of some videos.
    if _stated(capture) < 2 and capture.grab():
        if not capture.grab():
            raise SensorError(
                f"{path}: it holds a single picture; --video takes a video, a folder of pictures is given with --images"
            )
        return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)  # from its first frame on
    return capture


def _stated(capture: cv2.VideoCapture) -> int:
    """The number of frames; where the container does not say, FFmpeg's answer is far below 0."""
    return max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
