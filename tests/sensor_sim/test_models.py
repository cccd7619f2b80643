"""The bundled models: small, whole numbers inside, and as good as their cards say."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from sensor_sim.memory import memory_report
from sensor_sim.network import Network, examine
from sensor_sim.package import Package, load_package
from sensor_sim.training import worlds
from sensor_sim.training.scoring import Scored, Truth, average_precision, compare, precision, recall

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
MOST_BYTES = 2 * 2**20
# Seeds that neither training nor the card's figures have seen.
FIRST_SEED = 3_000_000
KINDS = {
    "people": {"varied": worlds.varied, "entrance": worlds.entrance},
    "shelf": {"varied_shelf": worlds.varied_shelf, "shelf": worlds.shelf},
}
# Labels of fewer things than this tell nothing; what so few pictures can tell of the others, on average.
PICTURES, ENOUGH, MARGIN = 60, 20, 0.1
PLACES = [(model, kind) for model, kinds in KINDS.items() for kind in kinds]


@cache
def package(name: str) -> Package:
    return load_package(MODELS / name)


@cache
def graph(name: str) -> onnx.GraphProto:
    return onnx.load_model_from_string(package(name).weights).graph


@pytest.mark.parametrize("name", KINDS)
def test_a_model_is_small_and_stands_alone(name: str) -> None:
    files = {path.name for path in (MODELS / name).iterdir()}
    assert files == {"model.json", "model.onnx", "README.md"}
    assert sum(path.stat().st_size for path in (MODELS / name).iterdir()) <= MOST_BYTES
    model = onnx.load_model_from_string(package(name).weights)
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx.ml"}
    assert model.opset_import[0].version <= 18
    memory_report(examine(package(name))).check()


@pytest.mark.parametrize("name", KINDS)
def test_convolutions_are_in_whole_numbers(name: str) -> None:
    """All but the last layers read int8 weights and uint8 values, each through a DequantizeLinear."""
    nodes, types = graph(name).node, {i.name: i.data_type for i in graph(name).initializer}
    makers = {output: node for node in nodes for output in node.output}

    def is_dequantised(tensor: str) -> bool:
        return tensor in makers and makers[tensor].op_type == "DequantizeLinear"

    convolutions = [node for node in nodes if node.op_type == "Conv"]
    quantised = [node for node in convolutions if all(map(is_dequantised, node.input[:2]))]
    assert len(convolutions) - len(quantised) == 2  # the logits and the sides
    kinds = Counter(types[makers[node.input[1]].input[0]] for node in quantised)
    assert kinds == {TensorProto.INT8: len(quantised)}


@pytest.mark.parametrize("name", KINDS)
def test_suppression_is_inside_and_shapes_are_fixed(name: str) -> None:
    assert Counter(node.op_type for node in graph(name).node)["NonMaxSuppression"] == 1
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph(name).input, *graph(name).output)
    }
    most, width, height = {"people": (100, 384, 288), "shelf": (300, 480, 360)}[name]
    assert shapes == {
        "bytes": [1, height, width, 3],
        "boxes": [most, 4],
        "scores": [most],
        "classes": [most],
        "count": [1],
    }


@pytest.mark.parametrize("name", KINDS)
def test_a_card_is_as_its_read_me_says(name: str) -> None:
    """Every figure of the card stands in the table beside it."""
    measured = json.loads((MODELS / name / "model.json").read_text())["measured"]
    text = (MODELS / name / "README.md").read_text()
    assert measured
    for figure, value in measured.items():
        assert f"| {figure} | {value:g} |" in text


def look(name: str, kind: str) -> list[dict[str, Scored]]:
    """What the model makes of a picture each of places never seen, by label."""
    card, network, scored = package(name).card, Network(package(name)), []
    for seed in range(FIRST_SEED, FIRST_SEED + PICTURES):
        view = next(KINDS[name][kind](seed))
        found = network.detect(view.image, card.labels, 0.05).detections
        truths = [Truth(thing.label, thing.box, thing.visible) for thing in view.things]
        scored.append({label: compare(found, truths, label) for label in card.labels})
    return scored


@pytest.mark.parametrize(("name", "kind"), PLACES)
def test_a_model_is_as_good_as_its_card_says(name: str, kind: str) -> None:
    measured = package(name).card.measured
    score, pictures, shortfalls = measured["score"], look(name, kind), []
    for label in package(name).card.labels:
        mine = [picture[label] for picture in pictures]
        things = [pair for picture in mine for pair in picture.found]
        if len(things) >= ENOUGH:
            found = (average_precision(mine), recall(things, score), precision(mine, score))
            said = [measured[f"{kind}_{label}_{figure}"] for figure in ("ap50", "recall", "precision")]
            shortfalls.append(np.subtract(said, found))
    assert np.mean(shortfalls, axis=0).max() <= MARGIN, shortfalls
