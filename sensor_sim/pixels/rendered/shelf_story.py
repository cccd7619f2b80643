"""What happens at a shelf: shoppers take, put back and misplace, staff fill up, people walk by.

Everything is planned along time by generators that draw from their own random numbers, so that the same seed
gives the same happenings whatever the steps in which time moves on.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sensor_sim.pixels.rendered import Stocked
from sensor_sim.pixels.rendered.products import Product
from sensor_sim.pixels.rendered.shelf_bay import Bay, Floats, Slot, Spot

# Mean seconds between two of them at pace 1.
SHOPPER, PASSER, WORKER = 30.0, 60.0, 200.0
PUTS_BACK, MISPLACES = 0.22, 0.1  # shares of what shoppers take
LINGERS = 0.3  # share of the passers-by that stop before the shelf
GRIP = 0.62  # a hand holds an item at this share of its height
ALONG = 220.0  # centimetres left and right of the shelf's middle at which people come and go


@dataclass(frozen=True, eq=False)
class Item:
    """``turn`` is how far it is turned from its front, ``aside`` how far it stands from its spot's middle."""

    number: int
    product: Product
    turn: float
    aside: float


class Move(NamedTuple):
    """A hand's way along ``path`` (n x 3) with somebody's body moving from ``body[0]`` to ``body[1]`` (x)."""

    start: float
    end: float
    path: Floats
    body: tuple[float, float]
    person: int
    carried: Item | None

    def hand(self, at: float) -> Floats:
        """Where the hand is, slow at both ends of the way."""
        share = _eased(self.start, self.end, at) * (len(self.path) - 1)
        leg = min(int(share), len(self.path) - 2)
        where: Floats = self.path[leg] + (share - leg) * (self.path[leg + 1] - self.path[leg])
        return where

    def stands_at(self, at: float) -> float:
        first, last = self.body
        return first + _eased(self.start, self.end, at) * (last - first)


class Passage(NamedTuple):
    """Somebody walks from ``first`` to ``last`` (x) before the shelf, ``away`` times as far from it as one who
    reaches in stands; may stop.
    """

    start: float
    end: float
    first: float
    last: float
    away: float
    stop: tuple[float, float]  # from, until; at the middle of the way
    person: int

    def walks_at(self, at: float) -> float:
        share = min(at, self.stop[0]) - self.start + max(at - self.stop[1], 0.0)
        whole = self.end - self.start - (self.stop[1] - self.stop[0])
        return self.first + share / whole * (self.last - self.first)


def _eased(start: float, end: float, at: float) -> float:
    share = min(max((at - start) / (end - start), 0.0), 1.0)
    return share * share * (3 - 2 * share)


class Stock:
    """What stands where: for each column of a slot its items, the one at the back first."""

    def __init__(self, bay: Bay, rng: np.random.Generator, fill: float) -> None:
        self.bay = bay
        self._rng = rng
        self._numbers = 1
        self.columns: dict[tuple[int, int], list[Item]] = {}
        for slot in bay.slots:
            for column in range(len(slot.columns)):
                count = int(rng.binomial(len(slot.rows), fill))
                self.columns[slot.id, column] = [self.make(slot.product) for _ in range(count)]

    def make(self, product: Product) -> Item:
        """A new item, standing as people put it: nearly straight."""
        self._numbers += 1
        straight = 0.05 if product.profile is None else 0.5
        return Item(self._numbers, product, self._rng.normal(0, straight), self._rng.uniform(-0.3, 0.3))

    def units(self, slot: Slot) -> int:
        """How many items of the slot's own product stand in it."""
        return sum(
            item.product is slot.product
            for column in range(len(slot.columns))
            for item in self.columns[slot.id, column]
        )

    def standing(self) -> Iterator[tuple[Spot, Item]]:
        for (slot, column), items in self.columns.items():
            yield from ((Spot(slot, column, row), item) for row, item in enumerate(items))

    def gaps(self) -> Iterator[Spot]:
        """Facings in which no item stands at all, at any depth: their front spots."""
        for (slot, column), items in self.columns.items():
            if not items:
                yield Spot(slot, column, len(self.bay.slot(slot).rows) - 1)

    def in_front(self, own: bool) -> list[Spot]:
        """Spots from which a hand can take; with an item of the slot's own product, or a misplaced one."""
        return [
            Spot(slot, column, len(items) - 1)
            for (slot, column), items in self.columns.items()
            if items and (items[-1].product is self.bay.slot(slot).product) == own
        ]

    def free(self, slot: Slot) -> list[Spot]:
        """Spots into which a hand can put an item, behind nothing."""
        found = []
        for column in range(len(slot.columns)):
            items = self.columns[slot.id, column]
            if len(items) < len(slot.rows):
                found.append(Spot(slot.id, column, len(items)))
        return found

    def product(self, spot: Spot) -> Product:
        """Of the item that stands there."""
        return self.columns[spot.slot, spot.column][spot.row].product

    def take(self, spot: Spot) -> Item:
        return self.columns[spot.slot, spot.column].pop()

    def put(self, spot: Spot, item: Item) -> None:
        self.columns[spot.slot, spot.column].append(item)


