"""Who comes to the entrance, when, with whom, and what they are about to do."""

from __future__ import annotations

from collections.abc import Iterator
from math import pi
from typing import Literal, NamedTuple

import numpy as np

from sensor_sim.pixels.rendered import carts
from sensor_sim.pixels.rendered.crowd import Cart, Leg, State, Walker
from sensor_sim.pixels.rendered.figures import random_look
from sensor_sim.pixels.rendered.shop import BODY, Shop

Density = Literal["low", "normal", "crowd"]
Way = Literal["in", "out"]


class Rates(NamedTuple):
    """People an hour through the door, the shares of parties of one, two, three and four, and how many pass
    by in the street for each that goes through."""

    people: float
    parties: tuple[float, float, float, float]
    passing: float


RATES: dict[Density, Rates] = {
    "low": Rates(200, (0.7, 0.2, 0.06, 0.04), 0.4),
    "normal": Rates(1200, (0.62, 0.25, 0.08, 0.05), 0.2),
    "crowd": Rates(4000, (0.48, 0.3, 0.13, 0.09), 0.1),
}
STAFF = 0.04  # of all parties
TURN_BACK = 0.05
WAIT = 0.06


class Arrivals:
    """Parties come at random moments (a Poisson process)."""

    def __init__(self, rng: np.random.Generator, shop: Shop, density: Density) -> None:
        self._rng, self._shop, self._rates = rng, shop, RATES[density]
        # People per second through the door, by the size of the parties that go through it.
        through = float(np.dot(self._rates.parties, (1, 2, 3, 4))) * (1 - STAFF) * (1 - TURN_BACK)
        self._parties = self._rates.people / 3600 / through
        self._next = self._gap(1.0)
        self._next_passing = self._gap(self._rates.passing)
        self._number = 1

    def _gap(self, share: float) -> float:
        return float(self._rng.exponential(1 / (self._parties * share)))

    def until(self, seconds: float) -> Iterator[Walker]:
        """Those who come up to ``seconds`` after the start."""
        while self._next <= seconds:
            self._next += self._gap(1.0)
            yield from self._party()
        while self._next_passing <= seconds:
            self._next_passing += self._gap(self._rates.passing)
            yield self._passer_by()

    def _party(self) -> list[Walker]:
        rng = self._rng
        if rng.random() < STAFF:
            return [self._staff()]
        size = 1 + int(rng.choice(4, p=self._rates.parties))
        way: Way = "in" if rng.random() < 0.5 else "out"
        plan = self._plan(way)
        children = 0 if size == 1 else int(rng.random() < 0.4) + int(size > 2 and rng.random() < 0.5)
        speed = float(np.clip(rng.normal(1.25, 0.22), 0.6, 1.9)) * (0.85 if size > 1 else 1.0)
        party = [
            self._walker(plan, speed, i, size, child=i >= size - children, first=i == 0) for i in range(size)
        ]
        for walker in party:
            walker.group = party if size > 1 else []
        return party

    def _walker(
        self, plan: list[Leg], speed: float, place: int, size: int, *, child: bool, first: bool
    ) -> Walker:
        """One of a party, who walks beside (or, from the third on, behind) the others."""
        rng, kind = self._rng, self._rng.random()
        side = (place % 2 - 0.5) * (0.68 if size > 1 else 0.0) + rng.normal(0, 0.05)
        behind = (place // 2) * 0.75 + rng.normal(0, 0.06)
        legs = [self._beside(leg, side) for leg in plan]
        start, then = legs.pop(0), legs[0]
        away = max(np.hypot(then.x - start.x, then.y - start.y), 0.1)
        x = start.x - (then.x - start.x) / away * behind
        y = start.y - (then.y - start.y) / away * behind
        cart = self._cart(kind) if first else None
        return self._numbered(
            look=random_look(rng, child=child),
            speed=speed * (0.85 if cart else 1.0),
            plan=legs,
            state=State(x, y, float(np.arctan2(-(then.x - x), then.y - y)), rng.uniform(0, 2 * pi)),
            carry="push" if cart else rng.choice(["none", "bag", "phone", "front"], p=[0.6, 0.27, 0.1, 0.03]),
            cart=cart,
            lean=float(rng.normal(0.05, 0.05)),
            head=float(rng.normal(0, 0.25)),
        )

    def _numbered(self, **about: object) -> Walker:
        self._number += 2  # the even ones are for carts
        return Walker(number=self._number, **about)  # type: ignore[arg-type]

    def _cart(self, kind: float) -> Cart | None:
        if kind < 0.07:
            return Cart("trolley", carts.trolley(self._rng), 0.85)
        if kind < 0.12:
            return Cart("pram", carts.pram(self._rng), 0.85)
        return None

    def _beside(self, leg: Leg, side: float) -> Leg:
        x = leg.x + side
        if abs(leg.y - self._shop.threshold) < 0.8 and self._shop.before_door(leg.x):
            door = self._shop.door
            x = min(max(x, door.left + BODY + 0.05), door.right - BODY - 0.05)
        return leg._replace(x=x)

    def _staff(self) -> Walker:
        """Comes from inside, does something in the foyer or before the door, and goes back."""
        rng, shop = self._rng, self._shop
        start = self._inside()
        plan = [self._foyer(rng.uniform(2, 12)) for _ in range(rng.integers(1, 4))]
        if rng.random() < 0.4:
            x = self._gate("out")
            y = shop.threshold
            plan += [
                Leg(x, y - 0.5),
                Leg(x, y + rng.uniform(0.5, 1.5), rng.uniform(2, 10)),
                Leg(x, y + 0.4),
                Leg(x, y - 0.5),
            ]
        return self._numbered(
            look=random_look(rng, uniform=shop.uniform),
            speed=float(rng.uniform(1.0, 1.5)),
            plan=[*plan, self._inside()],
            state=State(start.x, start.y, 0.0, rng.uniform(0, 2 * pi)),
            carry=rng.choice(["none", "front"]),
            staff=True,
        )

    def _passer_by(self) -> Walker:
        rng, side = self._rng, int(self._rng.choice([-1, 1]))
        y = self._shop.threshold + rng.uniform(1.2, 5.0)
        return self._numbered(
            look=random_look(rng, child=rng.random() < 0.06),
            speed=float(rng.uniform(0.9, 1.7)),
            plan=[Leg(self._shop.unseen(y, side), y)],
            state=State(self._shop.unseen(y, -side), y, -side * pi / 2, rng.uniform(0, 2 * pi)),
            carry=rng.choice(["none", "bag", "phone"]),
        )

    def _plan(self, way: Way) -> list[Leg]:
        """From where the party appears to where it disappears, the first leg being the start."""
        rng, chance = self._rng, self._rng.random()
        start = self._outside() if way == "in" else self._inside()
        end = self._inside() if way == "in" else self._outside()
        x, sense = self._gate(way), 1 if way == "in" else -1
        threshold = self._shop.threshold
        before, after = Leg(x, threshold + 0.45 * sense), Leg(x + rng.normal(0, 0.1), threshold - 0.5 * sense)
        if chance < TURN_BACK:
            return [start, before, self._turning(x, sense), before, self._back(start)]
        if chance < TURN_BACK + WAIT:
            return [start, before, self._waiting(x, sense), after, end]
        if chance < TURN_BACK + 2 * WAIT:
            return [
                start,
                *([before, after] if way == "in" else []),
                self._foyer(rng.uniform(2, 20)),
                *([after, end] if way == "in" else [before, after, end]),
            ]
        return [start, before, after, end]

    def _turning(self, x: float, sense: int) -> Leg:
        """Before the line, on it or just behind it."""
        y = self._shop.threshold + sense * self._rng.uniform(-0.6, 0.4)
        return Leg(x, y, self._rng.exponential(1.5))

    def _waiting(self, x: float, sense: int) -> Leg:
        rng = self._rng
        y = self._shop.threshold + sense * (
            rng.uniform(-0.15, 0.15) if rng.random() < 0.5 else rng.uniform(-1, 1)
        )
        return Leg(x, y, rng.uniform(1, 12), rng.uniform(-pi, pi))

    def _back(self, start: Leg) -> Leg:
        return self._outside() if start.y > self._shop.threshold else self._inside()

    def _gate(self, way: Way) -> float:
        """Where in the door: people keep to their right, more or less."""
        door = self._shop.door
        middle, half = (door.left + door.right) / 2, (door.right - door.left) / 2 - BODY - 0.1
        return float(middle + (-1 if way == "in" else 1) * half * self._rng.uniform(-0.1, 1.0))

    def _outside(self) -> Leg:
        y = self._shop.threshold + self._rng.uniform(0.9, 4.5)
        return Leg(self._shop.unseen(y, int(self._rng.choice([-1, 1]))), y)

    def _inside(self) -> Leg:
        """Under the camera and behind it, or to a side."""
        rng, shop = self._rng, self._shop
        if rng.random() < 0.6:
            return Leg(rng.uniform(-1.5, 1.5), -1.3)
        y = rng.uniform(0.3, 0.75) * shop.threshold
        return Leg(shop.unseen(y, int(rng.choice([-1, 1]))), y)

    def _foyer(self, pause: float) -> Leg:
        rng, corners = self._rng, self._shop.foyer
        x = rng.uniform(corners[0][0] - 0.3, corners[1][0] + 0.3)
        return Leg(x, rng.uniform(corners[2][1], corners[0][1]), pause, rng.uniform(-pi, pi))
