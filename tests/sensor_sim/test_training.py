"""Training: targets, the loss, exact resumption, and that the graph says what the network said.

What needs PyTorch, which only whoever trains has, is skipped without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sensor_sim import training
from sensor_sim.detection import Box, Detection
from sensor_sim.errors import SensorError
from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.pixels.rendered import Thing, View
from sensor_sim.training import NAMES, STEPS, pictures, scoring
from sensor_sim.training.__main__ import main
from sensor_sim.training.augment import Changes, augment
from sensor_sim.training.pictures import Album, Labels, Order
from sensor_sim.training.scoring import Truth
from sensor_sim.training.targets import assign

WIDTH, HEIGHT = 64, 48
GENTLE = Changes(zoom=(1.0, 1.2), aspect=1.0, strength=0.2, patches=0.0)


def draw(seed: int) -> Iterator[View]:
    """One bright square on black each, labelled."""
    random = np.random.default_rng(seed)
    while True:
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        left, top = int(random.integers(0, WIDTH - 24)), int(random.integers(0, HEIGHT - 24))
        image[top : top + 24, left : left + 24] = random.integers(150, 255, 3)
        box = Box(left / WIDTH, top / HEIGHT, (left + 24) / WIDTH, (top + 24) / HEIGHT)
        yield View(image, 1.0, [Thing(1, "square", box, 1.0), Thing(2, "stranger", box, 1.0)])


ORDER = Order(draw, ("square",), (WIDTH, HEIGHT), count=6, moments=4, first_seed=7, most=3)


def labels(*rows: tuple[float, ...], marks: Sequence[tuple[float, ...]] = ()) -> Labels:
    """Without ``marks``, things are told apart by their boxes."""
    things = np.array(rows, np.float32)
    return np.hstack([things, np.array(marks, np.float32) if marks else things[:, pictures.BOX]])


# --- Pictures ---


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Album:
    return pictures.render(ORDER, tmp_path_factory.mktemp("album"), processes=1)


def test_pictures_are_the_same_however_they_are_drawn(album: Album, tmp_path: Path) -> None:
    """In one go, or broken off after the first group and gone on with by two processes."""
    first = pictures.render(replace(ORDER, count=4), tmp_path / "short", processes=1)
    assert (first.pictures == album.pictures[:4]).all()
    begun, done = pictures._open(ORDER, tmp_path / "long")
    begun.pictures[:4], begun.labels[:4], done[0] = first.pictures, first.labels, True
    told: list[tuple[int, int]] = []
    whole = pictures.render(ORDER, tmp_path / "long", processes=2, report=lambda *of: told.append(of))
    assert told == [(6, 6)]
    assert (whole.pictures == album.pictures).all()
    assert (whole.labels == album.labels).all()


def test_an_album_holds_the_classes_asked_for(album: Album) -> None:
    assert len(album) == 6
    for number in range(6):
        (row,) = album.things(number).tolist()
        left, top, right, bottom = (round(v * s) for v, s in zip(row[1:5], (WIDTH, HEIGHT) * 2, strict=True))
        assert (row[0], row[5]) == (0.0, 1.0)
        assert album.pictures[number, top:bottom, left:right].min() >= 150
        assert np.count_nonzero(album.pictures[number].max(axis=2)) == 24 * 24


def test_of_too_many_things_the_most_visible_are_kept() -> None:
    things = [Thing(n, "a", Box(0, 0, 1, 1), visible=n / 10) for n in range(5)]
    assert pictures.rows(things, ("a",), 2)[:, 5].tolist() == [np.float32(0.4), np.float32(0.3)]


# --- Changes of pictures ---


@pytest.mark.parametrize("seed", range(20))
def test_labels_follow_the_picture(album: Album, seed: int) -> None:
    """However a picture is cut, turned over and stretched, the box lies around the bright square."""
    number, random = seed % len(album), np.random.default_rng(seed)
    changed, things = augment(album.pictures[number], album.things(number), 128, 96, GENTLE, random)
    (row,) = things.tolist()
    bright = cv2.boundingRect((changed.min(axis=2) > 60).astype(np.uint8))
    is_ = np.array([bright[0], bright[1], bright[0] + bright[2], bright[1] + bright[3]])
    for corners in pictures.BOX, pictures.MARK:
        assert np.abs(np.array(row[corners]) * [128, 96, 128, 96] - is_).max() <= 4


def test_the_same_generator_gives_the_same_picture(album: Album) -> None:
    wild = Changes(zoom=(0.5, 2.0), patches=1.0)
    one, other = (
        augment(album.pictures[0], album.things(0), 64, 48, wild, np.random.default_rng(3)) for _ in range(2)
    )
    assert (one[0] == other[0]).all()
    assert (one[1] == other[1]).all()


# --- Targets ---


def test_a_thing_is_a_bell_around_its_centre() -> None:
    targets = assign(labels((1, 0.25, 0.0, 0.75, 1.0, 1.0)), 2, 64, 48)
    assert targets.heat.shape == (2, 6, 8)
    assert not targets.heat[0].any()
    assert np.argwhere(targets.heat[1] == 1).tolist() == [[3, 4]]
    assert (targets.care == 1).all()
    under = targets.weights > 0
    assert (under == (targets.heat[1] > 0)).all()
    assert targets.weights.sum() == pytest.approx(1)
    assert (targets.boxes[:, under] == np.array([0, 2, 6, 6])[:, None]).all()


def test_a_thing_with_a_mark_is_a_bell_around_that() -> None:
    """The box is learned there too; a mark beyond the picture's edge is looked for at the edge."""
    box = (0.25, 0.0, 0.75, 1.0)
    targets = assign(labels((0, *box, 1.0), marks=[(0.5, 0.1, 0.625, 0.2)]), 1, 64, 48)
    assert np.argwhere(targets.heat[0]).tolist() == [[0, 4]]
    assert targets.boxes[:, 0, 4].tolist() == [0, 2, 6, 6]
    assert np.argwhere(targets.weights).tolist() == [[0, 4]]
    beyond = assign(labels((0, *box, 1.0), marks=[(0.5, 0.0, 0.625, 0.0)]), 1, 64, 48)
    assert np.argwhere(beyond.heat[0]).tolist() == [[0, 4]]


