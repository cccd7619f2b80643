"""Cards, decoders and the network together, with real graphs run by ONNX Runtime."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from sensor_sim.detection import Box
from sensor_sim.errors import SensorError
from sensor_sim.network import Network
from sensor_sim.package import MOST_MISFITS, load_package
from sensor_sim.pixels import Rectangle
from tests.sensor_sim import networks
from tests.sensor_sim.networks import card, constant_model, package

BLACK = np.zeros((48, 64, 3), np.uint8)
PEOPLE = {"person", "bottle"}


def pp_outputs(**changes: Any) -> dict[str, Any]:
    """Three rows, two of them valid, as (top, left, bottom, right) in fractions."""
    return {
        "boxes": [[[0.1, 0.2, 0.5, 0.4], [0.0, 0.5, 1.0, 1.0], [0.3, 0.3, 0.4, 0.4]]],
        "scores": [[0.9, 0.3, 0.8]],
        "classes": [[0, 1, 0]],
        "count": [2],
    } | changes


def refusal(plain: dict[str, Any], weights: bytes) -> str:
    with pytest.raises(SensorError) as caught:
        Network(package(plain, weights))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def approximately(box: Box) -> Any:
    return pytest.approx(box, abs=1e-5)


# --- imx500_pp -------------------------------------------------------------------------------------


def test_imx500_pp_reads_the_valid_rows() -> None:
    found = Network(package(card(), constant_model(**pp_outputs()))).detect(BLACK, PEOPLE, 0.1).detections
    assert [(d.label, round(d.score, 3)) for d in found] == [("person", 0.9), ("bottle", 0.3)]
    assert found[0].box == approximately(Box(0.2, 0.1, 0.4, 0.5))
    assert found[1].box == approximately(Box(0.5, 0.0, 1.0, 1.0))


def test_imx500_pp_gives_out_what_was_asked_for() -> None:
    network = Network(package(card(), constant_model(**pp_outputs())))
    assert [d.label for d in network.detect(BLACK, {"bottle"}, 0.1).detections] == ["bottle"]
    assert [d.label for d in network.detect(BLACK, PEOPLE, 0.5).detections] == ["person"]
    assert network.detect(BLACK, set(), 0.0).detections == []


@pytest.mark.parametrize("count", [-1, 0, 3, 900])
def test_imx500_pp_never_reads_beyond_its_rows(count: int) -> None:
    network = Network(package(card(), constant_model(**pp_outputs(count=[count]))))
    assert len(network.detect(BLACK, PEOPLE, 0.0).detections) == min(max(count, 0), 3)


def test_imx500_pp_order_and_unit_come_from_the_card() -> None:
    settings_ = {
        "layout": "imx500_pp",
        "box_order": "xyxy",
        "box_unit": "pixel",
        "outputs": ["boxes", "classes", "scores", "count"],
    }
    swapped = constant_model(boxes=[[[16, 32, 48, 64]]], classes=[[1]], scores=[[0.5]], count=[1])
    [found] = Network(package(card(decoder=settings_), swapped)).detect(BLACK, PEOPLE, 0.1).detections
    assert (found.label, found.score) == ("bottle", 0.5)
    assert found.box == approximately(Box(0.25, 0.5, 0.75, 1.0))


def test_suppression_inside_the_network() -> None:
    """A white block is found where it is, once, and a black picture holds nothing."""
    network = Network(package(networks.SPOT_CARD, networks.bright_spot_model()))
    image = np.zeros((128, 64, 3), np.uint8)
    image[32:96, 16:48] = 255
    [found] = network.detect(image, PEOPLE, 0.1).detections
    assert found.score == pytest.approx(0.9)
    assert found.box == approximately(Box(0.25, 0.25, 0.75, 0.75))
    assert network.detect(np.zeros_like(image), PEOPLE, 0.1).detections == []


@pytest.mark.parametrize(
    ("outputs", "complaint"),
    [
        ({"boxes": [[0.0] * 4]}, "decoder: imx500_pp reads 4 outputs"),
        (pp_outputs(scores=[[0.9, 0.3]]), "decoder.outputs:"),
        (pp_outputs(boxes=[[[0.0] * 5] * 3]), "decoder.outputs:"),
        (pp_outputs(count=[1, 2]), "decoder.outputs:"),
    ],
)
def test_imx500_pp_refuses_other_outputs(outputs: dict[str, Any], complaint: str) -> None:
    assert complaint in refusal(card(), constant_model(**outputs))


# --- nanodet ---------------------------------------------------------------------------------------

NANODET = {"layout": "nanodet", "strides": [8, 16], "bins": 8}


def nanodet_outputs(labels: int = 2) -> dict[str, Any]:
    """Grids of 8 x 8 and 4 x 4 cells on which nothing is seen; sides of 0."""
    sides = np.zeros((64, 4, 8), np.float32)
    sides[:, :, 0] = 50.0  # all the weight on the distance 0
    return {
        "fine": np.zeros((64, labels), np.float32),
        "coarse": np.zeros((16, labels), np.float32),
        "fine_sides": sides.reshape(64, 32),
        "coarse_sides": sides[:16].reshape(16, 32),
    }


def put(outputs: dict[str, Any], cell: tuple[int, int], label: int, score: float, sides: list[int]) -> None:
    """An object in a cell (row, column) of the coarse grid, ``sides`` in cells: left, top, right, bottom."""
    number = cell[0] * 4 + cell[1]
    outputs["coarse"][number, label] = score
    weights = np.zeros((4, 8), np.float32)
    weights[range(4), sides] = 50.0
    outputs["coarse_sides"][number] = weights.reshape(-1)


@given(
    st.integers(0, 3),
    st.integers(0, 3),
    st.lists(st.integers(1, 7), min_size=4, max_size=4),
    st.integers(0, 1),
)
@settings(max_examples=25)
def test_nanodet_boxes(row: int, column: int, sides: list[int], label: int) -> None:
    outputs = nanodet_outputs()
    put(outputs, (row, column), label, 0.75, sides)
    network = Network(package(card(decoder=NANODET), constant_model(**outputs)))
    [found] = network.detect(BLACK, PEOPLE, 0.5).detections
    x, y = (column + 0.5) / 4, (row + 0.5) / 4
    left, top, right, bottom = (side / 4 for side in sides)
    assert (found.label, found.score) == (["person", "bottle"][label], 0.75)
    assert found.box == approximately(Box(x - left, y - top, x + right, y + bottom))


def test_nanodet_distance_is_an_expectation() -> None:
    """Equal weight on 1 and 3 is 2."""
    outputs = nanodet_outputs()
    put(outputs, (1, 1), 0, 0.9, [1, 1, 1, 1])
    outputs["coarse_sides"][5, 3] = 50.0  # the left side, as likely as 1
    network = Network(package(card(decoder=NANODET), constant_model(**outputs)))
    [found] = network.detect(BLACK, PEOPLE, 0.5).detections
    assert found.box.left == pytest.approx(1.5 / 4 - 2 / 4, abs=1e-5)


def test_nanodet_thins_out_within_a_label_only() -> None:
    outputs = nanodet_outputs()
    put(outputs, (1, 1), 0, 0.9, [1, 1, 2, 1])
    put(outputs, (1, 2), 0, 0.8, [2, 1, 1, 1])  # the same box, seen from the next cell
    put(outputs, (2, 1), 1, 0.7, [1, 2, 2, 0])  # nearly the same box, something else
    network = Network(package(card(decoder=NANODET), constant_model(**outputs)))
    found = network.detect(BLACK, PEOPLE, 0.5).detections
    assert sorted((d.label, round(d.score, 2)) for d in found) == [("bottle", 0.7), ("person", 0.9)]


@pytest.mark.parametrize(
    ("plain", "outputs", "complaint"),
    [
        (
            card(decoder=NANODET, labels=["person"]),
            nanodet_outputs(),
            "labels: the card has 1, the network scores 2",
        ),
        (card(decoder=NANODET), nanodet_outputs(labels=3), "labels: the card has 2, the network scores 3"),
        (
            card(decoder=NANODET | {"strides": [8, 16, 32]}),
            nanodet_outputs(),
            "decoder.outputs: 3 strides in pairs are 6 outputs, the network has 4 (",
        ),
        (card(decoder=NANODET | {"strides": [8, 32]}), nanodet_outputs(), "decoder: stride 32"),
        (card(decoder=NANODET | {"bins": 16}), nanodet_outputs(), "decoder: stride 8 with 16 bins"),
    ],
)
def test_nanodet_refuses_other_outputs(
    plain: dict[str, Any], outputs: dict[str, Any], complaint: str
) -> None:
    assert refusal(plain, constant_model(**outputs)).startswith(f"test: {complaint}")


# --- the input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "shape", "kind", "complaint"),
    [
        ({"width": 32}, (1, 3, 64, 64), TensorProto.FLOAT, "input: the card says 1x3x64x32 (NCHW)"),
        ({"layout": "NHWC"}, (1, 3, 64, 64), TensorProto.FLOAT, "input: the card says 1x64x64x3 (NHWC)"),
        ({}, (3, 64, 64), TensorProto.FLOAT, "input: the card says 1x3x64x64"),
        ({}, (1, 3, 64, 64), TensorProto.UINT8, "input.dtype: the card says float"),
    ],
)
def test_a_card_must_fit_the_input(
    changes: dict[str, Any], shape: tuple[int, ...], kind: int, complaint: str
) -> None:
    weights = networks.model([helper.make_node("Identity", ["image"], ["out"])], ["out"], {}, shape, kind)
    said = refusal(card(input=card()["input"] | changes), weights)
    assert said.startswith(f"test: {complaint}")


def test_dynamic_dimensions_fit_any_card() -> None:
    nodes = [
        helper.make_node("Identity", [name + "_"], [name]) for name in ("boxes", "scores", "classes", "count")
    ]
    values = {name + "_": np.asarray(value, np.float32) for name, value in pp_outputs().items()}
    weights = networks.model(nodes, ["boxes", "scores", "classes", "count"], values, ("n", 3, "h", "w"))
    assert len(Network(package(card(), weights)).detect(BLACK, PEOPLE, 0.1).detections) == 2


def test_letterboxed_boxes_come_back_to_the_picture() -> None:
    """Of a picture twice as wide as high, the middle half of the tensor's height is the picture."""
    plain = networks.SPOT_CARD | {"input": card()["input"] | {"aspect": "letterbox", "pad": 0}}
    image = np.zeros((64, 128, 3), np.uint8)
    image[32:64, 64:128] = 255
    network = Network(package(plain, networks.bright_spot_model()))
    [found] = network.detect(image, PEOPLE, 0.1).detections
    assert found.box == approximately(Box(0.5, 0.5, 1.0, 1.0))


