"""Output layouts: what is encoded comes back, as a slow reference has it, and garbage does no harm."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sensor_sim
from sensor_sim.decoders import Decoder
from sensor_sim.decoders.found import Found
from sensor_sim.decoders.suppression import suppress
from sensor_sim.detection import Box, overlap
from sensor_sim.errors import SensorError
from sensor_sim.network import Network
from sensor_sim.picamera import tensors
from tests.sensor_sim.networks import card, constant_model, package, read
from tests.sensor_sim.test_picamera import info

SIDE = 64
BLACK = np.zeros((SIDE, SIDE, 3), np.uint8)
LABELS = ["person", "bottle"]
Outputs = dict[str, Any]


@dataclass(frozen=True)
class Thing:
    """An object with its centre and size in pixels of the tensor."""

    label: int
    score: float
    x: float
    y: float
    width: float
    height: float

    @property
    def box(self) -> Box:
        left, top = self.x - self.width / 2, self.y - self.height / 2
        return Box(left / SIDE, top / SIDE, (left + self.width) / SIDE, (top + self.height) / SIDE)


@st.composite
def things(draw: st.DrawFn) -> list[Thing]:
    """Up to four, each in a quarter of the picture of its own."""
    place, size = st.floats(12, 20), st.floats(2, 24)
    return [
        Thing(
            draw(st.integers(0, 1)),
            draw(st.floats(0.5, 1.0, width=32)),
            draw(place) + across,
            draw(place) + down,
            draw(size),
            draw(size),
        )
        for across, down in draw(st.sets(st.sampled_from([(0, 0), (32, 0), (0, 32), (32, 32)])))
    ]


# --- how each layout says it, cell by cell ------------------------------------------------------------


def cells() -> list[tuple[int, int, int]]:
    """Column, row and stride of each cell, in the order of the outputs."""
    return [
        (column, row, stride)
        for stride in (8, 16, 32)
        for row in range(SIDE // stride)
        for column in range(SIDE // stride)
    ]


def yolox(seen: list[Thing]) -> Outputs:
    """Each object in the cell of the middle grid that its centre is in."""
    table = np.full((1, 84, 7), -3.0, np.float32)
    table[..., 4:] = 0.01
    for thing in seen:
        number = cells().index((int(thing.x // 16), int(thing.y // 16), 16))
        place = [thing.x / 16 - thing.x // 16, thing.y / 16 - thing.y // 16]
        table[0, number, :5] = [*place, math.log(thing.width / 16), math.log(thing.height / 16), 1.0]
        table[0, number, 5 + thing.label] = thing.score
    return {"output": table}


def yolov8(seen: list[Thing]) -> Outputs:
    table = np.full((1, 6, 84), 0.01, np.float32)
    for number, thing in enumerate(seen):
        table[0, :4, number * 20] = [thing.x, thing.y, thing.width, thing.height]
        table[0, 4 + thing.label, number * 20] = thing.score
    return {"output0": table}


def yolov8_transposed(seen: list[Thing]) -> Outputs:
    return {"output0": yolov8(seen)["output0"].transpose(0, 2, 1)}


MAPS = [
    {"cells": [4, 4], "shapes": [[0.2, 1.0], [0.3, 2.0]]},
    {"cells": [2, 2], "shapes": [[0.5, 0.5]], "step": 40},
]


def default_boxes() -> list[tuple[float, float, float, float]]:
    """The centre's x and y, width and height in pixels of the default boxes that ``MAPS`` means."""
    fine = [
        (
            (column + 0.5) * 16,
            (row + 0.5) * 16,
            scale * math.sqrt(ratio) * SIDE,
            scale / math.sqrt(ratio) * SIDE,
        )
        for row in range(4)
        for column in range(4)
        for scale, ratio in ((0.2, 1.0), (0.3, 2.0))
    ]
    root = math.sqrt(0.5)
    return fine + [(x, y, 32 * root, 32 / root) for y in (20, 60) for x in (20, 60)]


def logits(seen: list[Thing], rows: list[int], count: int) -> Any:
    """Columns for nothing and for the labels, so that the softmax gives the scores."""
    table = np.tile(np.array([8.0, -8.0, -8.0], np.float32), (count, 1))
    for row, thing in zip(rows, seen, strict=True):
        table[row] = math.log(max(1 - thing.score, 1e-9))
        table[row, 1 + thing.label] = math.log(thing.score)
        table[row, 2 - thing.label] = -30
    return table


