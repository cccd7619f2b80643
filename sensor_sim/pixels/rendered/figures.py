"""People as solids: how they look and how they hold and move their bodies."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Literal, NamedTuple

import numpy as np

from sensor_sim.pixels.rendered.solids import Cloth, Colour, Solids

Point = tuple[float, float, float]
# Metres from the middle of a head to where head and shoulders end.
SHOULDERS = 0.22
Carry = Literal["none", "push", "bag", "phone", "front"]


@dataclass(frozen=True)
class Look:
    """A person's build and clothes; lengths in metres."""

    height: float
    girth: float  # 1 is average
    skin: Cloth
    hair: Cloth
    hair_style: Literal["bald", "short", "long", "tail", "bun"]
    hat: Cloth | None
    top: Cloth
    sleeves: Literal["long", "short"]
    bottom: Cloth
    legs: Literal["trousers", "shorts", "skirt"]
    coat: float  # how far below the hip the top reaches, in shares of the leg
    shoes: Cloth
    backpack: Cloth | None
    bag: Cloth | None
    loose: float  # how much wider the clothes are than the body


class Pose(NamedTuple):
    """``phase`` of the step in radians, ``pace`` in m/s; ``head`` turns to the left in radians."""

    phase: float
    pace: float
    carry: Carry = "none"
    lean: float = 0.0
    head: float = 0.0
    nod: float = 0.0


def figure(look: Look, pose: Pose) -> Solids:
    """The body, standing at the origin and looking along y."""
    body = _Body(look, pose)
    body.legs()
    body.trunk()
    body.arms()
    body.head()
    return body.solids


