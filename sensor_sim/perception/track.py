"""One object over time: a filter that knows where it is, how it moves, and what of it is hidden.

Motion is a constant-velocity Kalman filter in seconds, so that dropped frames and other frame rates change
nothing. All lengths are in units of the track's own box, so that near and far, large and small behave alike.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sensor_sim.detection import Box, Detection
from sensor_sim.perception.geometry import Point, cut, cut_at_side, foot


@dataclass(frozen=True)
class Motion:
    """How objects move and how well they are seen: seconds, and lengths in units of the box.

    What is ``cut`` off by the picture's edge grows and shrinks as it comes and goes, and tells less of where
    it is.
    """

    edge: float = 0.05  # standard deviation of a detected edge
    cut_edge: float = 0.12
    middle: float = 0.07  # when matching: standard deviation of the middle,
    head: float = 0.04  # of the upper edge, which hardly anybody hides,
    feet: float = 0.07  # and of the lower one, where the detector often guesses,
    most_feet: float = 3.0  # so that it counts at most so many standard deviations
    size: float = 0.2  # standard deviation of the share by which two boxes of one object differ in width
    cut_size: float = 1.0
    growth: float = 0.2  # standard deviation of the size's change in one second
    cut_growth: float = 2.0
    jump: float = 2.0  # an edge that moves more standard deviations than this is not the object's own
    manoeuvre: float = 1.0  # spectral density of acceleration, box²/s³: stop within about a second
    first_speed: float = 1.5  # standard deviation of the unknown first velocity, boxes/s: a brisk walk
    coasting: float = 0.5  # an unseen object keeps its velocity for about this long
    least_leap: float = 0.05  # when matching, the position's uncertainty counts at most so much,
    leap: float = 1.0  # or so much a second between two frames: what is hidden for long waits for its own
    found: float = 0.3  # somebody hidden is found again so far, in heights, from where the filter has them,
    found_speed: float = 0.6  # and so much farther a second,
    most_found: float = 1.0  # yet no farther than this,
    found_taller: float = 0.25  # if the logarithms of the heights differ by no more than this
    slender: float = 0.35  # a standing person's width in heights


PEOPLE = Motion()

# Over so many seconds the places where a person is detected are averaged: most of a step's swing is gone from it.
STEADY = 1 / 3
# Places are remembered for so many seconds, and none from before so long a pause, after which nothing is observed.
REMEMBERED, LONGEST_PAUSE = 1.5, 2.0
# Where a side of the picture cuts a person off, the feet are still seen if the box has so much of its whole width.
FEET_IN = 0.7
# Clear detections make a track real when there are at least so many, and their scores add up to so many times the one
# from which on they are clear: what is seen poorly, as second boxes on somebody are, must be seen more often.
CLEAR_SIGHTINGS, EVIDENCE = 2, 6.0
# The late score is the mean of about so many seconds.
LATELY = 1.0
ROUNDING = 1e-3  # times of frames are rounded: a third of a second are 5 frames of 15 a second


class Innovation(NamedTuple):
    """How a detection differs from what was predicted.

    ``distance`` is squared and in standard deviations. ``x`` and ``y`` are the move of the foot, ``wider`` and
    ``taller`` the change of size, in units of the track's box. ``doubt`` is how far the detection's edges lie
    from where the object's own must be; 0 where they are taken for its own.
    """

    distance: float
    x: float
    y: float
    wider: float
    taller: float
    doubt: float


class Track:
    """``box`` is where the filter has the object, which was detected first when it ``began`` and last at ``last_seen``.

    ``foot`` is where the filter has a person standing, perhaps outside the picture, ``detected_foot``
    where the last detection had one; ``foot_seen`` says whether they rest on a whole person. ``late_score`` is the mean
    score of about the last second. ``pushed`` is what is taken for a person and goes before one, as goods in a trolley.

    The middle of the box's lower side moves with a velocity; the size changes slowly and
    without one. Across and down are measured equally well in units of the box, so one covariance of
    (position, velocity) serves both directions and one variance both sizes.
    """

    __slots__ = (
        "_clear_sightings", "_evidence", "_feet", "_leap", "_means", "_nadir", "_pp", "_pv", "_scores", "_sightings",
        "_ss", "_velocity", "_vv", "_whole_width", "at", "began", "box", "confirmed", "cut_off", "detected_foot",
        "foot", "foot_seen", "last_seen", "late_score", "number", "pushed",
    )  # fmt: skip

    def __init__(self, number: int, at: float, box: Box, nadir: Point | None = None) -> None:
        self.number = number
        self.at = self.began = self.last_seen = at
        self._clear_sightings = 0
        self._evidence = 0.0
        self.confirmed = self.pushed = False
        self.box = box
        self._nadir = nadir
        self.foot = self.detected_foot = foot(box, nadir)
        self.foot_seen = not cut_at_side(box)
        self.cut_off = cut(box)
        self._whole_width = box.width
        self._feet = deque([(at, self.detected_foot)])
        self._means: dict[float, Point | None] = {}
        self._scores = self.late_score = 0.0
        self._sightings = 0
        self._velocity = (0.0, 0.0)
        self._pp = self._ss = PEOPLE.edge**2
        self._pv = 0.0
        self._vv = PEOPLE.first_speed**2
        self._leap = PEOPLE.least_leap**2

    def predict(self, at: float) -> None:
        """Move on to the time ``at`` (white-noise acceleration, Bar-Shalom et al. 2001, section 6.2)."""
        dt = at - self.at
        self._leap = max(PEOPLE.least_leap, PEOPLE.leap * dt) ** 2
        vx, vy = self._velocity
        if self.last_seen < self.at:
            keep = math.exp(-dt / PEOPLE.coasting)
            self._velocity = vx, vy = keep * vx, keep * vy
        left, top, right, bottom = self.box
        self.box = Box(left + dt * vx, top + dt * vy, right + dt * vx, bottom + dt * vy)
        q = PEOPLE.manoeuvre
        self._pp += dt * (2 * self._pv + dt * self._vv) + q * dt**3 / 3
        self._pv += dt * self._vv + q * dt**2 / 2
        self._vv += q * dt
        self._ss += (PEOPLE.cut_growth if self.cut_off else PEOPLE.growth) ** 2 * dt
        self.at = at

    def reach(self, gate: float) -> Box:
        """What any box must touch to be within ``gate`` standard deviations."""
        margin = gate * math.sqrt(min(self._pp, self._leap) + PEOPLE.cut_edge**2)
        left, top, right, bottom = self.box
        x, y = margin * (right - left), margin * (bottom - top)
        return Box(left - x, top - y, right + x, bottom + y)

    def compare(self, seen: Box) -> Innovation:
        """How a detected box differs from the predicted one.

        An edge that jumps farther than the size can have changed is where somebody else hides the object
        or melts into it; then the opposite edge, which moved less, and the size say where the object is.
        Whether it is the same person is told by the head rather than by the feet, which others hide.
        """
        m = PEOPLE
        old_left, old_top, old_right, old_bottom = self.box
        width, height = max(old_right - old_left, 1e-9), max(old_bottom - old_top, 1e-9)
        left, right = (seen.left - old_left) / width, (seen.right - old_right) / width
        top, bottom = (seen.top - old_top) / height, (seen.bottom - old_bottom) / height
        x, y, wider, taller, doubt = (left + right) / 2, bottom, right - left, bottom - top, 0.0
        unsure = min(self._pp, self._leap)
        if self.cut_off or cut(seen):
            place = (x * x + y * y) / (unsure + m.cut_edge**2)
            size = (wider * wider + taller * taller) / (self._ss + m.cut_size**2)
            return Innovation(place + size, x, y, wider, taller, doubt)
        bound = m.jump * math.sqrt(self._ss + m.edge**2)
        if abs(wider) > bound:
            x, doubt = min(left, right, key=abs), abs(wider)
        if abs(taller) > bound:
            y, doubt = min(top, bottom, key=abs), max(abs(taller), doubt)
        place = x * x / (unsure + m.middle**2) + top * top / (unsure + m.head**2)
        feet = min(bottom * bottom / (unsure + m.feet**2), m.most_feet**2)
        width = wider * wider / (self._ss + m.size**2)
        return Innovation(place + feet + width, x, y, wider, taller, doubt)

    def recognise(self, seen: Box) -> Innovation | None:
        """How a detected box that is nobody else's differs from the one of somebody hidden, who may have turned and
        walked on meanwhile; None if it cannot be them. ``distance`` is that of the heads, squared, and 1 at most.
        """
        old_left, old_top, old_right, old_bottom = self.box
        width, height = max(old_right - old_left, 1e-9), max(old_bottom - old_top, 1e-9)
        taller = math.log(max(seen.height, 1e-9) / height)
        if self.cut_off or cut(seen) or abs(taller) > PEOPLE.found_taller:
            return None
        x = (seen.left - old_left + seen.right - old_right) / 2 / width * PEOPLE.slender
        y = (seen.top - old_top) / height
        reach = min(PEOPLE.found + PEOPLE.found_speed * (self.at - self.last_seen), PEOPLE.most_found)
        distance = (x * x + y * y) / (reach * reach)
        return self.compare(seen)._replace(distance=distance) if distance <= 1 else None

    def correct(self, detection: Detection, innovation: Innovation, clear_score: float) -> None:
        """Take in a detection of the time that was predicted last; the dimmer it is, the less it moves."""
        dimness = clear_score / detection.score if detection.score < clear_score else 1.0
        noise = (PEOPLE.edge * dimness) ** 2
        gain, drift = self._pp / (self._pp + noise), self._pv / (self._pp + noise)
        resize = self._ss / (self._ss + noise + innovation.doubt**2)
        left, top, right, bottom = self.box
        x, y = innovation.x * (right - left), innovation.y * (bottom - top)
        whole = Box(left + x, top + y, right + x, bottom + y) if innovation.doubt else detection.box
        self.box = self._grown(
            gain * x, gain * y, 1 + resize * innovation.wider, 1 + resize * innovation.taller
        )
        self._velocity = (self._velocity[0] + drift * x, self._velocity[1] + drift * y)
        self._vv -= drift * self._pv
        self._pv -= gain * self._pv
        self._pp -= gain * self._pp
        self._ss -= resize * self._ss
        self.cut_off = cut(detection.box)
        self.take_score(detection.score, clear_score)
        self.last_seen = self.at
        self._step(whole)

    def _grown(self, x: float, y: float, wider: float, taller: float) -> Box:
        """The box after its foot has moved and its sides have grown."""
        left, top, right, bottom = self.box
        middle, half, foot_y = (left + right) / 2 + x, wider * (right - left) / 2, bottom + y
        return Box(middle - half, foot_y - taller * (bottom - top), middle + half, foot_y)

    def _step(self, seen: Box) -> None:
        """Where the person stands now.

        Of a person whom a side of the picture cuts off, a part is seen, and once that is narrow, its lower side is
        not where the feet are: the foot keeps the height at which it was seen last.
        """
        height = self.foot[1]
        self.foot, self.detected_foot = foot(self.box, self._nadir), foot(seen, self._nadir)
        if not cut_at_side(seen):
            self.foot_seen = True
            self._whole_width = seen.width
        elif self.foot_seen and seen.width < FEET_IN * self._whole_width:
            self.foot, self.detected_foot = (self.foot[0], height), (self.detected_foot[0], height)
        if self.at - self._feet[-1][0] > LONGEST_PAUSE:
            self._feet.clear()
        self._feet.append((self.at, self.detected_foot))
        while len(self._feet) > 1 and self.at - self._feet[1][0] >= REMEMBERED:
            self._feet.popleft()
        self._means.clear()

    def take_score(self, score: float, clear_score: float) -> None:
        """That of a detection of now, of which the one before was at ``last_seen``."""
        gain = 1 - math.exp((self.last_seen - self.at) / LATELY) if self._sightings else 1.0
        self.late_score += gain * (score - self.late_score)
        self._scores += score
        self._sightings += 1
        if score >= clear_score:
            self._clear_sightings += 1
            self._evidence += score
            enough = EVIDENCE * clear_score
            self.confirmed |= self._clear_sightings >= CLEAR_SIGHTINGS and self._evidence >= enough

    @property
    def mean_score(self) -> float:
        return self._scores / max(self._sightings, 1)

    def remembered(self, at: float) -> tuple[float, Point]:
        """When and where the person was seen about then."""
        return min(self._feet, key=lambda foot: abs(foot[0] - at))

    def mean_foot(self, seconds: float = STEADY) -> Point | None:
        """Where the person stood on average in the ``seconds`` (at most ``REMEMBERED``) before they were seen last, on
        straight ways from place to place; None if they have not been followed for so long.

        It trembles less than single detections.
        """
        if seconds not in self._means:
            self._means[seconds] = _mean(self._feet, seconds)
        return self._means[seconds]


def _mean(feet: Sequence[tuple[float, Point]], seconds: float) -> Point | None:
    """Over the last ``seconds`` of a way (seconds and places, the newest last)."""
    (newest, (last_x, last_y)), x, y = feet[-1], 0.0, 0.0
    begin, until = newest - seconds + ROUNDING, newest
    for at, (this_x, this_y) in reversed(feet):
        passed = until - max(at, begin)
        if passed > 0:
            # Half way between both ends of what lies within.
            nearer = passed / (until - at) / 2
            x += passed * (last_x + nearer * (this_x - last_x))
            y += passed * (last_y + nearer * (this_y - last_y))
        until, last_x, last_y = at, this_x, this_y
        if at <= begin:
            return x / (newest - begin), y / (newest - begin)
    return None