def test_what_is_hidden_is_neither_right_nor_wrong() -> None:
    hidden, seen = (0, 0.0, 0.0, 0.5, 1.0, 0.1), (0, 0.5, 0.0, 1.0, 1.0, 0.9)
    targets = assign(labels(hidden, seen), 1, 64, 48)
    alone = assign(labels(seen), 1, 64, 48)
    assert (targets.heat == alone.heat).all()
    assert (targets.weights == alone.weights).all()
    assert targets.care[3, 2] == 0
    assert targets.care[3, 6] == 1


# --- Scores ---


def test_detections_are_matched_best_first() -> None:
    here, there = Box(0, 0, 0.2, 0.2), Box(0.5, 0.5, 0.9, 0.9)
    truths = [Truth("a", here, 1.0), Truth("a", there, 0.1), Truth("b", here, 1.0)]
    detections = [
        Detection("a", 0.6, here),
        Detection("a", 0.9, here),  # the same thing again
        Detection("a", 0.5, there),  # can hardly be seen
        Detection("a", 0.4, Box(0.8, 0.0, 0.9, 0.1)),  # nothing
    ]
    scored = scoring.compare(detections, truths, "a")
    assert scored.detections == [(0.9, True), (0.6, False), (0.4, False)]
    assert scored.found == [(truths[0], 0.9)]
    assert scoring.average_precision([scored]) == 1.0
    assert scoring.precision([scored], 0.5) == 0.5
    assert scoring.recall(scored.found, 0.5) == 1.0


def test_average_precision_is_the_area_under_the_curve() -> None:
    truth = Truth("a", Box(0, 0, 1, 1), 1.0)
    scored = scoring.Scored(
        [(0.9, True), (0.8, False), (0.7, True)], [(truth, 0.9), (truth, 0.7), (truth, 0)]
    )
    assert scoring.average_precision([scored]) == pytest.approx((1 + 2 / 3) / 3)
    assert np.isnan(scoring.average_precision([scoring.Scored([(0.9, False)], [])]))


# --- With PyTorch ---


def tiny() -> tuple[Any, Any, Any]:
    """The module ``train`` with a network and a plan for the squares."""
    pytest.importorskip("torch", reason="training needs PyTorch: the dependency group training")
    from sensor_sim.training import train

    shape = train.Shape(WIDTH, HEIGHT, 1, channels=(8, 12, 16, 16), depths=(0, 0, 0), head=12)
    plan = train.Plan(
        seed=3, epochs=2, batch=2, rate=5e-3, changes=GENTLE, last_changes=GENTLE, crop=(WIDTH, HEIGHT),
    )  # fmt: skip
    return train, shape, plan


def untold(*_: object) -> None: ...


def weights(network: Any) -> list[np.ndarray[Any, Any]]:
    return [value.numpy() for value in network.state_dict().values()]