class Story:
    """Runs the bay's life; ``move`` and ``passages`` are what goes on now, None while nothing does."""

    def __init__(self, bay: Bay, seed: int, start: float, pace: float, fill: float) -> None:
        self.bay, self.pace = bay, pace
        self.stock = Stock(bay, np.random.default_rng([seed, 2]), fill)
        self.now = start
        self.rng = np.random.default_rng([seed, 3])
        self._liked = np.exp(self.rng.normal(0.0, 1.2, len(bay.slots)))
        self._told: dict[int, int] = {}
        self._news: list[Stocked] = []
        self._hands = self._work(start)
        self._tell(start)
        self.move: Move = next(self._hands)
        self._walkers = [_walk(np.random.default_rng([seed, 4, i]), start, pace / 2) for i in range(2)]
        self._passages = [next(walker) for walker in self._walkers]

    def advance(self, at: float) -> list[Stocked]:
        self.now = at
        while self.move.end <= at:
            self.move = next(self._hands)
        for i, walker in enumerate(self._walkers):
            while self._passages[i].end <= at:
                self._passages[i] = next(walker)
        told, self._news = self._news, []
        return told

    @property
    def hand(self) -> Move | None:
        return self.move if self.move.start <= self.now else None

    @property
    def passages(self) -> list[Passage]:
        return [passage for passage in self._passages if passage.start <= self.now]

    def _tell(self, at: float) -> None:
        """Note down every slot whose units changed."""
        for slot in self.bay.slots:
            units = self.stock.units(slot)
            if self._told.get(slot.id) != units:
                self._told[slot.id] = units
                self._news.append(Stocked(at, slot.id, units))

    def _work(self, at: float) -> Iterator[Move]:
        """Whoever comes next, one after the other."""
        staff = at + self.rng.exponential(WORKER / self.pace)
        while True:
            at += self.rng.exponential(SHOPPER / self.pace) + 0.5
            if at < staff:
                at = yield from self._shop(at)
            else:
                at = yield from self._fill_up(at)
                staff = at + self.rng.exponential(WORKER / self.pace)

    def _shop(self, at: float) -> Generator[Move, None, float]:
        """Somebody takes an item or two; each goes along, back to its place, or to a wrong one."""
        visit = _Visit(self, at)
        for _ in range(1 + int(self.rng.random() < 0.25)):
            spot = self._liked_spot()
            if spot is None:
                break
            yield from visit.reach(spot, self.stock.product(spot), None)
            item = self.stock.take(spot)
            self._tell(visit.at)
            target = self._whereto(spot, item)
            yield visit.withdraw(item)
            if target is None:
                yield visit.lower(item)
                continue
            yield visit.inspect(item)
            yield from visit.reach(target, item.product, item)
            self.stock.put(target, item)
            self._tell(visit.at)
            yield visit.withdraw(None)
        yield visit.leave()
        return visit.at

    def _liked_spot(self) -> Spot | None:
        """One to take from; some products are liked much more than others."""
        spots = self.stock.in_front(own=True)
        if not spots:
            return None
        liked = np.array([self._liked[spot.slot - 1] for spot in spots])
        return spots[self.rng.choice(len(spots), p=liked / liked.sum())]

    def _whereto(self, spot: Spot, item: Item) -> Spot | None:
        """Where a shopper puts what they took: None for home.

        A wrong place is that of a product with another label: from one with the same label, a sensor that
        knows only labels could not tell it.
        """
        chance = self.rng.random()
        if chance < PUTS_BACK:
            return spot
        if chance > PUTS_BACK + MISPLACES:
            return None
        fits = [
            free
            for slot in self.bay.slots
            if slot.product.label != item.product.label
            and slot.pitch >= item.product.width + 0.5
            and slot.product.depth >= item.product.depth - 1.0
            for free in self.stock.free(slot)
        ]
        return fits[self.rng.integers(len(fits))] if fits else None

    def _fill_up(self, at: float) -> Generator[Move, None, float]:
        """Staff clear away what does not belong, then fill slot by slot those that are at most half full."""
        visit = _Visit(self, at)
        while wrong := self.stock.in_front(own=False):
            yield from visit.reach(wrong[0], self.stock.product(wrong[0]), None)
            item = self.stock.take(wrong[0])
            yield visit.withdraw(item)
            yield visit.lower(item)
        for slot in self.bay.slots:
            if self.stock.units(slot) > slot.capacity / 2:
                continue
            while free := self.stock.free(slot):
                spot = min(free, key=lambda s: (s.row, s.column))
                item = self.stock.make(slot.product)
                yield from visit.reach(spot, item.product, item)
                self.stock.put(spot, item)
                self._tell(visit.at)
                yield visit.withdraw(None)
        yield visit.leave()
        return visit.at


