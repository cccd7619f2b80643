"""How people walk: each along a plan, out of one another's way.

Helbing and Molnár's social force model (1995) with a push that keeps bodies apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import atan2, cos, exp, hypot, pi, sin
from typing import Literal, NamedTuple, Protocol

import numpy as np

from sensor_sim.pixels.rendered.figures import Carry, Look
from sensor_sim.pixels.rendered.solids import Solids

STEP = 1 / 30  # seconds
RELAX = 0.45  # seconds to come up to the wished velocity
ARRIVED, PASSED = 0.3, 0.6  # metres from where one stays, or only walks by
CLOSE = 2.0  # metres in x and in y
PATIENCE = 4.0  # seconds without headway, then somebody steps aside


class Leg(NamedTuple):
    """Go to (x, y) and stay for ``pause`` seconds, looking along ``face`` (radians) if it says so."""

    x: float
    y: float
    pause: float = 0.0
    face: float | None = None
    aside: bool = False


class Cart(NamedTuple):
    label: Literal["trolley", "pram"]
    solids: Solids
    reach: float  # from the person's middle to the cart's


@dataclass
class State:
    """Where somebody is; a ``heading`` of 0 looks along y, growing to the left."""

    x: float
    y: float
    heading: float
    phase: float = 0.0
    pace: float = 0.0


@dataclass
class Walker:
    number: int
    look: Look
    speed: float
    plan: list[Leg]
    state: State
    carry: Carry = "none"
    cart: Cart | None = None
    lean: float = 0.0
    head: float = 0.0
    group: list[Walker] = field(default_factory=list)
    staff: bool = False
    before: State = field(init=False)
    radius: float = field(init=False)
    vx: float = 0.0
    vy: float = 0.0
    paused: float = 0.0
    stuck: float = 0.0
    tight: float = 0.0
    nearest: float = 1e9

    def __post_init__(self) -> None:
        self.before = self.state
        self.radius = 0.24 if self.look.height > 1.45 else 0.18

    @property
    def done(self) -> bool:
        return not self.plan

    def discs(self) -> list[tuple[float, float, float]]:
        """What stands on the floor: x, y and radius of the body and of what it pushes. Whoever gets nowhere
        squeezes through sideways."""
        slim = 1.0 - 0.45 * self.tight
        own = (self.state.x, self.state.y, self.radius * slim)
        if not self.cart:
            return [own]
        x, y = ahead(self.state, self.cart.reach)
        return [own, (x, y, 0.3 * slim)]


def ahead(state: State, reach: float) -> tuple[float, float]:
    return state.x - reach * sin(state.heading), state.y + reach * cos(state.heading)


def between(a: State, b: State, share: float) -> State:
    """On the way from one state to the next."""
    turn = (b.heading - a.heading + pi) % (2 * pi) - pi
    return State(
        a.x + share * (b.x - a.x),
        a.y + share * (b.y - a.y),
        a.heading + share * turn,
        a.phase + share * (b.phase - a.phase),
        a.pace + share * (b.pace - a.pace),
    )


class Walls(Protocol):
    def fence(self, walker: Walker, x: float, y: float) -> tuple[float, float]:
        """The point nearest to (x, y) where the walls let the walker stand."""
        ...

    def way(self, x: float, y: float, leg: Leg) -> tuple[float, float]:
        """Where to head for from (x, y) to get to ``leg``: there, or to the door in a wall between."""
        ...


def step(walkers: list[Walker], walls: Walls) -> None:
    """One step of ``STEP`` seconds for all."""
    pairs = _near(walkers)
    pushes = _pushes(walkers, pairs)
    for walker, push in zip(walkers, pushes, strict=True):
        walker.before = walker.state
        _walk(walker, push, walls)
    for _ in range(2):
        _part(walkers, pairs)
    for walker in walkers:
        state = walker.state
        state.x, state.y = walls.fence(walker, state.x, state.y)
        _turn(walker)


def _wish(walker: Walker, walls: Walls) -> tuple[float, float]:
    """The wished velocity."""
    if not walker.plan:
        return 0.0, 0.0
    leg, state = walker.plan[0], walker.state
    x, y = walls.way(state.x, state.y, leg)
    dx, dy = x - state.x, y - state.y
    far = hypot(dx, dy)
    there = (x, y) == leg[:2] and far < (ARRIVED if leg.pause else PASSED)
    if walker.paused > 0 or there:
        return _pause(walker, leg)
    walker.stuck = 0.0 if far < walker.nearest - 0.1 else walker.stuck + STEP
    if far < walker.nearest - 0.1:
        walker.nearest = far
    if walker.stuck > PATIENCE:
        _dodge(walker)
    speed = walker.speed * _together(walker, far)
    return speed * dx / far, speed * dy / far


def _pause(walker: Walker, leg: Leg) -> tuple[float, float]:
    walker.paused += STEP
    if walker.paused > leg.pause:
        _next(walker)
    return 0.0, 0.0


def _next(walker: Walker) -> None:
    walker.plan.pop(0)
    walker.paused, walker.stuck, walker.nearest = 0.0, 0.0, 1e9


def _dodge(walker: Walker) -> None:
    """Somebody who is stuck steps aside, to another side each time, and then tries again."""
    if walker.plan[0].aside:
        _next(walker)
        return
    angle, state = walker.number * 2.4 + walker.state.phase, walker.state
    walker.plan.insert(0, Leg(state.x + 0.8 * cos(angle), state.y + 0.8 * sin(angle), aside=True))
    walker.stuck, walker.nearest = 0.0, 1e9


def _together(walker: Walker, far: float) -> float:
    """Those ahead of their group slow down, those behind hurry."""
    mates = [m for m in walker.group if m is not walker and len(m.plan) == len(walker.plan) and m.plan]
    if not mates:
        return 1.0
    mean = sum(hypot(m.plan[0].x - m.state.x, m.plan[0].y - m.state.y) for m in mates) / len(mates)
    return min(max(1 + 0.5 * (far - mean), 0.55), 1.35)


def _near(walkers: list[Walker]) -> list[tuple[int, int]]:
    """Pairs that stand close enough to matter to one another, the first before the second."""
    if len(walkers) < 2:
        return []
    at = np.array([(walker.state.x, walker.state.y) for walker in walkers])
    apart = np.abs(at[:, None] - at[None]).max(axis=2) + 9.0 * np.tri(len(at))
    return list(zip(*(axis.tolist() for axis in np.nonzero(apart < CLOSE)), strict=True))


def _pushes(walkers: list[Walker], pairs: list[tuple[int, int]]) -> list[tuple[float, float]]:
    total = [(0.0, 0.0)] * len(walkers)
    for i, j in pairs:
        x, y = _push(walkers[i], walkers[j])
        total[i] = total[i][0] + x, total[i][1] + y
        total[j] = total[j][0] - x, total[j][1] - y
    return total


def _push(a: Walker, b: Walker) -> tuple[float, float]:
    """What ``b`` does to the velocity of ``a``, m/s each second."""
    dx, dy = a.state.x - b.state.x, a.state.y - b.state.y
    far = hypot(dx, dy) + 1e-6
    same = bool(a.group) and a.group is b.group
    force = (0.6 if same else 2.4) * exp((a.radius + b.radius - far) / (0.15 if same else 0.3)) / far
    # Both give way to the right a little, or they would stop face to face.
    facing = (b.vx - a.vx) * dx + (b.vy - a.vy) * dy > 0 and not same
    side = 0.5 if facing else 0.0
    return force * (dx - side * dy), force * (dy + side * dx)


def _walk(walker: Walker, push: tuple[float, float], walls: Walls) -> None:
    wx, wy = _wish(walker, walls)
    walker.vx += ((wx - walker.vx) / RELAX + push[0]) * STEP
    walker.vy += ((wy - walker.vy) / RELAX + push[1]) * STEP
    pace, most = hypot(walker.vx, walker.vy), max(1.3 * walker.speed, 0.5)
    if pace > most:
        walker.vx, walker.vy = walker.vx * most / pace, walker.vy * most / pace
    old = walker.state
    walker.state = State(old.x + walker.vx * STEP, old.y + walker.vy * STEP, old.heading, old.phase)


def _part(walkers: list[Walker], pairs: list[tuple[int, int]]) -> None:
    """Move bodies that touch apart."""
    for i, j in pairs:
        a, b = walkers[i], walkers[j]
        for ax, ay, ar in a.discs():
            for bx, by, br in b.discs():
                dx, dy = ax - bx, ay - by
                far = hypot(dx, dy) + 1e-6
                if far < ar + br:
                    deep = (ar + br - far) / far / 2
                    a.state.x += dx * deep
                    a.state.y += dy * deep
                    b.state.x -= dx * deep
                    b.state.y -= dy * deep


def _turn(walker: Walker) -> None:
    """Look where one walks, and take steps as long as the legs make them."""
    state, old = walker.state, walker.before
    dx, dy = state.x - old.x, state.y - old.y
    pace = hypot(dx, dy) / STEP
    state.pace = old.pace + 0.2 * (pace - old.pace)
    slow = bool(walker.plan) and not walker.paused and state.pace < 0.4 * walker.speed
    walker.tight = min(max(walker.tight + (STEP / 2 if slow else -STEP), 0.0), 1.0)
    wished = None
    if pace > 0.25:
        wished = atan2(-dx, dy)
    elif walker.plan and walker.paused > 0:
        wished = walker.plan[0].face
    if wished is not None:
        turn = (wished - old.heading + pi) % (2 * pi) - pi
        state.heading = old.heading + turn * (0.06 if walker.cart else 0.14)
    stride = (0.55 + 0.6 * min(state.pace, 1.8)) * walker.look.height / 1.75 * 1.1
    state.phase = old.phase + 2 * pi * state.pace * STEP / max(stride, 0.3)
