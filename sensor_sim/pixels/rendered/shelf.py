"""A shelf in a shop: shoppers take, put back and misplace, staff fill up, people walk by and stand before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered import Stocked, Thing, View
from sensor_sim.pixels.rendered.shelf_bay import Bay, Floats, make_bay
from sensor_sim.pixels.rendered.shelf_items import Patch, Pose, Region, lay, make_patch, pose
from sensor_sim.pixels.rendered.shelf_people import Part, arm, body, build, paint
from sensor_sim.pixels.rendered.shelf_scenery import Scenery
from sensor_sim.pixels.rendered.shelf_story import GRIP, Item, Story

GAP = "gap"
PERSON = "person"

# Who hides whom is found out on a picture of this size, whatever the size that is drawn.
PLAN = (480, 360)
FIRST_GAP, FIRST_PERSON = 1_000_000, 2_000_000  # numbers of things that are no items


class _Seen(NamedTuple):
    """A thing's outlines (widths of the picture) and how many pixels of the plan it would cover alone."""

    number: int
    label: str
    outlines: Sequence[Floats]
    area: int


class _Standing(NamedTuple):
    item: Item
    place: Floats
    pose: Pose
    seen: _Seen
    board: int


class Shelf:
    """A bay seen from opposite and above, of which everything that stands in it is known.

    ``pace`` multiplies how often people come. ``varied`` draws camera, bay, products and light broadly, and
    sometimes a table instead of shelves: to train with. Things are the items (``LABELS``), also the one in
    a hand; the facings in which no item stands at any depth (``gap``, outlined as an item in the front row
    would be; not on a table, where nothing tells them); people and their arms (``person``).
    """

    def __init__(self, seed: int, start: float, pace: float = 1.0, varied: bool = False) -> None:
        rng = np.random.default_rng([seed, 1])
        self.bay: Bay = make_bay(rng, varied)
        self._scenery = Scenery(self.bay, rng, varied)
        fill = rng.uniform(0.1, 1.0) if varied else 0.9
        self.story = Story(self.bay, seed, start, pace, fill)
        self._still = _Still(self.bay, self._scenery)

    @property
    def scene(self) -> Mapping[str, Any]:
        slots = [
            {"id": slot.id, "name": slot.name, "item": slot.product.label, "polygon": self.bay.polygon(slot)}
            for slot in self.bay.slots
        ]
        labels = sorted({slot.product.label for slot in self.bay.slots})
        return {"version": 1, "detect": {"labels": labels, "score": 0.35}, "slots": slots}

    def advance(self, at: float) -> Sequence[Stocked]:
        return self.story.advance(at)

    def view(self, width: int, height: int) -> View:
        whole = max(width, -(-height * 4 // 3))
        self._still.update(self.story, whole)
        canvas = self._still.picture.copy()
        movers = list(self._movers(canvas))
        image, crop = _cropped(self._scenery_light(canvas), width, height)
        return View(image, 1.0, self._things(movers, crop))

    def _scenery_light(self, canvas: Image) -> Image:
        """Lamps, and the lens's blur."""
        blur = self._scenery.blur * canvas.shape[1]
        soft = cv2.GaussianBlur(canvas, (0, 0), blur) if blur > 0.3 else canvas
        return np.asarray(cv2.multiply(soft, self._still.gain, scale=1 / 160), np.uint8)

    def _movers(self, canvas: Image) -> Iterator[_Seen]:
        """Draw who and what moves; returns them in the order in which they are drawn."""
        story, bay = self.story, self.bay
        if move := story.hand:
            hand, at = move.hand(story.now), story.now
            if move.carried:
                yield self._carry(canvas, move.carried, hand)
            yield self._draw(canvas, 0, self._reacher(move.person, move.stands_at(at), hand))
        if bay.table:
            return
        for i, passage in enumerate(story.passages):
            z = -bay.standoff * passage.away / 45.0
            parts = body(bay.camera, build(passage.person), passage.walks_at(story.now), z, (-1, 1))
            yield self._draw(canvas, 1 + i, parts)

    def _reacher(self, person: int, x: float, hand: Floats) -> list[Part]:
        who, bay = build(person), self.bay
        side = 1.0 if hand[0] < x else -1.0
        if bay.table:
            shoulder = np.array([x, bay.boards[0] + 45.0, -10.0])
            return arm(bay.camera, who, shoulder, hand)
        shoulder = np.array([x - side * who.girth, 0.79 * who.height, -bay.standoff])
        return [*body(bay.camera, who, x, -bay.standoff, [side]), *arm(bay.camera, who, shoulder, hand)]

    def _draw(self, canvas: Image, number: int, parts: Sequence[Part]) -> _Seen:
        paint(canvas, parts)
        outlines = [polygon for part in parts for polygon in part.polygons]
        return _seen(FIRST_PERSON + number, PERSON, outlines)

    def _carry(self, canvas: Image, item: Item, hand: Floats) -> _Seen:
        place = hand - (0.0, GRIP * item.product.height, 0.0)
        how = pose(self.bay.camera, item.product, item.turn, place)
        height, width = canvas.shape[:2]
        patch = make_patch(self.bay, item.product, how, None, width)
        if patch:
            lay(canvas, [patch], Region(0, 0, width, height))
        return _seen(item.number, item.product.label, [how.outline(item.product)])

    def _things(self, movers: Sequence[_Seen], crop: Box) -> list[Thing]:
        plan = self._still.plan.copy()
        things = [*self._still.seen, *movers]
        for i, mover in enumerate(movers, len(self._still.seen) + 1):
            _fill(plan, mover.outlines, i)
        rows = slice(round(crop.top * PLAN[1]), round(crop.bottom * PLAN[1]))
        columns = slice(round(crop.left * PLAN[0]), round(crop.right * PLAN[0]))
        counts = np.bincount(plan[rows, columns].ravel(), minlength=len(things) + 1)[1:]
        found = []
        for thing, count in zip(things, counts, strict=True):
            box = _box(thing.outlines, crop)
            if box.area > 0.0:
                visible = min(1.0, int(count) / max(thing.area, 1))
                found.append(Thing(thing.number, thing.label, box, visible))
        return found


class _Still:
    """What does not move: the picture of the bay with all that stands in it, and the plan of what hides what.

    Only where an item came or went is drawn anew.
    """

    def __init__(self, bay: Bay, scenery: Scenery) -> None:
        self._bay, self._scenery = bay, scenery
        self._empty: Image = np.zeros((0, 0, 3), np.uint8)
        self._fronts: list[Image] = []
        self._patches: dict[int, Patch | None] = {}
        self._standing: dict[int, _Standing] = {}
        self._drawn: set[int] = set()
        self.picture: Image = self._empty
        self.gain: Image = self._empty
        self.seen: list[_Seen] = []
        self.plan = np.zeros(PLAN[::-1], np.uint16)

    def update(self, story: Story, width: int) -> None:
        if self._empty.shape[1] != width:
            self._start(width)
        standing = {item.number: (spot, item) for spot, item in story.stock.standing()}
        changed = standing.keys() ^ self._drawn
        if not changed and self.seen:
            return
        patches = [patch for number in self._drawn - standing.keys() if (patch := self._patches.pop(number))]
        for number in self._drawn - standing.keys():
            del self._standing[number]
        for number in standing.keys() - self._drawn:
            spot, item = standing[number]
            place = self._bay.place(spot) + np.array([item.aside, 0.0, 0.0])
            how = pose(self._bay.camera, item.product, item.turn, place)
            seen = _seen(number, item.product.label, [how.outline(item.product)])
            self._standing[number] = _Standing(item, place, how, seen, self._bay.slot(spot.slot).board)
            patch = self._patches[number] = make_patch(self._bay, item.product, how, place, width)
            if patch:
                patches.append(patch)
        self._drawn = set(standing)
        order = sorted(self._standing.values(), key=self._order)
        for region in _joined(patches):
            self._repaint(order, region)
        self._replan(story, order)

    def _order(self, standing: _Standing) -> tuple[float, ...]:
        x, _, z = standing.place
        return (standing.board, -z, -abs(x - self._bay.camera.position[0]))

    def _start(self, width: int) -> None:
        height = width * 3 // 4
        self._empty = self._scenery.draw(width, height)
        self.picture = self._empty.copy()
        gain = cv2.resize(self._scenery.gain, (width, height), interpolation=cv2.INTER_LINEAR)
        self.gain = np.asarray(gain, np.uint8)
        self._fronts = []
        for board in range(len(self._bay.boards)):
            mask = np.zeros((height, width), np.uint8)
            cv2.fillPoly(mask, [np.round(self._scenery.front(board) * width).astype(np.int32)], 1)
            self._fronts.append(mask)
        self._patches, self._standing, self._drawn = {}, {}, set()

    def _repaint(self, order: Sequence[_Standing], region: Region) -> None:
        part = np.s_[region.top : region.bottom, region.left : region.right]
        self.picture[part] = self._empty[part]
        for board, front in enumerate(self._fronts):
            np.copyto(self.picture[part], self._empty[part], where=front[part][..., None] > 0)
            patches = (self._patches[s.item.number] for s in order if s.board == board)
            lay(self.picture, [patch for patch in patches if patch], region)

    def _replan(self, story: Story, order: Sequence[_Standing]) -> None:
        self.plan[:] = 0
        self.seen = []
        gaps = list(self._gaps(story))
        for board in range(len(self._bay.boards)):
            _fill(self.plan, [self._scenery.front(board)], 0)
            there = [gap for at, gap in gaps if at == board]
            there += [standing.seen for standing in order if standing.board == board]
            for i, seen in enumerate(there, len(self.seen) + 1):
                _fill(self.plan, seen.outlines, i)
            self.seen += there

    def _gaps(self, story: Story) -> Iterator[tuple[int, _Seen]]:
        for spot in () if self._bay.table else story.stock.gaps():
            slot = self._bay.slot(spot.slot)
            how = pose(self._bay.camera, slot.product, 0.0, self._bay.place(spot))
            number = FIRST_GAP + spot.slot * 100 + spot.column
            yield slot.board, _seen(number, GAP, [how.outline(slot.product)])


def _fill(plan: NDArray[np.uint16], outlines: Sequence[Floats], value: int) -> None:
    for outline in outlines:
        cv2.fillPoly(plan, [np.round(outline * (PLAN[0] * 16)).astype(np.int32)], value, cv2.LINE_8, 4)


def _seen(number: int, label: str, outlines: Sequence[Floats]) -> _Seen:
    """Counts the pixels of the outlines where nothing cuts them off."""
    points = np.concatenate(outlines) * PLAN[0]
    low, high = np.floor(points.min(axis=0)) - 1, np.ceil(points.max(axis=0)) + 2
    columns, rows = np.minimum(high - low, 4 * PLAN[0]).astype(int)
    alone = np.zeros((rows, columns), np.uint16)
    _fill(alone, [outline - low / PLAN[0] for outline in outlines], 1)
    return _Seen(number, label, outlines, int(cv2.countNonZero(alone)))


def _box(outlines: Sequence[Floats], crop: Box) -> Box:
    """Around the outlines, in fractions of the part of the picture that is kept, cut off at its edge."""
    points = np.concatenate(outlines) * (1, 4 / 3)
    low = (points.min(axis=0) - (crop.left, crop.top)) / (crop.width, crop.height)
    high = (points.max(axis=0) - (crop.left, crop.top)) / (crop.width, crop.height)
    (left, top), (right, bottom) = np.clip(low, 0, 1), np.clip(high, 0, 1)
    return Box(float(left), float(top), float(right), float(bottom))


def _cropped(image: Image, width: int, height: int) -> tuple[Image, Box]:
    """The picture's middle, and where in the whole it lies."""
    rows, columns = image.shape[:2]
    left, top = (columns - width) // 2, (rows - height) // 2
    crop = Box(left / columns, top / rows, (left + width) / columns, (top + height) / rows)
    return image[top : top + height, left : left + width], crop


def _joined(patches: Sequence[Patch]) -> list[Region]:
    """One region around patches; none around none."""
    if not patches:
        return []
    return [
        Region(
            min(p.left for p in patches),
            min(p.top for p in patches),
            max(p.right for p in patches),
            max(p.bottom for p in patches),
        )
    ]