class _Visit:
    """One person's moves, each starting where the last ended."""

    def __init__(self, story: Story, at: float) -> None:
        self.at = at
        self._bay, self._rng = story.bay, story.rng
        self._person = int(self._rng.integers(1 << 30))
        self._side = float(self._rng.choice([-1.0, 1.0]))
        self._body = self._side * ALONG
        self._hand = self._rest(self._body)

    def _rest(self, body: float) -> Floats:
        """Where the hand hangs down."""
        low = self._bay.boards[0] + (50.0 if self._bay.table else -30.0)
        return np.array([body - self._side * 8.0, low, -self._bay.standoff])

    def _move(self, seconds: float, path: list[Floats], body: float, carried: Item | None) -> Move:
        start, self.at = self.at, self.at + seconds
        move = Move(start, self.at, np.stack([self._hand, *path]), (self._body, body), self._person, carried)
        self._hand, self._body = path[-1], body
        return move

    def _at(self, spot: Spot, product: Product) -> Floats:
        """Where the hand is when it holds the product at the spot."""
        x, y, z = self._bay.place(spot)
        return np.array([x, y + GRIP * product.height, z])

    def reach(self, spot: Spot, product: Product, carried: Item | None) -> Iterator[Move]:
        """Walk to where the spot is an arm's length away, put the hand before it, then in."""
        there = self._at(spot, product)
        if not 25.0 < abs(self._body - there[0]) < 75.0:
            body = float(there[0]) + self._side * self._rng.uniform(40.0, 65.0)
            seconds = 0.3 + abs(body - self._body) / self._rng.uniform(60.0, 100.0)
            yield self._move(seconds, [self._rest(body)], body, carried)
        before = there + np.array([0.0, 2.0, -14.0 - there[2]])
        yield self._move(self._rng.uniform(0.7, 1.3), [before], self._body, carried)
        yield self._move(self._rng.uniform(0.5, 0.9), [there], self._body, carried)

    def withdraw(self, carried: Item | None) -> Move:
        up = self._hand + np.array([0.0, 2.0, 0.0])
        out = np.array([up[0], up[1], -16.0])
        return self._move(self._rng.uniform(0.6, 1.1), [up, out], self._body, carried)

    def inspect(self, item: Item) -> Move:
        """Hold it in the hand for a while."""
        held = self._hand + np.array([self._rng.uniform(-8, 8), self._rng.uniform(-6, 6), -8.0])
        return self._move(self._rng.uniform(1.0, 6.0), [held], self._body, item)

    def lower(self, carried: Item) -> Move:
        """Put it into a basket, out of view."""
        return self._move(self._rng.uniform(0.8, 1.4), [self._rest(self._body)], self._body, carried)

    def leave(self) -> Move:
        body = self._side * ALONG
        seconds = 0.5 + abs(body - self._body) / self._rng.uniform(60.0, 110.0)
        return self._move(seconds, [self._rest(body)], body, None)


def _walk(rng: np.random.Generator, at: float, pace: float) -> Iterator[Passage]:
    while True:
        at += rng.exponential(PASSER / pace)
        first = ALONG * float(rng.choice([-1.0, 1.0]))
        seconds = 2 * ALONG / rng.uniform(60, 130)
        stays = min(60.0, 2.0 + rng.exponential(12.0)) if rng.random() < LINGERS else 0.0
        middle = at + seconds * rng.uniform(0.35, 0.65)
        end = at + seconds + stays
        yield Passage(
            at,
            end,
            first,
            -first,
            rng.uniform(0.9, 1.7),
            (middle, middle + stays),
            int(rng.integers(1 << 30)),
        )
        at = end
