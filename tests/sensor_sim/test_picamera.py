"""A Raspberry Pi AI Camera's metadata, in the shapes that picamera2 gives it, becomes detections and events."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim import pipeline
from sensor_sim.__main__ import main
from sensor_sim.detection import Box, Detection, Metadata
from sensor_sim.errors import SensorError
from sensor_sim.package import Card
from sensor_sim.perception import Perception
from sensor_sim.picamera import MOST_SILENT, PiCamera, check_intrinsics, open_camera, read, tensors
from sensor_sim.stop import Stop
from sensorapp import wire
from tests.sensor_sim import networks
from tests.sensor_sim.people import START

ROOT = Path(__file__).parents[2]
PERSON = Detection("person", 0.75, Box(0.25, 0.5, 0.375, 0.75))
BOTTLE = Detection("bottle", 0.5, Box(0.0, 0.125, 0.5, 1.0))


def info(*shapes: Sequence[int], tail: bytes = b"", count: int | None = None) -> bytes:
    """``CnnOutputTensorInfo``: name, number of tensors, and sixteen descriptions, used or not."""
    parts = [struct.pack("<64sI", b"network", len(shapes) if count is None else count)]
    for shape in (*shapes, *[()] * (16 - len(shapes))):
        sizes = [*shape, *[0] * (16 - len(shape))]
        parts.append(struct.pack("<II16H", int(np.prod(shape)) if shape else 0, len(shape), *sizes))
    return b"".join(parts) + tail


def flat(detections: Sequence[Detection], rows: int, order: str = "yx", scale: float = 1.0) -> list[float]:
    """``CnnOutputTensor``: a column of each side, then scores, classes and the count."""
    table = np.zeros((rows, 6))
    for row, (label, score, box) in zip(table, detections, strict=False):
        left, top, right, bottom = (side * scale for side in box)
        row[:4] = (top, left, bottom, right) if order == "yx" else (left, top, right, bottom)
        row[4:] = score, ["person", "bottle"].index(label)
    return [*table.T.ravel().tolist(), float(len(detections))]


def frame(
    at: float, detections: Sequence[Detection] | None, rows: int = 100, tail: bytes = b"", **layout: Any
) -> dict[str, Any]:
    """The metadata of one frame; without detections that of a frame for which there is no result."""
    plain = {
        "SensorTimestamp": 1_000_000_000,
        "FrameWallClock": round(at * 1e9),
        "SensorTemperature": 41.0,
        "ExposureTime": 9_990,
        "ScalerCrop": (0, 0, 4056, 3040),
    }
    if detections is None:
        return plain
    return plain | {
        "CnnOutputTensor": flat(detections, rows, **layout),
        "CnnOutputTensorInfo": info((rows, 4), (rows,), (rows,), (1,), tail=tail),
        "CnnKpiInfo": [13_960, 12_360],
    }


class Recorded:
    """Gives the metadata of one frame after the other, as picamera2 does, and after the last one no more."""

    def __init__(self, frames: Sequence[Mapping[str, Any]]) -> None:
        self._frames: Iterator[Mapping[str, Any]] = iter(frames)
        self.calls: list[str] = []

    def __call__(self) -> Recorded:
        return self

    def capture_metadata(self, wait: float) -> Mapping[str, Any]:
        for metadata in self._frames:
            return metadata
        raise TimeoutError

    def cancel_all_and_flush(self) -> None:
        self.calls.append("cancel")

    def close(self) -> None:
        self.calls.append("close")


def found(camera: PiCamera, frames: int) -> list[Metadata]:
    """What it says of its first frames, none of which it misses."""
    return [metadata for metadata in islice(camera, frames) if metadata is not None]


def card(**decoder: Any) -> Card:
    return networks.read(networks.card(decoder={"layout": "imx500_pp", **decoder}))


def seen(metadata: Mapping[str, Any], model: Card) -> Metadata:
    [seen] = found(PiCamera(Recorded([metadata]), model, {"person", "bottle"}, 0.3), 1)
    return seen


@pytest.mark.parametrize("kind", [tuple, list, bytearray, np.frombuffer])
def test_arrays_come_as_the_binding_has_them(kind: Any) -> None:
    """libcamera's Python binding gives arrays of bytes as tuples, others may come as arrays."""
    metadata = frame(START, [PERSON])
    described = metadata["CnnOutputTensorInfo"]
    changes = {
        "CnnOutputTensor": np.array(metadata["CnnOutputTensor"], np.float32),
        "CnnOutputTensorInfo": kind(described, np.uint8) if kind is np.frombuffer else kind(described),
        "CnnKpiInfo": np.array(metadata["CnnKpiInfo"], np.uint32),
    }
    assert seen(metadata | changes, card()) == seen(metadata, card())


