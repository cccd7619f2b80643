"""Line crossings: who went from one side of a line to the other, once.

A person counts when the foot has come clear of the line on the other side: farther than a dead band of a
few hundredths of the person's own size, and for more than a moment. Inside the band the person may jitter or turn
round without effect; only who lingers in its outer half counts all the same, later. Where somebody nearer hides the feet, the detected box ends higher or takes in
the other person's, so the foot must stay clear for longer. Whoever the picture's edge cuts off may be gone in the
next frame and counts at once. Who comes into sight on the line itself and walks on has come over it, hidden by
somebody else; so has who comes towards the camera and into sight beyond the line, beside somebody who crossed it. A
way round the end of the line is no crossing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sensor_sim.perception.geometry import Point
from sensor_sim.perception.track import Track
from sensor_sim.perception.tracking import Sighting
from sensorapp import wire

# Half the width of the dead band in units of the box: about 10 cm on a standing person.
DEAD_BAND = 0.07
# The half of it in which somebody may linger without effect, and for how long (seconds) in the other half.
INNER_BAND, LINGER = 0.035, 1.0
# It is this many times as wide, up and down, for a person who has only been seen in part.
UNSURE = 3
# Seconds for which the foot must stay clear of the line; the longer ones where somebody hides it.
HOLD, HIDDEN_HOLD = 0.2, 0.6
# Who came into sight is judged so much later (seconds). Who came into sight so near the line (in units of the box), and
# is then clear of it, came over it.
CAME_SINCE, ON_LINE = 1.0, 0.1
# Who came into sight so near beyond the line (in units of the box), so shortly after somebody crossed it towards the
# camera (seconds), and is then so near them (in units of the box), came with them.
CAME_NEAR, CAME_AFTER, CAME_BESIDE = 0.4, (-0.3, 1.5), 1.2


@dataclass
class _Stand:
    """On which side of a band about the line somebody stands, and since when; 0 inside it."""

    side: int = 0
    since: float = 0.0

    def note(self, at: float, distance: float, band: float) -> int:
        side = (distance > band) - (distance < -band)
        if side != self.side:
            self.side, self.since = side, at
        return side


@dataclass
class _Way:
    """What is remembered of one track at one line. Sides: -1 left hand, 1 right hand, 0 not known yet."""

    at: float
    point: Point
    distance: float
    appeared: float | None  # when somebody came into sight on the line or close beyond it, until it is judged
    on_line: bool = False  # whether that was on the line
    side: int = 0  # the side on which the person last stood clear of the line
    clear: _Stand = field(default_factory=_Stand)  # as to the dead band
    over: _Stand = field(default_factory=_Stand)  # as to its inner half
    crossed_at: float | None = None  # when the foot last met the line; None if that was beyond its ends
    came_at: float | None = None  # when the line was last crossed towards the camera
    waiting: list[wire.Crossing] = field(default_factory=list)  # of a track that is not confirmed yet


class LineCounter:
    def __init__(self, line: wire.Line) -> None:
        self.line = line
        self._ways: dict[int, _Way] = {}
        (ax, ay), (bx, by) = line.points
        # The side that is lower in the picture and so nearer to the camera; 0 of a line that goes up and down.
        self._near = (bx > ax) - (bx < ax) if abs(bx - ax) > abs(by - ay) else 0

    def observe(self, sighting: Sighting) -> Iterator[wire.Crossing]:
        for track in sighting.ended:
            yield from self._leave(track)
        for track in sighting.seen:
            way = self._go(track)
            came_to = self._settle(way, track, sighting)
            if came_to and came_to != way.side:
                if way.side:
                    way.appeared = None  # was seen on both sides
                way.waiting += self._crossing(way, came_to)
                way.came_at = way.crossed_at if way.side and came_to == self._near else None
                way.side = came_to
            if way.appeared and track.confirmed and track.at - way.appeared >= CAME_SINCE:
                way.waiting += self._hidden_crossing(way, track)
            if track.confirmed:
                yield from way.waiting
                way.waiting.clear()

    def _leave(self, track: Track) -> Iterator[wire.Crossing]:
        """Who is never seen again after they stood clear of the line on its other side has crossed it."""
        way = self._ways.pop(track.number, None)
        if (
            way
            and track.confirmed
            and way.clear.side not in (0, way.side)
            and way.at - way.clear.since >= HOLD
        ):
            yield from self._crossing(way, way.clear.side)

    def _go(self, track: Track) -> _Way:
        """Follow the track to where it is now."""
        point, distance = track.foot, self._distance(track.foot, track)
        way = self._ways.get(track.number)
        if not way:
            on_line = abs(distance) < ON_LINE
            close = not track.cut_off and (on_line or 0 < distance * self._near < CAME_NEAR)
            way = self._ways[track.number] = _Way(
                track.at, point, distance, track.at if close else None, on_line
            )
        if (way.distance > 0) != (distance > 0):
            way.crossed_at = self._crossing_time(way, track.at, point, distance)
        way.at, way.point, way.distance = track.at, point, distance
        return way

    def _settle(self, way: _Way, track: Track, sighting: Sighting) -> int:
        """The side on which somebody has come to be, or 0: where they are seen first, they are at once."""
        distance = self._clearance(track, way.distance)
        over = way.over.note(track.at, distance, INNER_BAND)
        side = way.clear.note(track.at, distance, DEAD_BAND)
        if not way.side or track.cut_off:
            return side
        if track.at - way.over.since >= LINGER:
            return over
        stays = track.at - way.clear.since
        if stays >= HIDDEN_HOLD:
            return side
        return side if stays >= HOLD and not sighting.hides_foot(track) else 0

    def _clearance(self, track: Track, distance: float) -> float:
        """How far from the line somebody is beyond doubt; 0 if that is not even known of the side.

        The filter trembles less than the detections, but overshoots when somebody stops; so both must say
        the same.
        """
        detected = self._distance(track.detected_foot, track)
        if (distance > 0) != (detected > 0):
            return 0.0
        return min(distance, detected, key=abs)

    def _crossing(self, way: _Way, came_to: int) -> Iterator[wire.Crossing]:
        """That of somebody who was seen on the other side before."""
        if way.side and way.crossed_at is not None:
            yield self._event(way.crossed_at, came_to)

    def _hidden_crossing(self, way: _Way, track: Track) -> Iterator[wire.Crossing]:
        """That of somebody who came into sight only when they were about to have crossed."""
        appeared, way.appeared = way.appeared, None
        if appeared is None:
            return
        walked_on = way.on_line and way.side * way.distance > DEAD_BAND
        if walked_on or self._has_company(way, track, appeared):
            yield self._event(appeared, way.side)

    def _has_company(self, way: _Way, track: Track, appeared: float) -> bool:
        """Whether somebody came into sight on the side of the camera beside whoever came over the line."""
        return way.side == self._near and any(
            self._came_beside(way, track, appeared, other) for other in self._ways.values()
        )

    def _came_beside(self, way: _Way, track: Track, appeared: float, other: _Way) -> bool:
        earliest, latest = CAME_AFTER
        if other.came_at is None or not earliest <= appeared - other.came_at <= latest:
            return False
        x, y = other.point[0] - way.point[0], other.point[1] - way.point[1]
        return max(abs(x) / track.box.width, abs(y) / track.box.height) < CAME_BESIDE

    def _event(self, at: float, came_to: int) -> wire.Crossing:
        direction: wire.Direction = "forward" if came_to > 0 else "backward"
        return wire.Crossing(at=round(at * 1000), line=self.line.id, direction=direction)

    def _distance(self, point: Point, track: Track) -> float:
        """Signed distance of the foot from the line in units of the box; positive on the right hand.

        The unit is the extent of the box across the line, so that it does not matter that fractions of
        the width and of the height are different lengths.
        """
        (ax, ay), (bx, by) = self.line.points
        dx, dy = bx - ax, by - ay
        across = abs(dy) * track.box.width + abs(dx) * track.box.height * (1 if track.foot_seen else UNSURE)
        return (dx * (point[1] - ay) - dy * (point[0] - ax)) / max(across, 1e-9)

    def _crossing_time(self, way: _Way, at: float, point: Point, distance: float) -> float | None:
        """When the way from the last point to this one met the line; None if beyond its ends."""
        share = way.distance / (way.distance - distance)
        x = way.point[0] + share * (point[0] - way.point[0])
        y = way.point[1] + share * (point[1] - way.point[1])
        (ax, ay), (bx, by) = self.line.points
        dx, dy = bx - ax, by - ay
        along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)
        return way.at + share * (at - way.at) if 0 <= along <= 1 else None