class _Body:
    def __init__(self, look: Look, pose: Pose) -> None:
        self.look, self.pose = look, pose
        self.unit = look.height / 1.75
        # Children have larger heads and shorter legs.
        self.childish = min(max((1.5 - look.height) / 0.6, 0.0), 1.0)
        self.solids = Solids()
        self.swing = 0.5 * min(pose.pace / 1.4, 1.3)
        self.hip = (0.52 - 0.06 * self.childish) * look.height
        self.feet = [self._leg(side) for side in (-1, 1)]
        # The lower foot is on the floor.
        self.drop = min(min(ankle[2], toe[2]) for _, ankle, toe in self.feet) - 0.045 * self.unit
        self.girth = look.girth

    def _leg(self, side: int) -> tuple[Point, Point, Point]:
        """Knee, ankle and toe."""
        phase = self.pose.phase + (0.0 if side > 0 else pi)
        thigh = self.swing * sin(phase)
        bend = 0.08 + self.swing * 1.3 * max(cos(phase - 0.5), 0.0) ** 2
        upper, lower = 0.47 * self.hip, 0.45 * self.hip
        x = side * (0.085 + 0.015 * (self.look.girth - 1)) * self.unit
        knee = (x, upper * sin(thigh), self.hip - upper * cos(thigh))
        shin = thigh - bend
        ankle = (x * 0.95, knee[1] + lower * sin(shin), knee[2] - lower * cos(shin))
        foot = 0.17 * self.unit
        tip = 0.5 * bend if self.swing else 0.0
        toe = (x * 1.25, ankle[1] + foot * cos(tip), ankle[2] - 0.03 * self.unit - foot * sin(tip) * 0.5)
        return knee, ankle, toe

    def _down(self, p: Point) -> Point:
        return p[0], p[1], p[2] - self.drop

    def legs(self) -> None:
        u, look, wide = self.unit, self.look, self.look.loose * (0.6 + 0.4 * self.look.girth)
        thigh_cloth = look.skin if look.legs == "skirt" else look.bottom
        shin_cloth = look.bottom if look.legs == "trousers" else look.skin
        for side, (knee, ankle, toe) in zip((-1, 1), self.feet, strict=True):
            knee, ankle, toe = self._down(knee), self._down(ankle), self._down(toe)
            hip = (side * 0.085 * u, 0.0, self.hip - self.drop)
            self.solids.add(hip, knee, 0.083 * u * wide, 0.06 * u * wide, thigh_cloth)
            bell = 0.05 if look.legs == "trousers" else 0.036
            self.solids.add(knee, ankle, 0.057 * u * wide, bell * u * wide, shin_cloth)
            heel = (ankle[0], ankle[1] - 0.035 * u, max(ankle[2] - 0.02 * u, 0.035 * u))
            self.solids.add(heel, toe, 0.048 * u, 0.042 * u, look.shoes, (0.95, 1.0, 0.8))
        if look.legs == "skirt":
            self._skirt(0.62, look.bottom, 1.0, 1.25)
        if look.coat > 0:
            self._skirt(look.coat, look.top, 1.08, 1.2)

    def _skirt(self, reach: float, cloth: Cloth, above: float, below: float) -> None:
        hip = self.hip - self.drop
        sway = 0.04 * self.swing * sin(self.pose.phase * 2)
        top, low = (0.0, 0.0, hip + 0.05 * self.unit), (0.0, sway, hip * (1 - reach))
        wide = self._wide() * 1.02
        self.solids.add(top, low, above, below, cloth, (wide, 0.72 * wide, 0.03))

    def _wide(self) -> float:
        """Half the width of the hips."""
        return 0.165 * self.unit * (0.45 + 0.55 * self.girth) * (0.9 + 0.1 * self.look.loose)

    def _spine(self, share: float) -> Point:
        """A point of the spine between the hip (0) and the neck (1)."""
        rise = (0.835 - 0.02 * self.childish) * self.look.height - self.hip
        lean = self.pose.lean
        return 0.0, rise * share * sin(lean), self.hip - self.drop + rise * share * cos(lean)

    def trunk(self) -> None:
        look, u, wide = self.look, self.unit, self._wide()
        shape = (1.0, 0.66 + 0.12 * (self.girth - 1), 0.75)
        lower = look.bottom if look.coat <= 0 else look.top
        self.solids.add(self._spine(0.02), self._spine(0.12), wide, wide * 0.98, lower, shape)
        chest = 0.165 * u * (0.55 + 0.45 * self.girth) * (0.93 + 0.07 * look.loose)
        self.solids.add(self._spine(0.18), self._spine(0.74), wide * 0.97, chest, look.top, shape)
        left, right = self._shoulder(-1), self._shoulder(1)
        flat = 0.072 * u * (0.8 + 0.2 * self.girth)
        middle = self._spine(0.88)
        for shoulder in (left, right):
            self.solids.add(middle, shoulder, flat * 1.1, flat * 0.92, look.top, (1.0, 1.05, 0.9))
        neck, throat = self._spine(0.95), self._spine(1.08)
        self.solids.add(neck, throat, 0.056 * u, 0.052 * u, look.skin)
        if look.backpack:
            low, high = self._spine(0.3), self._spine(0.78)
            back = -0.19 * u
            self.solids.add(
                (0.0, low[1] + back, low[2]), (0.0, high[1] + back, high[2]), 0.15 * u, 0.13 * u,
                look.backpack, (1.0, 0.6, 0.6),
            )  # fmt: skip

    def _shoulder(self, side: int) -> Point:
        x, y, z = self._spine(0.9)
        roll = 0.05 * self.swing * sin(self.pose.phase) * side
        half = (0.17 + 0.02 * (self.girth - 1)) * self.unit * (1 - 0.12 * self.childish)
        return x + side * half, y - roll, z - 0.015 * self.unit

    def arms(self) -> None:
        u, look = self.unit, self.look
        thick = 0.75 + 0.25 * self.girth
        for side in (-1, 1):
            shoulder = self._shoulder(side)
            elbow, hand = self._arm(side, shoulder)
            wide = look.loose * thick
            self.solids.add(shoulder, elbow, 0.056 * u * wide, 0.046 * u * wide, look.top)
            lower = look.top if look.sleeves == "long" else look.skin
            self.solids.add(elbow, hand, 0.044 * u * thick, 0.032 * u * thick, lower)
            palm = tuple(h + 0.35 * (h - e) * 0.6 for h, e in zip(hand, elbow, strict=True))
            self.solids.add(hand, palm, 0.036 * u, 0.034 * u, look.skin)
            if look.bag and side > 0 and self.pose.carry == "bag":
                self._bag(palm, look.bag)

    def _arm(self, side: int, shoulder: Point) -> tuple[Point, Point]:
        swing = 0.75 * self.swing * sin(self.pose.phase + (pi if side > 0 else 0.0))
        out, bend = 0.16, 0.25 + 0.5 * self.swing * 0.6
        match self.pose.carry:
            case "push":
                swing, bend, out = 0.55, 0.75, 0.1
            case "phone" if side > 0:
                swing, bend = 0.5, 1.7
            case "front":
                swing, bend = 0.35, 1.25
            case "bag" if side > 0:
                swing, bend = 0.2 * swing, 0.1
            case _:
                pass
        upper, lower = 0.165 * self.look.height, 0.14 * self.look.height
        x, y, z = shoulder
        elbow = (x + side * upper * sin(out), y + upper * sin(swing), z - upper * cos(swing) * cos(out))
        angle = swing + bend
        inward = -side * lower * (0.45 if self.pose.carry in ("front", "phone") else 0.05)
        return elbow, (elbow[0] + inward, elbow[1] + lower * sin(angle), elbow[2] - lower * cos(angle))

    def _bag(self, hand: tuple[float, ...], cloth: Cloth) -> None:
        x, y, z = hand
        u = self.unit
        self.solids.add((x, y, z - 0.05), (x, y, z - 0.16 * u), 0.012, 0.02, cloth)
        self.solids.add(
            (x, y, z - 0.22 * u), (x, y, z - 0.36 * u), 0.13 * u, 0.15 * u, cloth, (0.55, 1.1, 0.4)
        )

    def head(self) -> None:
        look = self.look
        big = (1 + 0.12 * self.childish) * self.unit * (1 + 0.35 * self.childish)
        base = self._spine(1.08)
        centre = (0.0, base[1] + 0.03 * big + 0.1 * big * sin(self.pose.nod), base[2] + 0.095 * big)
        self.solids.mark = (*centre, SHOULDERS * big)
        c, s = cos(self.pose.head), sin(self.pose.head)

        def at(right: float, ahead: float, up: float) -> Point:
            """A point of the turned head, in head sizes."""
            right, ahead = right * big, ahead * big
            return centre[0] + c * right - s * ahead, centre[1] + s * right + c * ahead, centre[2] + up * big

        self.solids.add(
            at(0, 0.0, -0.035), at(0, 0, 0.03), 0.078 * big, 0.085 * big, look.skin, (0.92, 1.06, 1.0)
        )
        self.solids.add(at(0, 0.09, -0.02), at(0, 0.095, -0.03), 0.017 * big, 0.019 * big, look.skin)
        if look.hair_style != "bald":
            self.solids.add(
                at(0, -0.022, 0.012),
                at(0, -0.012, 0.042),
                0.088 * big,
                0.088 * big,
                look.hair,
                (0.98, 1.05, 0.98),
            )
        if look.hair_style == "long":
            self.solids.add(
                at(0, -0.05, 0), at(0, -0.075, -0.26), 0.085 * big, 0.1 * big, look.hair, (1.15, 0.5, 0.6)
            )
        elif look.hair_style == "tail":
            self.solids.add(at(0, -0.1, 0.03), at(0, -0.13, -0.18), 0.035 * big, 0.02 * big, look.hair)
        elif look.hair_style == "bun":
            self.solids.add(at(0, -0.1, 0.07), at(0, -0.1, 0.08), 0.045 * big, 0.045 * big, look.hair)
        if look.hat:
            self.solids.add(
                at(0, -0.015, 0.045), at(0, -0.01, 0.075), 0.096 * big, 0.08 * big, look.hat, (1.0, 1.1, 0.9)
            )
            self.solids.add(
                at(0, 0.08, 0.05), at(0, 0.13, 0.045), 0.07 * big, 0.06 * big, look.hat, (1.0, 0.8, 0.15)
            )


