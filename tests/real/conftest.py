"""Detections on the real clips, made once.

The detector knows nothing of time, so that clips run backwards, at half the rate or twice in a row need
no inference of their own; a mirror image does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.pixels.video import VideoFile
from tests.real.clips import CARD, WEIGHTS, Clip, missing, scene, video


@pytest.fixture(scope="session")
def clip() -> Callable[[str, bool], Clip]:
    """A clip by the name of its video, as it is or mirrored."""

    @cache
    def network() -> Network:
        return Network(load_package(CARD, WEIGHTS), threads=2)

    @cache
    def detect(name: str, mirrored: bool) -> Clip:
        if reason := missing(name):
            pytest.skip(reason)
        asked = scene(name)
        labels = {*asked.detect.labels, *(slot.item for slot in asked.slots)}
        frames = []
        for frame in VideoFile(video(name), start=0.0):
            assert frame is not None
            image = np.ascontiguousarray(frame.image[:, ::-1]) if mirrored else frame.image
            frames.append((frame.at, network().detect(image, labels, 0.05).detections))
        return Clip(frames)

    return detect