def ssd(seen: list[Thing]) -> Outputs:
    """Each object at the default box whose centre is nearest, x before y."""
    encoded = np.zeros((1, 36, 4), np.float32)
    defaults, rows = default_boxes(), []
    for thing in seen:
        near = [(math.dist((thing.x, thing.y), box[:2]), number) for number, box in enumerate(defaults)]
        row = min(near)[1]
        rows.append(row)
        x, y, width, height = defaults[row]
        shift = [(thing.x - x) / width / 0.1, (thing.y - y) / height / 0.1]
        encoded[0, row] = [*shift, math.log(thing.width / width) / 0.2, math.log(thing.height / height) / 0.2]
    return {"boxes": encoded, "scores": logits(seen, rows, 36)[None]}


def ssd_tensorflow(seen: list[Thing]) -> Outputs:
    """Raw outputs of its detection models: y before x, a dimension more, sigmoid, nothing in column 0."""
    plain = ssd(seen)
    scores = np.full((1, 36, 3), -9.0, np.float32)
    there = plain["scores"][0, :, 0] < 8.0
    probability = np.exp(plain["scores"][0, there, 1:]).clip(1e-6, 1 - 1e-6)
    scores[0, there, 1:] = np.log(probability / (1 - probability))
    scores[0, :, 0] = 9.0
    return {"scores": scores, "boxes": plain["boxes"][:, :, None, [1, 0, 3, 2]]}


def ssd_decoded(seen: list[Thing]) -> Outputs:
    """Corners in pixels; nothing is the last column."""
    boxes = np.zeros((50, 4), np.float32)
    for row, thing in enumerate(seen):
        boxes[row] = np.array(thing.box) * SIDE
    return {"boxes": boxes, "scores": logits(seen, list(range(len(seen))), 50)[:, [1, 2, 0]]}


TENSORFLOW = {"activation": "sigmoid", "maps": MAPS, "box_order": "yxyx", "outputs": ["scores", "boxes"]}
LAYOUTS: dict[str, tuple[dict[str, Any], Callable[[list[Thing]], Outputs]]] = {
    "yolox": ({"layout": "yolox"}, yolox),
    "yolov8": ({"layout": "yolov8"}, yolov8),
    "yolov8 transposed": ({"layout": "yolov8", "transposed": True}, yolov8_transposed),
    "ssd": ({"layout": "ssd", "activation": "softmax", "maps": MAPS}, ssd),
    "ssd of TensorFlow": ({"layout": "ssd"} | TENSORFLOW, ssd_tensorflow),
    "ssd decoded": (
        {"layout": "ssd", "activation": "softmax", "background": 2, "box_unit": "pixel"},
        ssd_decoded,
    ),
}


def decoder(plain: dict[str, Any]) -> Decoder:
    return msgspec.convert(plain, Decoder)  # type: ignore[no-any-return, arg-type]


@pytest.mark.parametrize("name", LAYOUTS)
@given(seen=things())
@settings(max_examples=20)
def test_what_was_encoded_comes_back(name: str, seen: list[Thing]) -> None:
    plain, encode = LAYOUTS[name]
    network = Network(package(card(decoder=plain), constant_model(**encode(seen))))
    found = network.detect(BLACK, set(LABELS), 0.3).detections
    by_place = {(d.box.centre[0] > 0.5, d.box.centre[1] > 0.5): d for d in found}
    assert len(by_place) == len(found) == len(seen)
    for thing in seen:
        detection = by_place[thing.x > SIDE / 2, thing.y > SIDE / 2]
        assert detection.label == LABELS[thing.label]
        assert detection.score == pytest.approx(thing.score, abs=1e-4)
        assert detection.box == pytest.approx(thing.box, abs=1e-4)


# --- slow references ----------------------------------------------------------------------------------


def best(found: list[Found], most_overlap: float) -> list[Found]:
    """Greedy suppression within a class, word for word."""
    kept: list[Found] = []
    for candidate in sorted(found, key=lambda each: -each.score):
        if all(k.label != candidate.label or overlap(k.box, candidate.box) <= most_overlap for k in kept):
            kept.append(candidate)
    return kept


