"""How well the shelf model tells misplaced items, in single pictures of rendered shelves that it has never seen.

    python -m bench.accuracy.misplaced

An item is misplaced if its box has its middle in a slot of a product with another label; one that a hand carries
past counts as well. What the model finds is read in the same way. Rendering the 1600 pictures takes ten minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rich.progress import track

from sensor_sim.detection import Box, Detection, overlap
from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.perception.geometry import inside
from sensor_sim.pixels.rendered.products import LABELS
from sensor_sim.pixels.rendered.shelf import Shelf
from sensor_sim.training import worlds
from sensor_sim.training.scoring import RIGHT, Scored, Truth, compare, precision, recall
from sensorapp import wire

MODEL = Path(__file__).parents[2] / "fixtures" / "models" / "shelf"
# Seeds that neither training nor the card's figures have seen.
FIRST_SEED, WORLDS, MOMENTS = 4_000_000, 400, 4
SCORE = 0.35
SCORES = (SCORE, 0.5, 0.65)
SEEN = 0.5  # the visible share from which on an item should be found
MISPLACED = "misplaced"
Slots = Sequence[wire.Slot]


class Picture(NamedTuple):
    """The items that are truly there, and those that the model finds."""

    slots: Slots
    items: list[Truth]
    found: list[Detection]


class Named(NamedTuple):
    """An item in a slot, and the name that the model has for it: None if it finds nothing there."""

    label: str
    name: str | None
    misplaced: bool
    told: bool  # misplaced, by its name


def look(network: Network, seed: int) -> Iterator[Picture]:
    """The moments of a world."""
    slots = wire.convert(dict(Shelf(seed, worlds.START).scene), wire.Scene).slots
    for view in islice(worlds.shelf(seed), MOMENTS):
        items = [Truth(t.label, t.box, t.visible) for t in view.things if t.label in LABELS]
        yield Picture(slots, items, network.detect(view.image, LABELS, SCORE).detections)


def is_misplaced(label: str, box: Box, slots: Slots) -> bool:
    return any(label != slot.item and inside(box.centre, slot.polygon) for slot in slots)


def compare_misplaced(picture: Picture) -> Scored:
    """The name that a misplaced item is given does not matter, as long as it is not that of the slot's product."""
    items = [i for i in picture.items if is_misplaced(i.label, i.box, picture.slots)]
    found = [d for d in picture.found if is_misplaced(d.label, d.box, picture.slots)]
    return compare(
        [d._replace(label=MISPLACED) for d in found], [replace(i, label=MISPLACED) for i in items], MISPLACED
    )


def read_names(picture: Picture) -> Iterator[Named]:
    """The name of what fits best, for each item in a slot that should be found."""
    slots = picture.slots
    for item in picture.items:
        if item.visible >= SEEN and any(inside(item.box.centre, slot.polygon) for slot in slots):
            best = max(picture.found, key=lambda d: overlap(d.box, item.box), default=None)
            name = best.label if best and overlap(best.box, item.box) >= RIGHT else None
            told = name is not None and is_misplaced(name, item.box, slots)
            yield Named(item.label, name, is_misplaced(item.label, item.box, slots), told)


def print_compared(pictures: Sequence[Picture]) -> None:
    scored = [compare_misplaced(picture) for picture in pictures]
    items = [pair for one in scored for pair in one.found if pair[0].visible >= SEEN]
    print(f"{len(items)} misplaced items in {len(pictures)} pictures")
    for score in SCORES:
        false = sum(at >= score and not is_right for one in scored for at, is_right in one.detections)
        print(
            f"at {score}: recall {recall(items, score):.3f}, precision {precision(scored, score):.3f}, "
            f"{false} false alarms"
        )


def print_names(pictures: Sequence[Picture]) -> None:
    named = [one for picture in pictures for one in read_names(picture)]
    for misplaced, which in ((True, "misplaced items"), (False, "items in their own slots")):
        these = [one for one in named if one.misplaced == misplaced]
        kinds = Counter(
            "nothing" if one.name is None else MISPLACED if one.told else "in place" for one in these
        )
        print(f"{len(these)} {which} are found at {SCORE} as {dict(kinds.most_common())}")
    wrong = Counter(f"{one.label} as {one.name}" for one in named if one.told and not one.misplaced)
    print(f"the latter's wrong names: {dict(wrong.most_common())}")


def main() -> None:
    network = Network(load_package(MODEL))
    seeds = range(FIRST_SEED, FIRST_SEED + WORLDS)
    pictures = [picture for seed in track(seeds, "worlds") for picture in look(network, seed)]
    print_compared(pictures)
    print_names(pictures)


if __name__ == "__main__":
    main()
