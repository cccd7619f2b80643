"""What each bundled model learns, from which worlds, and how long."""

from __future__ import annotations

from dataclasses import dataclass

from sensor_sim.package import Input
from sensor_sim.pixels.rendered.products import LABELS
from sensor_sim.training.augment import Changes
from sensor_sim.training.export import Thinning
from sensor_sim.training.pictures import Order
from sensor_sim.training.train import Plan, Shape
from sensor_sim.training.worlds import PEOPLE_SIZE, SHELF_SIZE, entrance, shelf, varied, varied_shelf

# Worlds of these seeds are drawn for training and for measuring; everything else should use lower ones.
TRAINING, UNSEEN = 1_000_000, 2_000_000


@dataclass(frozen=True)
class Recipe:
    """``plans`` are followed one after the other, each with the network of the one before. ``score`` is where the
    model is meant to work; ``rescored`` brings its scores there
    (:meth:`~sensor_sim.training.detector.Detector.rescore`)."""

    name: str
    title: str
    classes: tuple[str, ...]
    training: tuple[Order, ...]
    unseen: tuple[Order, ...]
    shape: Shape
    plans: tuple[Plan, ...]
    thinning: Thinning
    score: float
    rescored: tuple[float, float] = (1.0, 0.0)

    @property
    def input(self) -> Input:
        return Input(self.shape.width, self.shape.height, "BGR", "letterbox", layout="NHWC", dtype="uint8")


# People nearly as a sensor sees them.
PEOPLE_AS_SEEN = Changes(zoom=(0.95, 1.3), aspect=1.1, strength=0.5, patches=0.1)
PEOPLE = Recipe(
    name="people",
    title="People at an entrance",
    classes=("person",),
    training=(
        Order(varied, ("person",), PEOPLE_SIZE, 4800, 4, TRAINING),
        Order(entrance, ("person",), PEOPLE_SIZE, 12000, 8, TRAINING),
    ),
    unseen=(
        Order(varied, ("person",), PEOPLE_SIZE, 400, 4, UNSEEN),
        Order(entrance, ("person",), PEOPLE_SIZE, 400, 8, UNSEEN),
    ),
    shape=Shape(*PEOPLE_SIZE, 1, channels=(32, 64, 112, 160), depths=(1, 2, 3), head=64),
    plans=(
        Plan(
            seed=1,
            epochs=24,
            batch=24,
            rate=2.5e-3,
            settle=6,
            changes=Changes(zoom=(0.8, 2.0)),
            last_changes=PEOPLE_AS_SEEN,
            crop=(320, 240),
        ),
        # What people are is learnt faster from small pictures, where they stand better from large ones.
        Plan(
            seed=3,
            epochs=20,
            batch=24,
            rate=1.5e-3,
            settle=8,
            changes=Changes(zoom=(0.8, 1.6)),
            last_changes=PEOPLE_AS_SEEN,
            crop=PEOPLE_SIZE,
            ends=5.0,
        ),
    ),
    thinning=Thinning(100, 0.3, mark=0.8),
    score=0.35,
    rescored=(1.4, -0.85),
)

PRODUCTS = (*LABELS, "gap")
SHELF = Recipe(
    name="shelf",
    title="Products on a shelf",
    classes=PRODUCTS,
    training=(
        Order(varied_shelf, PRODUCTS, SHELF_SIZE, 4800, 4, TRAINING, most=200),
        Order(shelf, PRODUCTS, SHELF_SIZE, 3600, 4, TRAINING, most=200),
    ),
    unseen=(
        Order(varied_shelf, PRODUCTS, SHELF_SIZE, 200, 4, UNSEEN, most=200),
        Order(shelf, PRODUCTS, SHELF_SIZE, 200, 4, UNSEEN, most=200),
    ),
    shape=Shape(480, 360, len(PRODUCTS), channels=(24, 48, 64, 96), depths=(1, 2, 2), head=48),
    plans=(
        Plan(
            seed=2,
            epochs=20,
            batch=24,
            rate=2e-3,
            settle=4,
            changes=Changes(zoom=(1.1, 2.1), aspect=1.15, strength=0.7, patches=0.1),
            last_changes=Changes(zoom=(1.3, 1.7), aspect=1.05, strength=0.4, patches=0.0),
            crop=(320, 240),
        ),
    ),
    thinning=Thinning(300, 0.65),
    score=0.35,
    rescored=(1.0, -0.3),
)

RECIPES = {recipe.name: recipe for recipe in (PEOPLE, SHELF)}