def same(found: list[Found], expected: list[Found]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(sorted(found, key=lambda f: -f.score), expected, strict=True):
        assert a.label == b.label
        assert a.score == pytest.approx(b.score, abs=1e-5)
        assert a.box == pytest.approx(b.box, abs=1e-4)


def box(x: float, y: float, width: float, height: float) -> Box:
    return Thing(0, 0.0, x, y, width, height).box


seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
wishes = st.sets(st.integers(0, 1), min_size=1)


@given(seeds, wishes, st.floats(0.1, 0.9))
@settings(max_examples=30)
def test_yolox_is_what_the_paper_says(random: np.random.Generator, wanted: set[int], least: float) -> None:
    table = random.random((84, 7)).astype(np.float32)
    expected = []
    for (column, row, stride), values in zip(cells(), table.tolist(), strict=True):
        for label in wanted:
            score = values[4] * values[5 + label]
            if score >= least:
                centre = ((values[0] + column) * stride, (values[1] + row) * stride)
                size = (math.exp(values[2]) * stride, math.exp(values[3]) * stride)
                expected.append(Found(label, score, box(*centre, *size)))
    same(decoder({"layout": "yolox"}).decode([table], wanted, least, (SIDE, SIDE)), best(expected, 0.45))


@given(seeds, wishes, st.floats(0.1, 0.9))
@settings(max_examples=30)
def test_yolov8_in_plain_words(random: np.random.Generator, wanted: set[int], least: float) -> None:
    table = (random.random((6, 84)) * [[SIDE], [SIDE], [30], [30], [1], [1]]).astype(np.float32)
    expected = [
        Found(label, column[4 + label], box(*column[:4]))
        for column in table.T.tolist()
        for label in wanted
        if column[4 + label] >= least
    ]
    same(decoder({"layout": "yolov8"}).decode([table], wanted, least, (SIDE, SIDE)), best(expected, 0.7))


@given(seeds, wishes, st.floats(0.1, 0.9))
@settings(max_examples=30)
def test_ssd_is_what_the_paper_says(random: np.random.Generator, wanted: set[int], least: float) -> None:
    encoded = random.normal(size=(36, 4)).astype(np.float32)
    scores = random.normal(scale=3, size=(36, 3)).astype(np.float32)
    expected = []
    for (x, y, width, height), (dx, dy, dw, dh), row in zip(
        default_boxes(), encoded.tolist(), scores.tolist(), strict=True
    ):
        total = sum(map(math.exp, row))
        for label in wanted:
            score = math.exp(row[1 + label]) / total
            if score >= least:
                centre = (x + 0.1 * dx * width, y + 0.1 * dy * height)
                size = (width * math.exp(0.2 * dw), height * math.exp(0.2 * dh))
                expected.append(Found(label, score, box(*centre, *size)))
    found = decoder(LAYOUTS["ssd"][0]).decode([encoded, scores], wanted, least, (SIDE, SIDE))
    same(found, best(expected, 0.45))


# --- NanoDet-Plus, as the chip runs it: 416 pixels, 80 classes, of each cell 80 + 4 x 8 values ------------

PLUS = {
    "layout": "nanodet",
    "strides": [8, 16, 32, 64],
    "origin": "corner",
    "outputs": "joined",
    "activation": "sigmoid",
}
FIRST = {8: 0, 16: 2704, 32: 3380, 64: 3549}  # number of each grid's first cell: 52², 26², 13² and 7² cells
PLUS_CELLS, PLUS_SIZE = 3598, (416, 416)
Sides = tuple[float, float, float, float]


def joined(number: int, label: int, score: float, sides: Sides) -> Any:
    """One object in the cell of this number, its sides (left, top, right, bottom) in cells."""
    table = np.full((PLUS_CELLS, 112), -9.0, np.float32)
    table[number, label] = math.log(score / (1 - score))
    bins = np.full((4, 8), -60.0, np.float32)
    for side, row in zip(sides, bins, strict=True):
        below = min(int(side), 6)
        row[below : below + 2] = np.log(np.maximum([below + 1 - side, side - below], 1e-26))
    table[number, 80:] = bins.ravel()
    return table


def found_in(output: Any, **changes: Any) -> list[Found]:
    plus = decoder(PLUS | changes)
    plus.check([output], 80, PLUS_SIZE)
    return plus.decode([output], range(80), 0.3, PLUS_SIZE)


@pytest.mark.parametrize("shape", [(402976, 1), (1, 402976), (402976,), (3598, 112), (1, 3598, 112)])
def test_nanodet_plus_by_hand(shape: tuple[int, ...]) -> None:
    """Row 3 and column 5 of the cells of 32 pixels begin at 160, 96."""
    output = joined(3380 + 3 * 13 + 5, 39, 0.75, (1.0, 2.0, 3.0, 2.5)).reshape(shape)
    [found] = found_in(output)
    assert (found.label, found.score) == (39, pytest.approx(0.75))
    assert found.box == pytest.approx((128 / 416, 32 / 416, 256 / 416, 176 / 416))
    [from_centre] = found_in(output, origin="centre")
    assert from_centre.box == pytest.approx((144 / 416, 48 / 416, 272 / 416, 192 / 416))


side = st.floats(0.1, 7.0)


@given(
    st.sampled_from([*FIRST]),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 79),
    st.floats(0.31, 0.99),
    st.tuples(side, side, side, side),
)
@settings(max_examples=30)
def test_nanodet_plus_in_any_cell(
    stride: int, down: float, across: float, label: int, score: float, sides: Sides
) -> None:
    columns = math.ceil(416 / stride)
    row, column = int(down * columns), int(across * columns)
    [found] = found_in(joined(FIRST[stride] + row * columns + column, label, score, sides).reshape(-1, 1))
    left, top, right, bottom = (side * stride for side in sides)
    x, y = column * stride, row * stride
    assert (found.label, found.score) == (label, pytest.approx(score, abs=1e-5))
    expected = ((x - left) / 416, (y - top) / 416, (x + right) / 416, (y + bottom) / 416)
    assert found.box == pytest.approx(expected, abs=1e-5)


