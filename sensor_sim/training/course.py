"""The way from a recipe to a model package, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sensor_sim.decoders.imx500_pp import Imx500PP
from sensor_sim.package import CARD, WEIGHTS, Card, Package, load_package
from sensor_sim.pixels import Image
from sensor_sim.training import STEPS, evaluate, export, pictures
from sensor_sim.training.augment import augment
from sensor_sim.training.detector import Detector
from sensor_sim.training.pictures import Album, Order
from sensor_sim.training.quantise import quantise
from sensor_sim.training.recipes import Recipe
from sensor_sim.training.train import train

# Pictures on which the ranges of the integers are measured.
CALIBRATION = 160
FLOAT = "float.onnx"
NETWORK = "network.pt"
READ_ME = "README.md"
TABLE = "## Measured on pictures of unseen worlds"


@dataclass(frozen=True)
class Course:
    """A recipe with the folders for pictures and checkpoints, and for the package."""

    recipe: Recipe
    folder: Path
    package: Path
    processes: int

    def orders(self) -> Iterator[tuple[str, Order]]:
        """What is to be drawn, under the names of their folders."""
        for kind, orders in (("training", self.recipe.training), ("unseen", self.recipe.unseen)):
            for order in orders:
                yield f"{order.draw.__name__}-{kind}", order

    def albums(self, kind: str) -> list[Album]:
        return [pictures.read(order, self.folder / name) for name, order in self.orders() if kind in name]


def run(course: Course, steps: Sequence[str]) -> None:
    for step in STEPS:
        if step in steps:
            _STEPS[step](course)


def _render(course: Course) -> None:
    for name, order in course.orders():
        with _bar(f"rendering {name}") as bar:
            pictures.render(order, course.folder / name, course.processes, bar)


def _train(course: Course) -> None:
    recipe = course.recipe
    network: Detector | None = None
    for number, plan in enumerate(recipe.plans, 1):
        with _bar(f"training {number}/{len(recipe.plans)}") as bar:
            checkpoint = course.folder / f"checkpoint-{number}.pt"
            network = train(recipe.shape, plan, course.albums("training"), checkpoint, bar, network)
    assert network
    torch.save(network.state_dict(), course.folder / NETWORK)


def _quantise(course: Course) -> None:
    """Write the package, and beside the checkpoints the same network in floats."""
    recipe, shape = course.recipe, course.recipe.shape
    network = shape.build()
    network.load_state_dict(torch.load(course.folder / NETWORK, weights_only=True))
    network.rescore(*recipe.rescored)
    floats = export.export_cells(network, shape.width, shape.height)
    integers = quantise(floats, _calibration(course))
    course.package.mkdir(parents=True, exist_ok=True)
    for cells, path in ((integers, course.package / WEIGHTS), (floats, course.folder / FLOAT)):
        path.write_bytes(_finished(cells, recipe).SerializeToString())
    _write_card(course, {})


def _calibration(course: Course) -> Iterator[Image]:
    """Training pictures with the mildest changes."""
    shape, plan = course.recipe.shape, course.recipe.plans[-1]
    for album in course.albums("training"):
        for number in np.linspace(0, len(album) - 1, CALIBRATION).astype(int).tolist():
            random = np.random.default_rng((plan.seed, number))
            picture, things = album.pictures[number], album.things(number)
            yield augment(picture, things, shape.width, shape.height, plan.last_changes, random)[0]


def _finished(cells: onnx.ModelProto, recipe: Recipe) -> onnx.ModelProto:
    shape = recipe.shape
    model = export.add_boxes(cells, shape.classes, shape.width, shape.height, recipe.thinning)
    export.take_bytes(model, shape.width, shape.height)
    onnx.checker.check_model(model, full_check=True)
    return model


def _evaluate(course: Course) -> None:
    """Measure the package and the same network in floats, and write the figures into the card."""
    package = load_package(course.package)
    in_floats = load_package(course.package, course.folder / FLOAT)
    measured = {"score": course.recipe.score}
    for name, order in course.orders():
        if order in course.recipe.unseen:
            album = pictures.read(order, course.folder / name)
            kind = order.draw.__name__
            measured |= {f"{kind}_{key}": value for key, value in _figures(course, package, album).items()}
            floats = _figures(course, in_floats, album)
            measured |= {f"{kind}_{key}_float": floats[key] for key in floats if key.endswith("ap50")}
    _write_card(course, measured)
    for key, value in measured.items():
        print(f"{key:40} {value:g}")


def _figures(course: Course, package: Package, album: Album) -> dict[str, float]:
    with _bar("measuring") as bar:
        compared = evaluate.run(package, album, bar)
    figures = evaluate.figures(compared, list(course.recipe.classes), course.recipe.score)
    return {"pictures": len(album)} | figures


def _write_card(course: Course, measured: dict[str, float]) -> None:
    recipe = course.recipe
    card = Card(
        name=recipe.title,
        licence="Apache-2.0",
        source=f"python -m sensor_sim.training {recipe.name}",
        input=recipe.input,
        decoder=Imx500PP(),
        labels=list(recipe.classes),
        measured=measured,
    )
    text = msgspec.json.format(msgspec.json.encode(card), indent=2)
    (course.package / CARD).write_bytes(text + b"\n")
    _write_table(course.package / READ_ME, recipe.title, measured)


def _write_table(path: Path, title: str, measured: dict[str, float]) -> None:
    """The card's figures for people to read, in place of what the file ends with; the rest is written by hand."""
    written = path.read_text().partition(TABLE)[0] if path.exists() else f"# {title}\n\n"
    rows = [f"| {name} | {value:g} |" for name, value in measured.items()]
    path.write_text("\n".join([f"{written}{TABLE}", "", "| figure | value |", "|---|---|", *rows, ""]))


@contextmanager
def _bar(title: str) -> Iterator[Callable[..., None]]:
    """A progress bar; call it with how much is done, of how much, and a figure to show."""
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figure]}"),
    )
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=None, figure="")

        def report(done: int, of: int, figure: float | None = None) -> None:
            shown = "" if figure is None else f"loss {figure:.3f}"
            progress.update(task, completed=done, total=of, figure=shown)

        yield report


_STEPS = {"render": _render, "train": _train, "quantise": _quantise, "evaluate": _evaluate}