def test_going_on_is_the_same_as_never_having_stopped(album: Album, tmp_path: Path) -> None:
    train, shape, plan = tiny()
    once = train.train(shape, plan, [album], tmp_path / "once.pt", untold)

    def interrupt(done: int, of: int, wrong: float) -> None:
        if done == 4:  # one step into the second epoch
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train.train(shape, plan, [album], tmp_path / "again.pt", interrupt)
    again = train.train(shape, plan, [album], tmp_path / "again.pt", untold)
    assert all((a == b).all() for a, b in zip(weights(once), weights(again), strict=True))


def test_a_checkpoint_of_another_plan_is_not_gone_on_with(album: Album, tmp_path: Path) -> None:
    train, shape, plan = tiny()
    train.train(shape, plan, [album], tmp_path / "checkpoint.pt", untold)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    others = [(replace(plan, seed=4), None), (replace(plan, epochs=3), None), (plan, shape.build())]
    for other, begin in others:
        with pytest.raises(
            SensorError,
            match=r"checkpoint\.pt: trained by another plan or from another network; remove it to train anew",
        ):
            train.train(shape, other, [album], tmp_path / "checkpoint.pt", untold, begin)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_later_plan_goes_on_from_the_network_of_the_one_before(album: Album, tmp_path: Path) -> None:
    train, shape, plan = tiny()
    first = train.train(shape, plan, [album], tmp_path / "first.pt", untold)
    before = [value.copy() for value in weights(first)]
    still = replace(plan, rate=0.0, epochs=1)
    second = train.train(shape, still, [album], tmp_path / "second.pt", untold, first)
    learnt = {name for name, _ in first.named_parameters()}
    for name, a, b in zip(first.state_dict(), before, weights(second), strict=True):
        assert name not in learnt or np.allclose(a, b), name
    train.train(shape, replace(plan, seed=4), [album], tmp_path / "third.pt", untold, first)
    assert all((a == b).all() for a, b in zip(before, weights(first), strict=True)), (
        "the first one was changed"
    )


def test_boxes_that_end_elsewhere_cost_more_where_ends_count() -> None:
    tiny()
    import torch

    from sensor_sim.training import losses

    boxes = torch.tensor([2.0, 2.0, 6.0, 4.0])[None, :, None, None].expand(1, 4, 8, 8)
    there = torch.ones(1, 1, 8, 8)
    found = boxes + torch.tensor([0.0, 0.0, 1.0, 0.0])[None, :, None, None]
    assert losses.ends_apart(found, boxes) == pytest.approx(np.full((1, 8, 8), 0.25))
    assert losses.ends_apart(boxes, boxes) == pytest.approx(np.zeros((1, 8, 8)))
    assert losses.ends_apart(boxes + 100, boxes) == pytest.approx(np.ones((1, 8, 8)))
    output = torch.zeros(1, 5, 8, 8)
    plain, with_ends = (
        losses.loss(output, there, there[:, 0], boxes, there[:, 0], ends_weight=weight)
        for weight in (0.0, 3.0)
    )
    apart = losses.ends_apart(losses.corners(output[:, 1:]), boxes).mean()
    assert float(with_ends - plain) == pytest.approx(3 * float(apart), rel=1e-5)


def test_a_few_pictures_can_be_learnt(album: Album, tmp_path: Path) -> None:
    train, shape, plan = tiny()
    told: list[float] = []
    train.train(
        shape,
        replace(plan, epochs=60),
        [album],
        tmp_path / "checkpoint.pt",
        lambda done, of, wrong: told.append(wrong),
    )
    assert np.mean(told[-9:]) < 0.3 * np.mean(told[:9])


def test_the_graph_says_what_the_network_said(album: Album) -> None:
    """Boxes from the graph, fed with bytes, are those of the cells that PyTorch scores best."""
    _, shape, _ = tiny()
    import torch

    from sensor_sim.training import export, losses

    torch.manual_seed(1)
    network = shape.build().eval()
    picture = album.pictures[0]
    with torch.no_grad():
        cells = network(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255)
        boxes = (losses.corners(cells[:, 1:])[0] / torch.tensor([6, 8, 6, 8])[:, None, None]).clamp(0, 1)
    model = export.add_boxes(
        export.export_cells(network, WIDTH, HEIGHT), 1, WIDTH, HEIGHT, export.Thinning(5, 1.0)
    )
    for initializer in model.graph.initializer:
        if initializer.name == "least_score":
            initializer.CopyFrom(export.numpy_helper.from_array(np.array([0.0], np.float32), "least_score"))
    session = run_with(export.take_bytes(model, WIDTH, HEIGHT).SerializeToString())
    found, scores, classes, count = session.run(None, {"bytes": picture[None]})
    best = cells[0, 0].sigmoid().flatten().sort(descending=True)
    assert (found.shape, count.tolist(), classes.tolist()) == ((5, 4), [5.0], [0.0] * 5)
    assert scores == pytest.approx(best.values[:5].numpy(), abs=1e-5)
    expected = boxes.reshape(4, -1).T[best.indices[:5]].numpy()
    assert found == pytest.approx(expected, abs=1e-4)