def test_nanodet_plus_with_scores_that_are_scores() -> None:
    """As its ONNX export has them."""
    table = joined(0, 0, 0.5, (0.0, 0.0, 4.0, 4.0))
    table[:, :80] = 0.0
    table[0, 3] = 0.625
    [found] = found_in(table, activation="none")
    assert (found.label, found.score) == (3, 0.625)


def test_nanodet_plus_as_a_raspberry_pi_gives_it_out() -> None:
    table = joined(2704, 0, 0.75, (0.0, 0.0, 4.0, 4.0))
    [output] = tensors(table.ravel(order="F").tolist(), info((3598, 112)))
    [found] = found_in(output)
    assert found.box == pytest.approx((0, 0, 64 / 416, 64 / 416))


@pytest.mark.parametrize(
    ("shapes", "complaint"),
    [
        ([(402975, 1)], "the network has 402975x1"),
        ([(2125, 112)], "the network has 2125x112"),  # for 320 pixels
        ([(112, 3598)], "the network has 112x3598"),
        ([(3598, 32)], "the network has 3598x32"),
        ([(3598, 80), (3598, 32)], "the network has 3598x80, 3598x32"),
        ([()], "the network has a single number"),
    ],
)
def test_nanodet_plus_of_another_size_is_a_sentence(shapes: list[tuple[int, ...]], complaint: str) -> None:
    outputs: Any = [np.zeros(shape, np.float32) for shape in shapes]
    expected = (
        "decoder.outputs: strides 8, 16, 32, 64 with 8 bins, joined, are one output of 3598x(labels + 32) "
        f"or all its values in a row, {complaint}"
    )
    plus = decoder(PLUS)
    for refused in (
        lambda: plus.check(outputs, 80, PLUS_SIZE),
        lambda: plus.decode(outputs, [0], 0.5, PLUS_SIZE),
    ):
        with pytest.raises(SensorError) as caught:
            refused()
        assert str(caught.value) == expected


def test_nanodet_plus_with_other_labels_is_a_sentence() -> None:
    output: Any = np.zeros((3598 * 113, 1), np.float32)
    with pytest.raises(SensorError, match="labels: the card has 80, the network scores 81 classes"):
        decoder(PLUS).check([output], 80, PLUS_SIZE)