def test_a_box_that_is_too_thin_in_the_picture_is_none() -> None:
    """At the left edge of a tensor that shows the right half of the array, 1e-30 is nothing beside a half."""
    outputs = {"boxes": [[[0.3, 0.0, 0.5, 1e-30], [0.3, 0.2, 0.5, 0.4]]], "scores": [[0.9, 0.9]]}
    weights = constant_model(**outputs, classes=[[0, 0]], count=[2])
    network = Network(package(card(), weights), region=Rectangle(2028, 0, 2028, 3040))
    [found] = network.detect(BLACK, PEOPLE, 0.1).detections
    assert found.box == approximately(Box(0.6, 0.3, 0.7, 0.5))


def test_what_runs_on_a_black_picture_alone_is_called_by_its_name() -> None:
    n = helper.make_node
    nodes = [
        n("ReduceMax", ["image"], ["brightest"], keepdims=0),
        n("Cast", ["brightest"], ["index"], to=TensorProto.INT64),
        n("Gather", ["one", "index"], ["picked"]),
        *(n("Identity", [f"{name}_value"], [name]) for name in ("boxes", "scores", "classes")),
        n("Reshape", ["picked", "flat"], ["count"]),
    ]
    values = {f"{name}_value": np.asarray(value, np.float32) for name, value in pp_outputs().items()}
    constants = values | {"one": np.ones(1, np.float32), "flat": np.array([-1], np.int64)}
    network = Network(
        package(card(), networks.model(nodes, ["boxes", "scores", "classes", "count"], constants))
    )
    assert len(network.detect(BLACK, PEOPLE, 0.1).detections) == 1
    with pytest.raises(SensorError) as caught:
        network.detect(np.full_like(BLACK, 9), PEOPLE, 0.1)
    assert str(caught.value) == (  # and nothing of the picture: ONNX Runtime says that the index is 9
        "test: model.onnx: the network runs on a black picture, but not on every other; export it again, or take a "
        "smaller one where memory is short"
    )