def test_marks_are_compared_where_there_are_any() -> None:
    """Two cells that tell of the same box are two things only where cells far enough apart are."""
    pytest.importorskip("torch", reason="training needs PyTorch: the dependency group training")
    from sensor_sim.training import export

    found = {}
    for thinning in (
        export.Thinning(5, 0.5),
        export.Thinning(5, 0.3, mark=0.5),
        export.Thinning(5, 0.3, mark=4.0),
    ):
        model = export.helper.make_model(
            export.helper.make_graph(
                [],
                "cells",
                [export.helper.make_tensor_value_info(export.CELLS, export.TensorProto.FLOAT, [1, 5, 6, 8])],
                [],
            ),
            opset_imports=[export.helper.make_opsetid("", export.OPSET)],
            ir_version=export.IR_VERSION,
        )
        export.add_boxes(model, 1, 64, 48, thinning)
        cells = np.full((1, 5, 6, 8), -9, np.float32)
        for column, score in (2, 4.0), (4, 2.0):  # both see columns 1 to 5 and rows 1 to 3
            cells[0, 0, 2, column] = score
            cells[0, 1:, 2, column] = np.log([1.5, column - 0.5, 1.5, 5.5 - column])
        session = run_with(model.SerializeToString())
        boxes, *_, count = session.run(None, {export.CELLS: cells})
        found[thinning] = int(count[0])
        assert boxes[0] == pytest.approx([1 / 6, 1 / 8, 4 / 6, 6 / 8])
    assert list(found.values()) == [1, 2, 1]


def test_without_pytorch_the_command_says_what_there_is_and_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("course", "recipes"):
        monkeypatch.delitem(sys.modules, f"sensor_sim.training.{name}", raising=False)
        monkeypatch.delattr(training, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    for words, status, said in (
        (["--help"], 0, "{people,shelf}"),
        (["cats"], 2, "argument recipe: invalid choice: 'cats'"),
        (["shelf", "--steps", "sing"], 2, "argument --steps: invalid choice: 'sing'"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == status
        assert said in "".join(capsys.readouterr())
    assert main(["people"]) == 1
    assert capsys.readouterr().err.endswith(" is missing; install the dependency group training\n")


def test_the_recipes_are_those_that_can_be_asked_for() -> None:
    pytest.importorskip("torch", reason="training needs PyTorch: the dependency group training")
    from sensor_sim.training import recipes

    assert tuple(recipes.RECIPES) == NAMES


def test_from_a_recipe_to_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All steps in one go; what comes out runs in the sensor and says how good it is."""
    _, shape, plan = tiny()
    from sensor_sim.training import course, export, recipes

    recipe = recipes.Recipe(
        name="squares",
        title="Squares",
        classes=("square",),
        training=(replace(ORDER, count=24),),
        unseen=(replace(ORDER, count=8, first_seed=90),),
        shape=shape,
        plans=(replace(plan, epochs=20, batch=4), replace(plan, epochs=5, batch=4, ends=1.0)),
        thinning=export.Thinning(10, 0.5),
        score=0.3,
    )
    package = tmp_path / "package"
    for _ in range(2):  # the second time there is nothing left to draw or train
        course.run(course.Course(recipe, tmp_path, package, processes=1), STEPS)
    loaded = load_package(package)
    measured = loaded.card.measured
    assert (loaded.card.labels, measured["draw_pictures"], measured["score"]) == (["square"], 8.0, 0.3)
    assert measured["draw_square_ap50"] > 0.9
    assert abs(measured["draw_square_ap50"] - measured["draw_square_ap50_float"]) < 0.1
    picture = next(draw(90)).image
    (best, *_) = Network(loaded).detect(picture, {"square"}, 0.3).detections
    bright = cv2.boundingRect(picture.max(axis=2))
    assert np.abs(np.array(best.box)[:2] * (WIDTH, HEIGHT) - bright[:2]).max() < 5
    text = (package / "README.md").read_text()
    assert text.startswith("# Squares\n")
    assert f"| draw_square_ap50 | {measured['draw_square_ap50']:g} |" in text


def run_with(model: bytes) -> Any:
    import onnxruntime  # type: ignore[import-untyped]

    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