def test_default_boxes_are_clipped_when_the_card_says_so() -> None:
    wide = [{"cells": [1, 1], "shapes": [[0.8, 4.0]]}]
    outputs: Any = [np.zeros((1, 4)), np.ones((1, 1))]
    plain = {"layout": "ssd", "activation": "none", "background": None, "maps": wide}
    [free] = decoder(plain).decode(outputs, [0], 0.5, (SIDE, SIDE))
    [clipped] = decoder(plain | {"clip": True}).decode(outputs, [0], 0.5, (SIDE, SIDE))
    assert free.box == pytest.approx((-0.3, 0.3, 1.3, 0.7))
    assert clipped.box == pytest.approx((0.0, 0.3, 1.0, 0.7))


# --- overlapping boxes --------------------------------------------------------------------------------

corners = st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.05, 3), st.floats(0.05, 3))


@given(st.lists(st.tuples(corners, st.integers(0, 3)), max_size=12), st.sampled_from([0.3, 0.5, 0.7]))
def test_suppression_knows_classes_apart_wherever_they_are(
    drawn: list[tuple[tuple[float, float, float, float], int]], most_overlap: float
) -> None:
    """Beyond the picture's edges too, where coordinates are negative."""
    boxes = np.array([(x, y, x + w, y + h) for (x, y, w, h), _ in drawn], np.float32).reshape(-1, 4)
    labels = np.array([label for _, label in drawn], np.int64)
    scores = np.linspace(0.9, 0.1, len(drawn)).astype(np.float32)
    found = [Found(int(a), float(b), Box(*c)) for a, b, c in zip(labels, scores, boxes.tolist(), strict=True)]
    # Too near to call in single precision.
    ties = [overlap(a.box, b.box) for a in found for b in found]
    if all(abs(each - most_overlap) > 1e-4 for each in ties):
        same(suppress(boxes, labels, scores, most_overlap), best(found, most_overlap))


def test_of_very_many_only_the_best() -> None:
    """A thousand are enough; the picture's best is among them."""
    table = np.random.default_rng(1).random((6, 84 * 84)).astype(np.float32) * 0.5
    table[:4] *= SIDE
    table[:, 7000] = [32, 32, 8, 8, 0.0, 0.9]
    found = decoder({"layout": "yolov8", "nms_overlap": 1.0}).decode([table], [0, 1], 0.0, (SIDE, SIDE))
    assert len(found) <= 1000
    assert found[0] == Found(1, pytest.approx(0.9), Box(0.4375, 0.4375, 0.5625, 0.5625))


# --- garbage ------------------------------------------------------------------------------------------

NANODET = {"layout": "nanodet", "strides": [8], "bins": 2}
SHAPES: dict[str, tuple[dict[str, Any], list[tuple[int, ...]]]] = {
    "imx500_pp": ({"layout": "imx500_pp"}, [(1, 5, 4), (1, 5), (1, 5), (1, 1)]),
    "imx500_pp pixels": ({"layout": "imx500_pp", "box_unit": "pixel"}, [(5, 4), (5,), (5,), (1,)]),
    "nanodet": (NANODET, [(1, 64, 2), (1, 64, 8)]),
    "nanodet joined": (PLUS | {"strides": [32, 64], "bins": 2}, [(1, 5, 10)]),
    "nanodet in a row": (PLUS | {"strides": [32, 64], "bins": 2}, [(50, 1)]),
    "yolox": ({"layout": "yolox"}, [(1, 84, 7)]),
    "yolov8": ({"layout": "yolov8"}, [(1, 6, 84)]),
    "ssd": (LAYOUTS["ssd"][0], [(1, 36, 4), (1, 36, 3)]),
    "ssd of TensorFlow": ({"layout": "ssd"} | TENSORFLOW, [(1, 36, 3), (1, 36, 1, 4)]),
    "ssd decoded": (LAYOUTS["ssd decoded"][0], [(7, 4), (7, 3)]),
}
ODD = [0.0, 0.5, 1.0, -1.0, 7.3, 1e9, -1e38, 1e300, math.inf, -math.inf, math.nan]


def test_all_layouts_are_tried() -> None:
    assert {type(decoder(plain)) for plain, _ in SHAPES.values()} == set(get_args(Decoder))


