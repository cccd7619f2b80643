"""A shelf in a shop: shoppers take, put back and misplace, staff fill up, people walk by and stand before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sensor_sim.detection import Box
from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered import Stocked, View
from sensor_sim.pixels.rendered.shelf_bay import Bay, Floats, make_bay
from sensor_sim.pixels.rendered.shelf_items import Region, lay, make_patch, pose
from sensor_sim.pixels.rendered.shelf_people import Part, arm, body, build, paint
from sensor_sim.pixels.rendered.shelf_plan import Outlined, fill, find_things, outlined
from sensor_sim.pixels.rendered.shelf_scenery import Scenery
from sensor_sim.pixels.rendered.shelf_still import Still
from sensor_sim.pixels.rendered.shelf_story import GRIP, Item, Move, Story

PERSON = "person"
FIRST_PERSON = 2_000_000  # numbers below are items' and gaps'


class Shelf:
    """A bay seen from opposite and above, of which everything that stands in it is known.

    ``pace`` multiplies how often people come. ``varied`` draws camera, bay, products and light broadly, and
    sometimes a table instead of shelves: to train with. Things are the items (``LABELS``), also the one in
    a hand; the facings in which no item stands at any depth (``gap``, outlined as an item in the front row
    would be; not on a table, where nothing tells them); people with their arms (``person``). The scene and the
    happenings are of the slots that the picture shows whole: always all if not ``varied``, and perhaps none.
    """

    def __init__(self, seed: int, start: float, pace: float = 1.0, varied: bool = False) -> None:
        rng = np.random.default_rng([seed, 1])
        self.bay: Bay = make_bay(rng, varied)
        self.scene: Mapping[str, Any] = _scene(self.bay)
        self.story = Story(self.bay, seed, start, pace, _fill(rng, self.bay.table) if varied else 0.9)
        self._scenery = Scenery(self.bay, rng, varied)
        self._still = Still(self.bay, self._scenery)

    def advance(self, at: float) -> Sequence[Stocked]:
        return [told for told in self.story.advance(at) if self.bay.sees(self.bay.slot(told.slot))]

    def end(self) -> Sequence[Stocked]:
        return []

    def view(self, width: int, height: int) -> View:
        self._still.update(self.story.stock, max(width, -(-height * 4 // 3)))
        canvas, plan = self._still.picture.copy(), self._still.plan.copy()
        drawn = list(self._still.things)
        for mover in self._movers(canvas):
            drawn.append(mover)
            fill(plan, mover.outlines, len(drawn))
        image, crop = _cropped(self._scenery.light(canvas), width, height)
        return View(image, 1.0, find_things(plan, drawn, crop))

    def _movers(self, canvas: Image) -> Iterator[Outlined]:
        """Draw who and what moves, the nearest last."""
        story, bay = self.story, self.bay
        if move := story.hand:
            if move.carried:
                yield self._carry(canvas, move.carried, move.hand(story.now))
            yield _person(canvas, move.person, self._reacher(move))
        for passage in () if bay.table else sorted(story.passages, key=lambda p: p.away):
            z = -bay.standoff * passage.away
            who = build(passage.person)
            yield _person(
                canvas, passage.person, body(bay.camera, who, passage.walks_at(story.now), z, (-1, 1))
            )

    def _carry(self, canvas: Image, item: Item, hand: Floats) -> Outlined:
        place = hand - np.array([0.0, GRIP * item.product.height, 0.0])
        how = pose(self.bay.camera, item.product, item.turn, place)
        height, width = canvas.shape[:2]
        if patch := make_patch(self.bay, item.product, how, None, width):
            lay(canvas, [patch], Region(0, 0, width, height))
        return outlined(item.number, item.product.label, [how.outline(item.product)])

    def _reacher(self, move: Move) -> list[Part]:
        """Somebody with one arm stretched out; at a table only the arm is seen."""
        bay, who = self.bay, build(move.person)
        x, hand = move.stands_at(self.story.now), move.hand(self.story.now)
        if bay.table:
            return arm(bay.camera, who, np.array([x, bay.boards[0] + 75.0, -10.0]), hand)
        side = 1.0 if hand[0] < x else -1.0
        shoulder = np.array([x - side * who.girth, 0.79 * who.height, -bay.standoff])
        return [*body(bay.camera, who, x, -bay.standoff, [side]), *arm(bay.camera, who, shoulder, hand)]


def _scene(bay: Bay) -> dict[str, Any]:
    slots = [
        {
            "id": slot.id,
            "name": slot.name,
            "item": slot.product.label,
            "polygon": bay.polygon(slot),
            "facings": len(slot.columns),
            "deep": len(slot.rows),
        }
        for slot in bay.slots
        if bay.sees(slot)
    ]
    labels = sorted({slot.product.label for slot in bay.slots})
    return {"version": 1, "detect": {"labels": labels, "score": 0.35}, "slots": slots}


def _fill(rng: np.random.Generator, table: bool) -> float:
    """How full it is at first, broadly drawn."""
    return rng.uniform(0.7 if table else 0.1, 1.0)


def _person(canvas: Image, number: int, parts: Sequence[Part]) -> Outlined:
    paint(canvas, parts)
    outlines = [polygon for part in parts for polygon in part.polygons]
    return outlined(FIRST_PERSON + number, PERSON, outlines)


def _cropped(image: Image, width: int, height: int) -> tuple[Image, Box]:
    """The picture's middle, and where in the whole it lies."""
    rows, columns = image.shape[:2]
    left, top = (columns - width) // 2, (rows - height) // 2
    crop = Box(left / columns, top / rows, (left + width) / columns, (top + height) / rows)
    return image[top : top + height, left : left + width], crop