def class_of_brightness() -> bytes:
    """Gives the brightest value of the picture as the class, and NaN as the score where that is 255."""
    n = helper.make_node
    nodes = [
        n("ReduceMax", ["image"], ["brightest"], keepdims=0),
        n("Reshape", ["brightest", "flat"], ["classes"]),
        n("Sub", ["white", "classes"], ["darkness"]),
        n("Sign", ["darkness"], ["not_white"]),
        n("Div", ["not_white", "not_white"], ["one"]),
        n("Mul", ["one", "some"], ["scores"]),
        *(n("Identity", [f"{name}_value"], [name]) for name in ("boxes", "count")),
    ]
    constants = {
        "flat": np.array([-1], np.int64),
        "white": np.float32(255),
        "some": np.array([0.9], np.float32),
        "boxes_value": np.array([[0.1, 0.2, 0.5, 0.4]], np.float32),
        "count_value": np.array([1], np.float32),
    }
    return networks.model(nodes, ["boxes", "scores", "classes", "count"], constants)


def picture(brightness: int) -> Any:
    return np.full_like(BLACK, brightness)


@pytest.mark.parametrize(
    ("brightness", "complaint"),
    [
        (
            2,
            r"^test: labels: the card has 2, .* the network finds others; list exactly one label per class$",
        ),
        (
            255,
            r"^test: model\.onnx: the network gives values that are no numbers \(NaN\); train or export it again$",
        ),
    ],
)
def test_what_an_empty_picture_does_not_tell_is_told_by_the_first_that_does(
    brightness: int, complaint: str
) -> None:
    network = Network(package(card(), class_of_brightness()))
    assert network.detect(picture(0), {"bottle"}, 0.1).detections == []
    for _ in range(MOST_MISFITS - 1):
        assert network.detect(picture(brightness), PEOPLE, 0.1).detections == []
    with pytest.raises(SensorError, match=complaint):
        network.detect(picture(brightness), PEOPLE, 0.1)