def test_another_layout_is_one_file(tmp_path: Path) -> None:
    room = Path(sensor_sim.__file__).parent
    shutil.copytree(room, tmp_path / room.name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / room.name / "decoders" / "rows.py").write_text(
        "from sensor_sim.decoders.found import Found, Layout\n"
        "from sensor_sim.detection import Box\n"
        "class Rows(Layout, tag='rows', frozen=True):\n"
        "    scale: float = 1.0\n"
        "    def decode(self, outputs, wanted, least_score, size):\n"
        "        return [Found(0, row[0] * self.scale, Box(*row[1:])) for row in outputs[0].tolist()]\n"
    )
    (tmp_path / "model.json").write_text(json.dumps(card(decoder={"layout": "rows", "scale": 0.5})))
    program = (
        "import sys, numpy; from pathlib import Path; from sensor_sim.package import read_card;"
        "card = read_card(Path('model.json').read_bytes(), '.');"
        "[found] = card.detections([numpy.array([[1, 0, 0, 0.5, 1]])], ['person'], 0);"
        "print(found.label, found.score, *found.box)"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{room.parent}"}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["person", "0.5", "0.0", "0.0", "0.5", "1.0"]


@pytest.mark.parametrize("name", SHAPES)
@given(random=seeds, kind=st.sampled_from([np.float16, np.float32, np.float64]), least=st.floats(0, 1))
@settings(max_examples=50)
def test_garbage_gives_boxes_of_something_or_nothing(
    name: str, random: np.random.Generator, kind: Any, least: float
) -> None:
    plain, shapes = SHAPES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = [random.choice(ODD, shape).astype(kind) for shape in shapes]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # they would stand on the terminal among the sentences
        decoder(plain).check(outputs, 2, (SIDE, SIDE))
        found = decoder(plain).decode(outputs, [0, 1], least, (SIDE, SIDE))
    for each in found:
        assert each.label in (0, 1)
        assert least <= each.score + 1e-6 <= 1 + 1e-6
        assert all(abs(side) <= 10 for side in each.box)
        assert each.box.width > 0 < each.box.height


def complaint_about(plain: dict[str, Any], outputs: Any) -> str:
    """What is said of these outputs; nothing if they can be decoded."""
    try:
        decoder(plain).check(outputs, 2, (SIDE, SIDE))
        decoder(plain).decode(outputs, [0, 1], 0.5, (SIDE, SIDE))
    except SensorError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", SHAPES)
@given(random=seeds)
@settings(max_examples=40)
def test_other_shapes_are_a_sentence(name: str, random: np.random.Generator) -> None:
    plain, shapes = SHAPES[name]
    shape = [int(n) for n in random.integers(0, 9, random.integers(0, 4))]
    outputs: Any = [np.zeros(each, np.float32) for each in shapes]
    outputs[random.integers(len(outputs))] = np.zeros(shape, np.float32)
    said = complaint_about(plain, outputs)
    assert not said or said.startswith(("decoder", "labels: "))


@pytest.mark.parametrize("name", SHAPES)
def test_a_run_may_find_other_shapes_than_the_trial_run(name: str) -> None:
    """As dynamic dimensions allow."""
    plain, shapes = SHAPES[name]
    outputs: Any = [np.zeros((3, 3), np.float32) for _ in shapes]
    with pytest.raises(SensorError, match="the network has 3x3"):
        decoder(plain).decode(outputs, [0, 1], 0.5, (SIDE, SIDE))


@pytest.mark.parametrize(
    ("plain", "shapes", "complaint"),
    [
        ({"layout": "yolox"}, [(1, 84, 6)], "labels: the network now scores 1 classes"),
        ({"layout": "yolov8"}, [(1, 5, 84)], "labels: the network now scores 1 classes"),
        (LAYOUTS["ssd"][0], [(40, 4), (40, 3)], "decoder.maps: they make 36 default boxes"),
        (LAYOUTS["ssd decoded"][0], [(7, 4), (7, 2)], "decoder.background: it is 2"),
    ],
)
def test_a_later_run_with_other_rows_or_classes_is_a_sentence(
    plain: dict[str, Any], shapes: list[tuple[int, ...]], complaint: str
) -> None:
    outputs: Any = [np.ones(shape, np.float32) for shape in shapes]
    with pytest.raises(SensorError, match=complaint):
        decoder(plain).decode(outputs, [0, 1], 0.5, (SIDE, SIDE))


def test_classes_and_count_a_hair_below_a_whole_number() -> None:
    """Numbers that were steps of 1/256 of a scale are whole again."""
    boxes = np.tile(np.array([0.1, 0.1, 0.5, 0.5], np.float32), (2, 1))
    outputs: Any = [boxes, np.array([0.9, 0.8]), np.array([0.9999, 0.0001]), np.array([1.9999])]
    found = decoder({"layout": "imx500_pp"}).decode(outputs, [0, 1], 0.5, (SIDE, SIDE))
    assert [each.label for each in found] == [1, 0]


# --- what does not fit the card -----------------------------------------------------------------------


def table(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("plain", "outputs", "complaint"),
    [
        (
            {"layout": "yolox"},
            {"a": table(1, 80, 7)},
            "decoder: yolox with strides 8, 16, 32 reads one output of 84x(5 + labels), the network has 1x80x7",
        ),
        ({"layout": "yolox"}, {"a": table(1, 84, 7), "b": table(1)}, "the network has 1x84x7, 1"),
        ({"layout": "yolox"}, {"a": table(1, 84, 8)}, "labels: the card has 2, the network scores 3 classes"),
        (
            {"layout": "yolov8"},
            {"a": table(1, 84, 6)},
            "decoder.transposed: the network has 1x84x6, so the card needs true",
        ),
        (
            {"layout": "yolov8", "transposed": True},
            {"a": table(1, 6, 84)},
            "decoder.transposed: the network has 1x6x84, so the card needs false",
        ),
        (
            {"layout": "yolov8"},
            {"a": table(1, 9, 84)},
            "labels: the card has 2, the network scores 5 classes",
        ),
        (
            {"layout": "yolov8"},
            {"a": table(84)},
            "decoder: yolov8 reads one output of (4 + labels) x anchors",
        ),
        (
            LAYOUTS["ssd"][0],
            {"boxes": table(1, 35, 4), "scores": table(1, 35, 3)},
            "decoder.maps: they make 36 default boxes, the network has 35",
        ),
        (
            LAYOUTS["ssd"][0],
            {"scores": table(1, 36, 3), "boxes": table(1, 36, 4)},
            "decoder.outputs: ssd reads boxes and scores, with boxes nx4 and scores nx(classes), "
            "the network has 1x36x3, 1x36x4",
        ),
        (
            LAYOUTS["ssd"][0],
            {"boxes": table(1, 36, 4), "scores": table(1, 36, 2)},
            "labels: the card has 2, the network scores 1 classes",
        ),
        (
            LAYOUTS["ssd"][0] | {"background": 3},
            {"boxes": table(1, 36, 4), "scores": table(1, 36, 3)},
            "decoder.background: it is 3, the network's columns are 0 to 2",
        ),
    ],
)
def test_what_does_not_fit_is_named(plain: dict[str, Any], outputs: Outputs, complaint: str) -> None:
    with pytest.raises(SensorError) as caught:
        Network(package(card(decoder=plain), constant_model(**outputs)))
    assert complaint in str(caught.value)


def pp(**changes: Any) -> Outputs:
    """Of two objects, with a third row that does not count."""
    return {
        "boxes": [[0.1, 0.2, 0.5, 0.4], [0.0, 0.5, 1.0, 1.0], [900, 900, 901, 901]],
        "scores": [0.9, 0.3, 70],
        "classes": [0, 1, 44.4],
        "count": [2],
    } | changes


def scored(*scores: float, boxes: float = 0.5, rows: int = 36) -> Outputs:
    return {"boxes": np.full((rows, 4), boxes), "scores": np.tile(np.array(scores), (rows, 1))}


def nanodet(score: float) -> Outputs:
    return {"scores": np.full((64, 2), score), "sides": np.zeros((64, 32))}


PP: dict[str, Any] = {"layout": "imx500_pp"}
NANODET: dict[str, Any] = {"layout": "nanodet", "strides": [8]}
DECODED: dict[str, Any] = {"layout": "ssd", "activation": "none", "background": None}
PIXELS = [[10, 20, 50, 40], [0, 9, 60, 60], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("plain", "outputs", "complaint"),
    [
        (
            PP,
            pp(scores=[90, 30, 0]),
            "decoder.outputs: scores are from 0 to 1, and there the network has others; name the outputs in the network's "
            "order",
        ),
        (PP, pp(scores=[0.9, -4, 0]), "and there the network has others; name"),
        (
            PP | {"outputs": ["boxes", "classes", "scores", "count"]},
            pp(classes=[1, 0, 0]),
            "decoder.outputs: classes are whole numbers, and there the network has others; name the outputs in the "
            "network's order",
        ),
        (
            PP,
            pp(classes=[0, 2, 0]),
            "labels: the card has 2, for the classes 0 to 1, and the network finds others; list exactly one label per "
            "class",
        ),
        (PP, pp(classes=[-1, 0, 0]), "and the network finds others; list"),
        (
            PP | {"box_unit": "pixel"},
            pp(),
            "decoder.box_unit: the card says pixel, and the network's boxes are in fractions; say so",
        ),
        (
            PP,
            pp(boxes=PIXELS),
            "decoder.box_unit: the card says fraction, and the network's boxes are in pixels; say so",
        ),
        (
            NANODET,
            nanodet(-2.0),
            "decoder.activation: scores are from 0 to 1, and there the network has others; say sigmoid",
        ),
        (
            NANODET | {"activation": "sigmoid"},
            nanodet(0.2),
            "decoder.activation: the card says sigmoid, and the network's scores are from 0 to 1 already; say none",
        ),
        (DECODED, scored(7, -3), "and there the network has others; say softmax or sigmoid"),
        (DECODED | {"activation": "sigmoid"}, scored(0.2, 0.1), "the card says sigmoid, and the network's scores"),
        (DECODED | {"activation": "softmax"}, scored(0.9, 0.1), "the card says softmax, and the network's scores"),
        (DECODED, scored(0.9, 0.1, boxes=33), "decoder.box_unit: the card says fraction, and the network's boxes are in pixels; say so"),
        (
            DECODED | {"box_unit": "pixel"},
            scored(0.9, 0.1),
            "decoder.box_unit: the card says pixel, and the network's boxes are in fractions; say so",
        ),
        (
            {"layout": "yolov8"},
            {"a": np.full((1, 6, 84), -5.0)},
            "decoder.layout: scores are from 0 to 1, and there the network has others; export it with its sigmoid",
        ),
        (
            {"layout": "yolov8"},
            {"a": np.full((1, 6, 84), 0.5)},
            "decoder.layout: the card says pixel, and the network's boxes are in fractions; export it with pixels",
        ),
        (
            {"layout": "yolox"},
            {"a": np.full((1, 84, 7), 3.0)},
            "decoder.layout: scores are from 0 to 1, and there the network has others; export it as YOLOX does",
        ),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_named(plain: dict[str, Any], outputs: Outputs, complaint: str) -> None:
    with pytest.raises(SensorError) as caught:
        Network(package(card(decoder=plain), constant_model(**outputs)))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("plain", "outputs"),
    [
        (PP, pp()),
        (PP, pp(scores=[1.04, -0.04, 0], classes=[0.85, 0.15, 9])),  # as quantisation leaves them
        (PP, pp(scores=[0.9, -1, 0], classes=[0, -1, 9])),  # filled up
        (PP, pp(scores=[0.9, 0.02, 0], classes=[0, 80, 9])),
        (PP | {"box_unit": "pixel"}, pp(boxes=PIXELS)),
        (PP, pp(scores=[0.05, 0.05, 0], boxes=PIXELS)),  # where nothing is, boxes may be anything
        (NANODET, nanodet(0.2)),
        (NANODET | {"activation": "sigmoid"}, nanodet(-2.0)),
        (DECODED, scored(0.9, 0.1)),
        (DECODED | {"activation": "softmax", "box_unit": "pixel"}, scored(2, -1, boxes=33)),
    ],
)
def test_values_that_fit_are_taken(plain: dict[str, Any], outputs: Outputs) -> None:
    Network(package(card(decoder=plain), constant_model(**outputs)))


# --- the documentation --------------------------------------------------------------------------------


def test_every_example_in_the_documentation_is_read() -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    first, *decoders = map(json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    assert read(first).labels == ["person", "trolley"]
    assert {type(decoder(plain)) for plain in decoders} == set(get_args(Decoder))
