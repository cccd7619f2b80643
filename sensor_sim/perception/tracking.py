"""Detections of single frames → tracks of persons or items over time.

Association in two stages after ByteTrack (Zhang et al., ECCV 2022): clear detections first, then the dim
ones, because a person who is blurred, cut off or half hidden scores low and is still there. Motion is a
constant-velocity Kalman filter in seconds, so that dropped frames and other frame rates change nothing.
All lengths are in units of the track's own box, so that near and far, large and small behave alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sensor_sim.detection import Box, Detection, overlap
from sensor_sim.perception.geometry import cut_at_side, foot

# A dim detection scores at least this share of the score from which on a detection is clear.
DIM_SHARE = 0.3


@dataclass(frozen=True)
class TrackerSettings:
    """Times in seconds, lengths in units of the track's box."""

    patience: float = 1.5  # an unseen track is kept this long: somebody walking past hides it for about 1 s
    clear_sightings: int = 2  # so many clear detections make a track real
    least_overlap: float = 0.15  # of the predicted box with the detection, both grown by the uncertainty
    duplicate_overlap: float = 0.5  # a box that covers a tracked one this much is the same object again
    measurement_noise: float = 0.05  # standard deviation of a detected edge
    manoeuvre: float = 4.0  # spectral density of acceleration, box²/s³: stop within about half a second
    first_speed: float = 1.5  # standard deviation of the unknown first velocity, boxes/s: a brisk walk
    growth: float = 1.0  # standard deviation of the size's change in one second
    coasting: float = 0.5  # an unseen object keeps its velocity for about this long
    widest_search: float = 0.5  # the uncertainty counts at most this much when matching
    most_tracks: int = 256


class Track:
    """One object over time. ``box`` is where the filter has it, ``detected`` where it was detected last,
    at ``last_seen``.

    ``foot`` is where the filter has a person standing, perhaps outside the picture, ``detected_foot``
    where the last detection had one; ``foot_seen`` says whether they rest on a whole person.

    The foot (the middle of the box's lower side) moves with a velocity; the size changes slowly and
    without one, because a person who comes into the picture grows, and then stops growing. Across and
    down are measured equally well in units of the box, so one covariance of (position, velocity) serves
    both directions and one variance both sizes.
    """

    def __init__(self, number: int, at: float, detection: Detection, settings: TrackerSettings) -> None:
        self.number = number
        self.at = at
        self.last_seen = at
        self.clear_sightings = 0
        self.confirmed = False
        self.box = self.detected = detection.box
        self.foot = self.detected_foot = foot(detection.box)
        self.foot_seen = not cut_at_side(detection.box)
        self._velocity = (0.0, 0.0)
        self._settings = settings
        self._pp = settings.measurement_noise**2
        self._pv = 0.0
        self._vv = settings.first_speed**2
        self._ss = settings.measurement_noise**2

    @property
    def uncertainty(self) -> float:
        """Standard deviation of the position in units of the box."""
        return math.sqrt(self._pp)

    def predict(self, at: float) -> None:
        """Move on to the time ``at`` (white-noise acceleration, Bar-Shalom et al. 2001, section 6.2)."""
        dt = at - self.at
        if self.last_seen < self.at:
            keep = math.exp(-dt / self._settings.coasting)
            self._velocity = (keep * self._velocity[0], keep * self._velocity[1])
        x, y = dt * self._velocity[0], dt * self._velocity[1]
        left, top, right, bottom = self.box
        self.box = Box(left + x, top + y, right + x, bottom + y)
        q = self._settings.manoeuvre
        self._pp += dt * (2 * self._pv + dt * self._vv) + q * dt**3 / 3
        self._pv += dt * self._vv + q * dt**2 / 2
        self._vv += q * dt
        self._ss += self._settings.growth**2 * dt
        self.at = at

    def correct(self, detection: Detection, clear_score: float) -> None:
        """Take in a detection of the time that was predicted last; the dimmer it is, the less it moves."""
        noise = (self._settings.measurement_noise * max(1.0, clear_score / detection.score)) ** 2
        gain, drift = self._pp / (self._pp + noise), self._pv / (self._pp + noise)
        resize = self._ss / (self._ss + noise)
        old, seen = self.box, detection.box
        error_x = (seen.left + seen.right - old.left - old.right) / 2
        error_y = seen.bottom - old.bottom
        x, bottom = (old.left + old.right) / 2 + gain * error_x, old.bottom + gain * error_y
        width = old.width + resize * (seen.width - old.width)
        height = old.height + resize * (seen.height - old.height)
        self.box = Box(x - width / 2, bottom - height, x + width / 2, bottom)
        self._velocity = (self._velocity[0] + drift * error_x, self._velocity[1] + drift * error_y)
        self._vv -= drift * self._pv
        self._pv -= gain * self._pv
        self._pp -= gain * self._pp
        self._ss -= resize * self._ss
        self.last_seen = self.at
        self._step(seen)

    def _step(self, seen: Box) -> None:
        """Where the person stands now.

        Of a person whom a side of the picture cuts off, a part is seen, and the lower side of a part is
        not where the feet are: the foot keeps the height at which it was seen last.
        """
        self.detected = seen
        height = self.foot[1]
        self.foot, self.detected_foot = foot(self.box), foot(seen)
        if not cut_at_side(seen):
            self.foot_seen = True
        elif self.foot_seen:
            self.foot, self.detected_foot = (self.foot[0], height), (self.detected_foot[0], height)

    def likeness(self, detection: Detection) -> float:
        """Overlap with a detection when both boxes are grown by what is not known of the track, 0 to 1."""
        margin = min(self.uncertainty, self._settings.widest_search)
        x, y = 2 * margin * self.box.width, 2 * margin * self.box.height
        a, b = self.box, detection.box
        width = min(a.right, b.right) - max(a.left, b.left) + x
        height = min(a.bottom, b.bottom) - max(a.top, b.top) + y
        if width <= 0.0 or height <= 0.0:
            return 0.0
        both = (a.width + x) * (a.height + y) + (b.width + x) * (b.height + y)
        return width * height / (both - width * height)


