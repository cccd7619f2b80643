"""Rendered scenes as the network sees them: detections and truth over time, kept as numbers.

A recording is one seed's world for some minutes. It is written when it is complete, so that an interrupted run
goes on with the recording that it was at, and a run that changes nothing but the counting renders nothing.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import cv2
import msgspec

from sensor_sim.detection import Box, Detection
from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.pixels.array import Rendered
from sensor_sim.pixels.imx500 import BINNED
from sensor_sim.pixels.rendered import Crossed, Happening, Stayed, Stocked, World
from sensor_sim.pixels.rendered.entrance import Entrance
from sensor_sim.pixels.rendered.shelf import Shelf
from sensorapp import wire

Found: TypeAlias = tuple[int, float, float, float, float, float]
Place: TypeAlias = Literal["low", "normal", "crowd", "shelf"]

START = 1_772_355_600.0  # 1 March 2026, 9 o'clock UTC
RATE = 15.0  # frames per second: half the sensor's, so that an hour renders in the time at hand
LEAST_SCORE = 0.05
SHELF_PACE = 3.0  # times as many people at the shelf as usual, so that minutes hold enough changes


class Job(NamedTuple):
    place: Place
    seed: int
    seconds: float


class Recording(msgspec.Struct, array_like=True):
    """``found`` holds for each frame (label number, score, left, top, right, bottom) of each detection."""

    scene: wire.Scene
    seconds: float
    labels: list[str]
    times: list[float]
    found: list[list[Found]]
    crossed: list[Crossed]
    stayed: list[Stayed]
    stocked: list[Stocked]

    def frames(self) -> Iterator[tuple[float, list[Detection]]]:
        for at, found in zip(self.times, self.found, strict=True):
            yield at, [Detection(self.labels[label], score, Box(*box)) for label, score, *box in found]


class Shelved(NamedTuple):
    """A folder of recordings, made with one model package a kind of scene."""

    folder: Path
    people: Path
    shelf: Path

    def path(self, job: Job) -> Path:
        weights = hashlib.sha256(load_package(self.package(job.place)).weights).hexdigest()[:16]
        return self.folder / f"{job.place}-{job.seed}-{job.seconds:g}s-{weights}.msgpack"

    def package(self, place: Place) -> Path:
        return self.shelf if place == "shelf" else self.people

    def read(self, job: Job) -> Recording:
        """With the scene as the world has it now: what it tells may change without rendering, but its lines and
        zones must stay where they are on the floor, as the truth is that of the recording."""
        recording = msgspec.msgpack.decode(self.path(job).read_bytes(), type=Recording)
        return msgspec.structs.replace(recording, scene=wire.convert(dict(_world(job).scene), wire.Scene))

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        return [job for job in jobs if not self.path(job).is_file()]


def record_all(shelved: Shelved, jobs: Sequence[Job], processes: int) -> Iterator[Job]:
    """Render what is missing; yields each job when its recording is written."""
    shelved.folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(processes, cv2.setNumThreads, (1,)) as pool:
        yield from pool.imap_unordered(partial(_record, shelved), jobs)


def _record(shelved: Shelved, job: Job) -> Job:
    path = shelved.path(job)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(msgspec.msgpack.encode(record(job, shelved.package(job.place))))
    unfinished.replace(path)
    return job


def record(job: Job, package: Path) -> Recording:
    network = Network(load_package(package))
    world = _world(job)
    scene = wire.convert(dict(world.scene), wire.Scene)
    labels = asked_for(scene)
    truth: list[Happening] = []
    width = network.card.input.width
    source = Rendered(
        world,
        BINNED._replace(rate=RATE),
        start=START,
        seconds=job.seconds,
        seed=job.seed,
        reduced=(width, round(width * 3 / 4)),
        tell=truth.append,
    )
    times, found = [], []
    for frame in source:
        times.append(frame.at)
        found.append(detections(network.detect(frame.image, labels, LEAST_SCORE).detections, labels))
    return Recording(scene, job.seconds, labels, times, found, *_sorted(truth))


def asked_for(scene: wire.Scene) -> list[str]:
    return sorted({*scene.detect.labels, *(slot.item for slot in scene.slots)})


def _world(job: Job) -> World:
    if job.place == "shelf":
        return Shelf(job.seed, START, SHELF_PACE)
    return Entrance(job.seed, START, job.place)


def detections(found: Sequence[Detection], labels: Sequence[str]) -> list[Found]:
    """As a recording keeps them, to about the hundredth of a pixel."""
    return [(labels.index(d.label), round(d.score, 4), *(round(side, 5) for side in d.box)) for d in found]


def _sorted(truth: Sequence[Happening]) -> tuple[list[Any], list[Any], list[Any]]:
    kinds = (Crossed, Stayed, Stocked)
    crossed, stayed, stocked = ([h for h in truth if isinstance(h, kind)] for kind in kinds)
    return crossed, stayed, stocked