SKINS: tuple[Colour, ...] = (
    (170, 190, 228), (150, 175, 220), (125, 155, 205), (95, 125, 180), (65, 92, 145), (45, 65, 105), (30, 42, 70),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (18, 18, 20), (24, 28, 38), (30, 42, 66), (45, 70, 105), (95, 140, 180), (130, 175, 205), (150, 152, 155), (205, 208, 210),
)  # fmt: skip


def random_look(rng: np.random.Generator, child: bool = False, uniform: Colour | None = None) -> Look:
    """Somebody; staff wear tops of the ``uniform`` colour."""
    top = _top(rng)
    if uniform:
        top = Cloth(uniform, folds=0.06)
    dark = _fabric(_shade(rng, (5, 70)))
    height = rng.uniform(0.95, 1.4) if child else float(np.clip(rng.normal(1.71, 0.1), 1.48, 2.0))
    legs = rng.choice(["trousers", "shorts", "skirt"], p=[0.8, 0.07, 0.13])
    return Look(
        height=height,
        girth=float(np.clip(rng.lognormal(0.02, 0.2), 0.75, 1.9)),
        skin=Cloth(SKINS[rng.integers(len(SKINS))], folds=0.0),
        hair=_hair(_jitter(rng, HAIRS[rng.integers(len(HAIRS))])),
        hair_style=rng.choice(["bald", "short", "long", "tail", "bun"], p=[0.07, 0.46, 0.29, 0.11, 0.07]),
        hat=_fabric(_any_colour(rng)) if rng.random() < 0.1 else None,
        top=top,
        sleeves="long" if rng.random() < 0.7 else "short",
        bottom=_fabric((_shade(rng, (5, 90)) if rng.random() < 0.55 else _jeans(rng)) if rng.random() < 0.85 else _any_colour(rng)),
        legs=legs,
        coat=float(rng.uniform(0.2, 0.85)) if rng.random() < 0.3 and not uniform else float(rng.choice([0.0, 0.12])),
        shoes=dark if rng.random() < 0.65 else _fabric(_shade(rng, (150, 240))),
        backpack=_fabric(_any_colour(rng)) if rng.random() < 0.12 else None,
        bag=_fabric(_any_colour(rng)) if rng.random() < 0.25 else None,
        loose=float(rng.uniform(0.95, 1.3)),
    )  # fmt: skip