@dataclass(frozen=True)
class Sighting:
    """The state of the tracks after one frame: those seen in it, those hidden, those given up."""

    seen: Sequence[Track]
    hidden: Sequence[Track]
    ended: Sequence[Track]


class Tracker:
    """Follows the objects of one kind; ``clear_score`` is the score from which on a detection counts."""

    def __init__(self, clear_score: float, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self.clear_score = clear_score
        self._tracks: list[Track] = []
        self._next = 0

    def update(self, at: float, detections: Iterable[Detection]) -> Sighting:
        """Take in all detections of one frame at the time ``at`` (seconds, growing)."""
        clear, dim = self._by_score(detections)
        for track in self._tracks:
            track.predict(at)
        real = [track for track in self._tracks if track.confirmed]
        tentative = [track for track in self._tracks if not track.confirmed]

        real, clear = self._match(real, clear)
        real, dim = self._match(real, dim)
        clear = [detection for detection in clear if not self._is_tracked(at, detection)]
        tentative, clear = self._match(tentative, clear)
        self._match(tentative, dim)
        for detection in clear:
            if not self._is_tracked(at, detection):
                self._begin(at, detection)
        return self._sort_out(at)

    def _by_score(self, detections: Iterable[Detection]) -> tuple[list[Detection], list[Detection]]:
        clear: list[Detection] = []
        dim: list[Detection] = []
        for detection in sorted(detections, key=lambda d: -d.score):
            if detection.score >= self.clear_score:
                clear.append(detection)
            elif detection.score >= DIM_SHARE * self.clear_score:
                dim.append(detection)
        return clear, dim

    def _match(self, tracks: list[Track], detections: list[Detection]) -> tuple[list[Track], list[Detection]]:
        """Pair tracks with detections, most alike first; returns those left over."""
        pairs = [
            (likeness, t, d)
            for t, track in enumerate(tracks)
            for d, detection in enumerate(detections)
            if (likeness := track.likeness(detection)) >= self.settings.least_overlap
        ]
        free_tracks, free_detections = set(range(len(tracks))), set(range(len(detections)))
        for _, t, d in sorted(pairs, reverse=True):
            if t in free_tracks and d in free_detections:
                free_tracks.remove(t)
                free_detections.remove(d)
                self._see(tracks[t], detections[d])
        return [tracks[t] for t in sorted(free_tracks)], [detections[d] for d in sorted(free_detections)]

    def _see(self, track: Track, detection: Detection) -> None:
        track.correct(detection, self.clear_score)
        self._count_if_clear(track, detection)

    def _count_if_clear(self, track: Track, detection: Detection) -> None:
        if detection.score >= self.clear_score:
            track.clear_sightings += 1
            track.confirmed |= track.clear_sightings >= self.settings.clear_sightings

    def _is_tracked(self, at: float, detection: Detection) -> bool:
        """Whether a track seen in this frame is so much like it that it is a second box on the same object."""
        return any(
            track.last_seen == at and overlap(detection.box, track.box) >= self.settings.duplicate_overlap
            for track in self._tracks
        )

    def _begin(self, at: float, detection: Detection) -> None:
        if len(self._tracks) >= self.settings.most_tracks:
            return
        track = Track(self._next, at, detection, self.settings)
        self._next += 1
        self._count_if_clear(track, detection)
        self._tracks.append(track)

    def _sort_out(self, at: float) -> Sighting:
        groups: dict[Literal["seen", "hidden", "ended"], list[Track]] = {
            "seen": [],
            "hidden": [],
            "ended": [],
        }
        for track in self._tracks:
            unseen = at - track.last_seen
            groups[
                "seen" if not unseen else "hidden" if unseen <= self.settings.patience else "ended"
            ].append(track)
        self._tracks = groups["seen"] + groups["hidden"]
        return Sighting(**groups)