def test_now_and_then_an_odd_result_is_no_reason_to_stop() -> None:
    network = Network(package(card(), class_of_brightness()))
    for _ in range(3):
        for _ in range(MOST_MISFITS - 1):
            assert network.detect(picture(255), PEOPLE, 0.1).detections == []
        assert network.detect(picture(0), {"bottle"}, 0.1).detections == []


def test_a_network_that_has_found_something_fits() -> None:
    """One broken result later on is no reason to stop."""
    network = Network(package(card(), class_of_brightness()))
    assert [found.label for found in network.detect(picture(1), PEOPLE, 0.1).detections] == ["bottle"]
    assert network.detect(picture(2), PEOPLE, 0.1).detections == []
    assert network.detect(picture(255), PEOPLE, 0.1).detections == []


def test_what_is_no_network() -> None:
    assert refusal(card(), b"not a network").startswith("test: model.onnx: this is no ONNX file")


# --- packages --------------------------------------------------------------------------------------


def test_a_folder_and_a_zip_are_the_same_package(tmp_path: Path) -> None:
    weights = constant_model(**pp_outputs())
    folder = networks.write_package(tmp_path / "p", card(), weights)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    from_folder, from_zip = load_package(folder), load_package(tmp_path / "p.zip")
    assert from_folder == from_zip
    assert len(from_folder.digest) == 16
    other = load_package(networks.write_package(tmp_path / "q", card(name="other"), weights))
    assert other.digest != from_folder.digest