@pytest.mark.parametrize("rows", [100, 300])
@pytest.mark.parametrize("tail", [b"", b"\x07", b"\x07\0\0\0"], ids=["old", "new", "new aligned"])
@pytest.mark.parametrize(
    ("order", "scale", "decoder"),
    [
        ("yx", 1.0, {}),
        ("xy", 1.0, {"box_order": "xyxy"}),
        ("yx", 64.0, {"box_unit": "pixel"}),
        ("xy", 64.0, {"box_order": "xyxy", "box_unit": "pixel"}),
    ],
)
def test_a_frame_with_a_result(
    rows: int, tail: bytes, order: str, scale: float, decoder: dict[str, Any]
) -> None:
    metadata = frame(START, [PERSON, BOTTLE], rows, tail, order=order, scale=scale)
    assert seen(metadata, card(**decoder)) == Metadata(
        at=START, detections=[PERSON, BOTTLE], dnn_us=13_960, dsp_us=12_360, temperature_c=41.0
    )


@pytest.mark.parametrize("absent", [{}, {"CnnOutputTensor": None}])
def test_a_frame_without_a_result(absent: dict[str, Any]) -> None:
    assert seen(frame(START, None) | absent, card()) == Metadata(START, None, 0, 0, 41.0)


def test_only_what_is_asked_for() -> None:
    faint = Detection("person", 0.29, BOTTLE.box)
    camera = PiCamera(Recorded([frame(START, [PERSON, BOTTLE, faint])]), card(), {"person"}, 0.3)
    [metadata] = found(camera, 1)
    assert metadata.detections == [PERSON]


def test_without_a_wall_clock_the_time_since_the_start_of_the_computer() -> None:
    metadata = frame(0, [PERSON])
    del metadata["FrameWallClock"]
    metadata["SensorTimestamp"] = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 2_000_000_000
    assert read(metadata).at == pytest.approx(time.time() - 2.0, abs=0.5)


def test_the_last_temperature_stands_until_the_next() -> None:
    cold, silent = frame(START, None), frame(START + 1, None)
    del silent["SensorTemperature"]
    camera = PiCamera(Recorded([cold, silent, frame(START + 2, None)]), card(), set(), 0.3)
    assert [metadata.temperature_c for metadata in found(camera, 3)] == [41.0, 41.0, 41.0]


def test_first_frames_without_a_temperature_tell_nothing() -> None:
    """A camera that never tells it is an error, but not at once."""
    silent = frame(START, None)
    del silent["SensorTemperature"]
    frames = [*[silent] * (MOST_SILENT - 1), frame(START + 6, [PERSON])]
    *before, metadata = islice(PiCamera(Recorded(frames), card(), {"person"}, 0.3), MOST_SILENT)
    assert set(before) == {None}
    assert metadata == Metadata(START + 6, [PERSON], 13_960, 12_360, 41.0)
    never = iter(PiCamera(Recorded([silent] * MOST_SILENT), card(), set(), 0.3))
    assert set(islice(never, MOST_SILENT - 1)) == {None}
    with pytest.raises(SensorError, match="SensorTemperature: the camera does not say it"):
        next(never)


# --- to events -------------------------------------------------------------------------------------


def test_events_follow_as_from_any_chip() -> None:
    """Somebody walks down over a line within six seconds; every second frame has no result."""

    def walker(share: float) -> Detection:
        return Detection("person", 0.9, Box(0.4, 0.1 + 0.6 * share, 0.5, 0.3 + 0.6 * share))

    frames = [
        frame(START + i / 10, None if i % 2 else [walker(min(max(i - 20, 0) / 20, 1.0))]) for i in range(61)
    ]
    scene = {"version": 5, "lines": [{"id": 2, "name": "middle", "points": [[0.1, 0.55], [0.9, 0.55]]}]}
    perception = Perception(wire.convert(scene, wire.Scene))
    camera = PiCamera(Recorded(frames), card(), perception.labels, perception.least_score)
    crossing, heartbeat = pipeline.events(islice(camera, 61), perception)
    assert isinstance(crossing, wire.Crossing)
    assert (crossing.line, crossing.direction) == (2, "forward")
    assert abs(crossing.at / 1000 - START - 3.0) < 0.3
    assert heartbeat == wire.Heartbeat(
        at=round(START * 1000) + 6000,
        observed_ms=6000,
        frames=61,
        inferences=31,
        temperature_c=41.0,
        dnn_us=13_960,
    )


