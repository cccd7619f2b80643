"""Line crossings: who went from one side of a line to the other, once.

A person counts when their feet are clear of the line on the other side, by half a body's depth. Where feet are trembles
from frame to frame, so it is their mean over a third of a second that must be clear; who stands on the line, or turns
round on it, has no effect. Without the camera's height half a body's depth is only guessed, and who keeps beyond the
line for a while counts, too. Where somebody nearer hides the feet, the detected box ends higher or takes in the other
person's, and where the picture's edge cuts somebody off, they are guessed: then the mean is over a longer time, unless
the person is gone. A way round the end of the line is no crossing.

Some come into sight only when they have all but crossed. Who does so on the line itself and walks on has come over
it, unless it is somebody found again; so has who comes towards the camera and into sight beyond the line, beside
somebody who crossed it.

What somebody pushes crosses nothing, even where it is taken for a person.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sensor_sim.perception.floor import LineOnFloor
from sensor_sim.perception.geometry import Point
from sensor_sim.perception.track import STEADY, Track
from sensor_sim.perception.tracking import Sighting
from sensorapp import wire

# So many metres beyond the line somebody is clear of it: half a body's depth, so that all of the body is beyond.
CLEAR = 0.15
# Over so many seconds the feet are averaged where they are hidden or cut off, and those of somebody who is gone.
HIDDEN_STEADY, GONE_STEADY = 0.6, 0.12
# So far from the line (metres) it is known on which side somebody is who is seen for the first time; and whose mean
# over so many seconds is so far beyond it is clear of it where metres are only guessed.
NEARLY_CLEAR, LINGER = 0.075, 1.3
# Of a person who has only been seen in part, lengths up and down are so many times as uncertain.
UNSURE = 3
# Who comes into sight so near the line (metres) comes into sight on it.
ON_LINE = 0.1
# Whether who came into sight came over the line is judged so much later (seconds).
CAME_SINCE = 1.0
# Whoever was lost so shortly before (seconds), so near (in units of the box) and on the same side is found again.
LOST_FOR, LOST_NEAR = 3.0, 1.0
# Who came into sight so near beyond the line (metres), so shortly before or after somebody crossed it
# towards the camera (seconds), and is then so near them (in units of the box), came with them.
CAME_NEAR, CAME_AFTER, CAME_BESIDE = 0.7, (-0.6, 1.5), 0.9
MOST_WAITING = 16


class _Appearance(NamedTuple):
    """When and where somebody came into sight, and how far from the line."""

    at: float
    point: Point
    distance: float


@dataclass
class _Way:
    """What is remembered of one track at one line. Sides: -1 left hand, 1 right hand, 0 not known yet."""

    at: float
    point: Point
    distance: float
    # On the line or close beyond it, until it is judged.
    appeared: _Appearance | None
    side: int = 0  # the side on which the person last stood clear of the line
    crossed_at: float | None = None  # when the foot last met the line; None if that was beyond its ends
    came_at: float | None = None  # when the line was last crossed towards the camera
    # Those of a track that is not confirmed yet.
    waiting: deque[wire.Crossing] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))


class LineCounter:
    def __init__(self, line: wire.Line, camera: wire.Camera | None = None) -> None:
        self.line, self._on_floor = line, LineOnFloor(line.points, camera)
        self._ways: dict[int, _Way] = {}
        self._lost: list[_Way] = []  # those that ended lately
        (ax, ay), (bx, by) = line.points
        # The side that is lower in the picture and so nearer to the camera; 0 of a line that goes up and down.
        across, down = abs(bx - ax), abs(by - ay)
        self._near = (bx > ax) - (bx < ax) if across > down else 0
        self._unsure = (UNSURE * across + down) / (across + down)

    def observe(self, sighting: Sighting) -> Iterator[wire.Crossing]:
        for track in sighting.ended:
            yield from self._leave(track)
        for track in sighting.seen:
            way = self._go(track)
            came_to = self._settle(way, track, sighting)
            if came_to and came_to != way.side:
                if way.side:
                    way.appeared = None  # was seen on both sides
                way.waiting += self._crossing(way, came_to, track)
                came = way.side and came_to == self._near and not track.pushed
                way.came_at = way.crossed_at if came else None
                way.side = came_to
            if way.appeared and track.at - way.appeared.at >= CAME_SINCE:
                way.waiting += self._hidden_crossing(way, track)
            if track.confirmed:
                yield from way.waiting
                way.waiting.clear()

    def _leave(self, track: Track) -> Iterator[wire.Crossing]:
        """Who is never seen again after they stood clear of the line on its other side has crossed it."""
        way = self._ways.pop(track.number, None)
        if not way or not track.confirmed:
            return
        # Whoever came into sight is judged a second later, or when they are seen again after that.
        self._lost = [lost for lost in self._lost if track.at - lost.at <= LOST_FOR + 2 * CAME_SINCE]
        self._lost.append(way)
        side = self._clear_side(track, track.detected_foot if track.cut_off else track.mean_foot(GONE_STEADY))
        if side not in (0, way.side):
            yield from self._crossing(way, side, track)
            way.side = side

    def _go(self, track: Track) -> _Way:
        """Follow the track to where it is now."""
        point, distance = track.foot, self._distance(track.foot, track)
        way = self._ways.get(track.number)
        if not way:
            way = self._ways[track.number] = _Way(
                track.at, point, distance, self._appearance(track, distance)
            )
        if (way.distance > 0) != (distance > 0):
            way.crossed_at = self._crossing_time(way, track.at, point, distance)
        way.at, way.point, way.distance = track.at, point, distance
        return way

    def _appearance(self, track: Track, distance: float) -> _Appearance | None:
        """Where a new track begins, if it may be somebody who comes over the line."""
        close = abs(distance) < ON_LINE or 0 < distance * self._near < CAME_NEAR
        return _Appearance(track.at, track.foot, distance) if close and not track.cut_off else None

    def _settle(self, way: _Way, track: Track, sighting: Sighting) -> int:
        """The side on which somebody has come to be, or 0: where they are seen first, they are at once."""
        if not way.side:
            return _side(self._distance(track.detected_foot, track), NEARLY_CLEAR)
        unseen = track.cut_off or sighting.hides_foot(track)
        side = self._clear_side(track, track.mean_foot(HIDDEN_STEADY if unseen else STEADY))
        if not side and not self._on_floor.in_metres:
            side = self._clear_side(track, track.mean_foot(LINGER), NEARLY_CLEAR)
        # Feet that leap there and back are back; and the moment of crossing is known once the filter's foot is over.
        is_there = side == _side(self._distance(track.detected_foot, track), NEARLY_CLEAR)
        return side if is_there and side == _side(way.distance, 0.0) else 0

    def _clear_side(self, track: Track, foot: Point | None, clear: float = CLEAR) -> int:
        """The side on which that foot is clear of the line, or 0."""
        return _side(self._distance(foot, track), clear) if foot else 0

    def _crossing(self, way: _Way, came_to: int, track: Track) -> Iterator[wire.Crossing]:
        """That of somebody who was seen on the other side before."""
        if way.side and way.crossed_at is not None and not track.pushed:
            yield self._event(way.crossed_at, came_to)

    def _hidden_crossing(self, way: _Way, track: Track) -> Iterator[wire.Crossing]:
        """That of somebody who came into sight only when they were about to have crossed."""
        appeared, way.appeared = way.appeared, None
        if not appeared or track.pushed:
            return
        if self._walked_on(way, track, appeared) or self._has_company(way, track, appeared):
            yield self._event(appeared.at, way.side)

    def _walked_on(self, way: _Way, track: Track, appeared: _Appearance) -> bool:
        """Whether somebody came into sight on the line and is clear of it now, and is nobody found again."""
        on_line = abs(appeared.distance) < ON_LINE and 0 <= self._along(appeared.point) <= 1
        gone = min(way.side * way.distance, way.side * (way.distance - appeared.distance)) > ON_LINE
        return on_line and gone and not any(self._is_found(way, track, appeared, lost) for lost in self._lost)

    def _is_found(self, way: _Way, track: Track, appeared: _Appearance, lost: _Way) -> bool:
        return (
            (_side(lost.distance, ON_LINE) or lost.side) in (0, way.side)
            and 0 <= appeared.at - lost.at <= LOST_FOR
            and self._apart(lost.point, appeared.point, track) < LOST_NEAR
        )

    def _has_company(self, way: _Way, track: Track, appeared: _Appearance) -> bool:
        """Whether somebody came into sight on the side of the camera beside whoever came over the line."""
        beyond = way.side == self._near and appeared.distance * self._near > 0
        return beyond and any(
            self._came_beside(way, track, appeared.at, other) for other in self._ways.values()
        )

    def _came_beside(self, way: _Way, track: Track, appeared: float, other: _Way) -> bool:
        earliest, latest = CAME_AFTER
        if other.came_at is None or not earliest <= appeared - other.came_at <= latest:
            return False
        return self._apart(other.point, way.point, track) < CAME_BESIDE

    @staticmethod
    def _apart(a: Point, b: Point, track: Track) -> float:
        """How far apart two points are, across or down, in units of the track's box."""
        return max(abs(a[0] - b[0]) / track.box.width, abs(a[1] - b[1]) / track.box.height)

    def _event(self, at: float, came_to: int) -> wire.Crossing:
        direction: wire.Direction = "forward" if came_to > 0 else "backward"
        return wire.Crossing(at=round(at * 1000), line=self.line.id, direction=direction)

    def _distance(self, point: Point, track: Track) -> float:
        """Signed distance of the foot from the line in metres, positive on the right hand; nearer where it is guessed."""
        distance = self._on_floor.distance(point, track.box)
        return distance if track.foot_seen else distance / self._unsure

    def _crossing_time(self, way: _Way, at: float, point: Point, distance: float) -> float | None:
        """When the way from the last point to this one met the line; None if beyond its ends."""
        share = way.distance / (way.distance - distance)
        x = way.point[0] + share * (point[0] - way.point[0])
        y = way.point[1] + share * (point[1] - way.point[1])
        return way.at + share * (at - way.at) if 0 <= self._along((x, y)) <= 1 else None

    def _along(self, point: Point) -> float:
        """Where on the line the nearest point is: 0 to 1 from end to end."""
        (ax, ay), (bx, by) = self.line.points
        dx, dy = bx - ax, by - ay
        return ((point[0] - ax) * dx + (point[1] - ay) * dy) / (dx * dx + dy * dy)


def _side(distance: float, clear: float) -> int:
    return (distance > clear) - (distance < -clear)