def test_weights_from_elsewhere(tmp_path: Path) -> None:
    whole = load_package(networks.write_package(tmp_path / "p", card(), b"weights"))
    (tmp_path / "p" / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    assert load_package(tmp_path / "p", tmp_path / "elsewhere.onnx") == whole


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"labels": []}, "model.json: labels: Expected `array` of length >= 1"),
        (
            {"labels": ["person", "-", "bag", "-", "person"]},
            "model.json: labels[4]: 'person' is labels[0] already; give each class a label of its own, or '-' if it"
            " stands for nothing",
        ),
        ({"licence": ""}, "model.json: licence: "),
        ({"decoder": {"layout": "yolo"}}, "model.json: decoder.layout: Invalid value 'yolo'"),
        ({"decoder": {"layout": "imx500_pp", "box_order": "yxhw"}}, "model.json: decoder.box_order: Invalid"),
        ({"decoder": {"layout": "imx500_pp", "outputs": ["boxes"] * 4}}, "name each of boxes, scores"),
        (
            {"input": {"width": 0, "height": 8, "colour": "RGB", "aspect": "stretch"}},
            "model.json: input.width: ",
        ),
        (
            {"input": card()["input"] | {"width": 1281}},
            "model.json: input: the chip takes tensors of at most 1280x960, not 1281x64",
        ),
        (
            {"input": card()["input"] | {"height": 961}},
            "model.json: input: the chip takes tensors of at most 1280x960, not 64x961",
        ),
        ({"input": card()["input"] | {"std": [1, 0, 1]}}, "model.json: input.std[1]: "),
        ({"input": card()["input"] | {"dtype": "uint8", "std": [2, 2, 2]}}, "leave out mean and std"),
        ({"colour": "RGB"}, "unknown field `colour`"),
    ],
)
def test_a_faulty_card_is_named(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    folder = networks.write_package(tmp_path / "p", card(**changes), b"")
    with pytest.raises(SensorError) as caught:
        load_package(folder)
    assert str(folder) in str(caught.value)
    assert complaint in str(caught.value)


def test_classes_that_stand_for_nothing_may_share_a_label() -> None:
    labels = ["person", "-", "bag", "-"]
    assert networks.read(card(labels=labels)).labels == labels


@pytest.mark.parametrize("missing", ["model.json", "model.onnx"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = networks.write_package(tmp_path / "p", card(), b"")
    (folder / missing).unlink()
    with pytest.raises(SensorError, match=f"has no {missing}"):
        load_package(folder)


def test_what_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match="no model package there"):
        load_package(tmp_path / "nothing")
    with pytest.raises(SensorError, match="no model package there"):
        load_package(Path("/dev/zero"))  # which has no end
    (tmp_path / "notes").write_text("hello")
    with pytest.raises(SensorError, match=r"notes: this is no zip; give a folder or a zip with model\.json"):
        load_package(tmp_path / "notes")
    whole = networks.write_package(tmp_path / "p", card(), b"x" * 1000)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in whole.iterdir():
            archive.write(file, file.name)
    damaged = bytearray((tmp_path / "p.zip").read_bytes())
    damaged[60] ^= 0xFF  # inside the first file: its checksum no longer fits
    (tmp_path / "p.zip").write_bytes(damaged)
    with pytest.raises(SensorError, match="the zip is damaged"):
        load_package(tmp_path / "p.zip")