def test_a_camera_that_disappears_is_started_again_and_its_time_not_observed() -> None:
    """Two frames, 40 s without the camera of which three tries fail, two more frames."""
    before = Recorded([frame(START, [PERSON]), frame(START + 1, [PERSON])])
    after = Recorded([frame(START + 41, [PERSON]), frame(START + 42, [PERSON])])
    tries: Iterator[Recorded | None] = iter([before, None, None, None, after])

    def start() -> Recorded:
        if (camera := next(tries)) is None:
            raise SensorError("--picamera: the camera does not start: no cameras; is it connected?")
        return camera

    stop = Stop()
    stream = []
    for metadata in PiCamera(start, card(), {"person"}, 0.3, stop, retry=0.01):
        stream.append(metadata)
        if len(stream) == 2 + 4 + 2 + 1:
            stop.set()
    assert [metadata and metadata.at - START for metadata in stream] == [0, 1, *[None] * 4, 41, 42, None]
    assert before.calls == after.calls == ["cancel", "close"]
    perception = Perception(wire.convert({"version": 1, "detect": {"labels": ["person"]}}, wire.Scene))
    beats = [
        (event.at, event.observed_ms, event.frames)
        for event in pipeline.events(stream, perception)
        if isinstance(event, wire.Heartbeat)
    ]
    start_ms = round(START * 1000)
    assert beats == [(start_ms + 1000, 1000, 2), (start_ms + 42_000, 1000, 2)]


def test_a_camera_that_starts_but_shows_nothing_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tries = iter([Recorded([]), Recorded([]), Recorded([]), Recorded([frame(START, [PERSON])])])
    stream = iter(PiCamera(lambda: next(tries), card(), {"person"}, 0.3, retry=0.01))
    assert [metadata is not None for metadata in islice(stream, 4)] == [False] * 3 + [True]
    assert [record.getMessage() for record in caplog.records] == [
        "--picamera: no picture; trying again every 0.01 s",
        "--picamera: here again",
    ]


def test_a_camera_that_cannot_be_closed_ends_the_stream_with_a_sentence() -> None:
    class Stuck(Recorded):
        def close(self) -> None:
            raise RuntimeError("Failed to release camera: Device or resource busy")

    perception = Perception(wire.convert({"version": 1, "detect": {"labels": ["person"]}}, wire.Scene))
    camera = PiCamera(Stuck([frame(START, [PERSON]), frame(START + 1, [PERSON])]), card(), {"person"}, 0.3)
    events: list[wire.Event] = []
    with pytest.raises(SensorError, match=r"cannot be closed: Failed .* busy; start this program again"):
        events.extend(pipeline.events(camera, perception))
    [beat] = events
    assert isinstance(beat, wire.Heartbeat)
    assert (beat.observed_ms, beat.frames) == (1000, 2)


def test_a_camera_that_does_not_start_at_first_is_an_error() -> None:
    def start() -> Recorded:
        raise SensorError("--picamera: the camera does not start")

    with pytest.raises(SensorError, match="does not start"):
        PiCamera(start, card(), {"person"}, 0.3)


# --- what cannot be --------------------------------------------------------------------------------