def _hair(colour: Colour) -> Cloth:
    b, g, r = colour
    return Cloth(colour, "hair", (0.6 * b, 0.6 * g, 0.6 * r), folds=0.06)


def _top(rng: np.random.Generator) -> Cloth:
    colour = _shade(rng, (5, 60)) if rng.random() < 0.4 else _any_colour(rng)
    pattern = rng.choice(
        ["plain", "stripes", "pinstripes", "check", "heather", "print"],
        p=[0.55, 0.09, 0.05, 0.08, 0.15, 0.08],
    )
    accent = _any_colour(rng) if rng.random() < 0.6 else _shade(rng, (190, 245))
    return Cloth(colour, str(pattern), accent, float(rng.uniform(3, 11)), float(rng.uniform(0.03, 0.14)))


def _fabric(colour: Colour) -> Cloth:
    return Cloth(colour, folds=0.08)


def _shade(rng: np.random.Generator, between: tuple[float, float]) -> Colour:
    """Nearly grey."""
    return _jitter(rng, (rng.uniform(*between),) * 3)


def _jeans(rng: np.random.Generator) -> Colour:
    bright = rng.uniform(0.5, 1.4)
    return _jitter(rng, (95 * bright, 68 * bright, 52 * bright))


def _any_colour(rng: np.random.Generator) -> Colour:
    mean = rng.uniform(25, 215)
    spread = rng.uniform(0, 90)
    b, g, r = np.clip(mean + spread * rng.uniform(-1, 1, 3), 6, 245)
    return float(b), float(g), float(r)


def _jitter(rng: np.random.Generator, colour: Colour) -> Colour:
    b, g, r = np.clip(np.array(colour) * rng.uniform(0.92, 1.08, 3), 3, 250)
    return float(b), float(g), float(r)