GOOD_INFO = info((100, 4), (100,), (100,), (1,))
GARBAGE: list[tuple[dict[str, Any], str]] = [
    ({"CnnOutputTensor": [0.0] * 600}, "CnnOutputTensor: it holds 600 values where .* describes 601"),
    ({"CnnOutputTensor": []}, "CnnOutputTensor: it holds 0 values"),
    ({"CnnOutputTensorInfo": None}, "CnnOutputTensorInfo: missing where 708 or 709 bytes"),
    ({"CnnOutputTensorInfo": b""}, "CnnOutputTensorInfo: 0 bytes where"),
    ({"CnnOutputTensorInfo": GOOD_INFO[:-1]}, "CnnOutputTensorInfo: 707 bytes where"),
    ({"CnnOutputTensorInfo": info(count=0)}, "it describes 0 tensors where 1 to 16 can be"),
    ({"CnnOutputTensorInfo": info(count=17)}, "it describes 17 tensors"),
    ({"CnnOutputTensorInfo": info(count=1)}, "a tensor of 0 values cannot have 0 dimensions"),
    (
        {"CnnOutputTensorInfo": GOOD_INFO[:68] + struct.pack("<II", 400, 17) + GOOD_INFO[76:]},
        "a tensor of 400 values cannot have 17 dimensions",
    ),
    (
        {"CnnOutputTensorInfo": GOOD_INFO[:68] + struct.pack("<I", 401) + GOOD_INFO[72:]},
        "a tensor of 401 values cannot have 2 dimensions of the sizes 100x4",
    ),
    ({"CnnOutputTensorInfo": info((601,))}, "imx500_pp reads 4 outputs"),
    ({"CnnOutputTensorInfo": info((400, 1), (100,), (100,), (1,))}, "decoder.outputs: boxes, scores"),
    ({"CnnOutputTensor": ["a"] * 601}, "CnnOutputTensor: it holds something else than numbers; update"),
    (
        {"CnnOutputTensor": [[0.0], [0.0, 1.0]]},
        "CnnOutputTensor: it holds something else than numbers; update",
    ),
    ({"CnnOutputTensorInfo": ("a",) * 708}, "CnnOutputTensorInfo: it holds something else than bytes"),
    ({"CnnKpiInfo": [1]}, "CnnKpiInfo: 1 numbers where two"),
    ({"CnnKpiInfo": 13_960}, "CnnKpiInfo: 13960 where two running times must be"),
    ({"CnnKpiInfo": [float("nan"), 2]}, "CnnKpiInfo: nan where a finite number must be; update"),
    ({"SensorTemperature": "N/A"}, "SensorTemperature: 'N/A' where a finite number must be; update"),
    ({"SensorTemperature": float("nan")}, "SensorTemperature: nan where a finite number must be; update"),
    ({"SensorTemperature": float("inf")}, "SensorTemperature: inf where a finite number must be; update"),
    ({"FrameWallClock": "now"}, "FrameWallClock: 'now' where a finite number must be; update"),
    ({"FrameWallClock": None, "SensorTimestamp": float("nan")}, "SensorTimestamp: nan where a finite"),
    ({"FrameWallClock": None, "SensorTimestamp": None}, "SensorTimestamp: the camera does not say"),
]


@pytest.mark.parametrize(("changes", "complaint"), GARBAGE)
def test_metadata_that_contradicts_itself(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SensorError, match=complaint):
        seen(frame(START, [PERSON]) | changes, card())


@given(described=st.binary(max_size=720), values=st.lists(st.floats(width=32), max_size=20))
def test_any_bytes_are_read_or_refused(described: bytes, values: list[float]) -> None:
    for head in (b"", GOOD_INFO[:64]):
        try:
            outputs = tensors(values, (head + described).ljust(708, b"\1")[:708])
        except SensorError:
            continue
        assert sum(output.size for output in outputs) == len(values)


# --- what the network says of itself ---------------------------------------------------------------


def intrinsics(**changes: Any) -> Any:
    says = {"inference_rate": None, "bbox_normalization": None, "bbox_order": None, "labels": None}
    return SimpleNamespace(**says | changes)


@pytest.mark.parametrize(
    ("says", "decoder", "rate"),
    [
        (None, {}, 30.0),
        (intrinsics(), {}, 30.0),
        (intrinsics(inference_rate=23, bbox_normalization=True), {"box_unit": "pixel"}, 23),
        (intrinsics(bbox_order="xy", labels=["person", "bottle"]), {"box_order": "xyxy"}, 30.0),
    ],
)
def test_a_card_that_fits(says: Any, decoder: dict[str, Any], rate: float) -> None:
    assert check_intrinsics(says, card(**decoder)) == rate


@pytest.mark.parametrize(
    ("says", "complaint"),
    [
        (
            intrinsics(bbox_normalization=True),
            "decoder.box_unit: the card says fraction, the network .* pixel",
        ),
        (intrinsics(bbox_order="xy"), "decoder.box_order: the card says yxyx, the network .* xyxy"),
        (
            intrinsics(labels=["bottle", "person"]),
            "labels: the card says person, bottle, the network .* bottle",
        ),
    ],
)
def test_a_card_that_does_not_fit(says: Any, complaint: str) -> None:
    with pytest.raises(SensorError, match=complaint):
        check_intrinsics(says, card())


# --- opening it ------------------------------------------------------------------------------------


class Library:
    """The part of picamera2 that opens a camera, which notes in ``calls`` what is asked of it."""

    def __init__(self, says: Any, **faults: Exception) -> None:
        self._says = says
        self._faults = faults
        self.calls: list[tuple[Any, ...]] = []

    def IMX500(self, network: str) -> Any:  # noqa: N802
        self._note("IMX500", network)
        print("progress")
        return SimpleNamespace(camera_num=1, network_intrinsics=self._says)

    def Picamera2(self, number: int) -> Library:  # noqa: N802
        self._note("Picamera2", number)
        return self

    def create_preview_configuration(self, **asked: Any) -> dict[str, Any]:
        self._note("configure", asked)
        return asked

    def start(self, configuration: dict[str, Any]) -> None:
        self._note("start", configuration)

    def close(self) -> None:
        self._note("close")

    def _note(self, name: str, *given: Any) -> None:
        self.calls.append((name, *given))
        if name in self._faults:
            raise self._faults[name]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    (path := tmp_path / "network.rpk").write_bytes(b"9464")
    return path


def install(monkeypatch: pytest.MonkeyPatch, library: Library) -> Library:
    for name in ("picamera2", "picamera2.devices"):
        monkeypatch.setitem(sys.modules, name, library)
    return library


@pytest.mark.parametrize(("says", "rate"), [(None, 30.0), (intrinsics(inference_rate=23), 23)])
def test_the_network_is_loaded_before_the_camera_starts_at_its_rate(
    monkeypatch: pytest.MonkeyPatch, network: Path, says: Any, rate: float
) -> None:
    library = install(monkeypatch, Library(says))
    assert open_camera(network, card()) is library
    asked = {"controls": {"FrameRate": rate}, "buffer_count": 12}
    assert library.calls == [
        ("IMX500", str(network)),
        ("Picamera2", 1),
        ("configure", asked),
        ("start", asked),
    ]


@pytest.mark.parametrize(
    ("fault", "closed"), [("IMX500", False), ("Picamera2", False), ("configure", True), ("start", True)]
)
def test_a_camera_that_does_not_start_is_closed_again(
    monkeypatch: pytest.MonkeyPatch, network: Path, fault: str, closed: bool
) -> None:
    library = install(monkeypatch, Library(None, **{fault: RuntimeError("no cameras")}))
    with pytest.raises(SensorError, match=r"the camera does not start: no cameras; is it connected\?"):
        open_camera(network, card())
    assert library.calls[-1][0] == ("close" if closed else fault)


def test_a_network_that_contradicts_the_card_starts_no_camera(
    monkeypatch: pytest.MonkeyPatch, network: Path
) -> None:
    library = install(monkeypatch, Library(intrinsics(bbox_order="xy")))
    with pytest.raises(SensorError, match=r"decoder\.box_order: the card says yxyx"):
        open_camera(network, card())
    assert library.calls == [("IMX500", str(network))]


def test_without_picamera2_there_is_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        SensorError, match="picamera2 is missing; on Raspberry Pi OS install python3-picamera2"
    ):
        open_camera(tmp_path / "network.rpk", card())


def words(folder: Path, network: Path) -> list[str]:
    """To watch a door by the network of a package without weights."""
    package = networks.write_package(folder / "package", networks.card(), b"")
    (package / "model.onnx").unlink()
    scene = folder / "scene.json"
    scene.write_text('{"version": 1, "lines": [{"id": 0, "name": "d", "points": [[0, 0.5], [1, 0.5]]}]}')
    return ["watch", "--picamera", str(network), "--model", str(package), "--scene", str(scene)]


def test_what_picamera2_prints_is_no_event(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, network: Path
) -> None:
    install(monkeypatch, Library(None, start=RuntimeError("no cameras")))
    assert main(words(tmp_path, network)) == 1
    sentence = "sensor_sim: --picamera: the camera does not start: no cameras; is it connected?"
    assert capsys.readouterr() == ("", f"progress\n{sentence}\n")


def test_the_command_needs_only_the_card_and_the_network(tmp_path: Path, network: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "sensor_sim", *words(tmp_path, network)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("sensor_sim: --picamera: the Python package picamera2 is missing")
