"""Detections of single frames → tracks of people over time.

Association in two stages after ByteTrack (Zhang et al., ECCV 2022): clear detections first, then the dim
ones, because a person who is blurred, cut off or half hidden scores low and is still there. A third one finds those
again who were hidden for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sensor_sim.detection import Detection, overlap
from sensor_sim.perception.geometry import Point
from sensor_sim.perception.pushing import is_pushed
from sensor_sim.perception.track import Innovation, Track

# A dim detection scores at least this share of the score from which on a detection is clear.
DIM_SHARE = 0.3
# A box so many of its widths beside a foot still hides it: feet and arms reach out of boxes.
BESIDE = 0.2

# A hidden track takes what is seen where it must be for so many seconds: somebody walking past hides it.
PATIENCE = 0.8
# For so long a real one may be found again farther off: who went behind somebody has walked on.
FOUND_FOR = 1.5
GATE = 5.0  # a detection farther from the prediction than so many standard deviations is another's
DUPLICATE = 0.5  # a box that covers a tracked one this much (intersection over union) is the same person
MOST_TRACKS = 256

_Pair: TypeAlias = tuple[float, int, int, Innovation]  # squared distance, track, detection


@dataclass(frozen=True)
class Sighting:
    """The state of the tracks after one frame: those seen in it, those hidden, those given up."""

    seen: Sequence[Track]
    hidden: Sequence[Track]
    ended: Sequence[Track]

    def hides_foot(self, track: Track) -> bool:
        """Whether another one that is seen, and nearer, stands before the foot or close beside it."""
        x, y = track.foot
        for left, top, right, bottom in (other.box for other in self.seen if other is not track):
            margin = BESIDE * (right - left)
            if top < y and track.box.bottom < bottom and left - margin < x < right + margin:
                return True
        return False


class Tracker:
    """Follows people; ``clear_score`` is the score from which on a detection counts, ``nadir`` the point of the
    picture straight below the camera, if that is known."""

    def __init__(self, clear_score: float, nadir: Point | None = None) -> None:
        self.clear_score, self.nadir = clear_score, nadir
        self._tracks: list[Track] = []
        self._next = 0

    def update(self, at: float, detections: Iterable[Detection]) -> Sighting:
        """Take in all detections of one frame at the time ``at`` (seconds, growing)."""
        clear, dim = self._by_score(detections)
        waiting = [track for track in self._tracks if track.at - track.last_seen <= PATIENCE]
        gone = [track for track in self._tracks if track.at - track.last_seen > PATIENCE]
        tentative = [track for track in waiting if not track.confirmed]
        for track in self._tracks:
            track.predict(at)

        lost, clear = self._match([track for track in waiting if track.confirmed], clear)
        lost, dim = self._match(lost, dim)
        tentative, clear = self._match(tentative, self._untracked(at, clear))
        self._match(tentative, dim)
        for detection in self._find_again(lost + gone, self._untracked(at, clear)):
            if not self._is_tracked(at, detection):
                self._begin(at, detection)
        return self._sort_out(at)

    def give_up(self) -> Sighting:
        """The view is lost, and with it everybody."""
        ended, self._tracks = self._tracks, []
        return Sighting(seen=[], hidden=[], ended=ended)

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
        """Pair tracks with detections near them, most alike first; returns those left over."""
        return self._assign(tracks, detections, self._pairs(tracks, detections))

    def _find_again(self, tracks: list[Track], detections: list[Detection]) -> list[Detection]:
        """Pair hidden tracks with detections farther off that are like nobody else; returns those left over."""
        pairs = (
            (innovation.distance, t, d, innovation)
            for t, track in enumerate(tracks)
            for d, detection in enumerate(detections)
            if (innovation := track.recognise(detection.box))
        )
        return self._assign(tracks, detections, pairs)[1]

    def _assign(
        self, tracks: list[Track], detections: list[Detection], pairs: Iterable[_Pair]
    ) -> tuple[list[Track], list[Detection]]:
        free_tracks, free_detections = set(range(len(tracks))), set(range(len(detections)))
        for _, t, d, innovation in sorted(pairs):
            if t in free_tracks and d in free_detections:
                free_tracks.remove(t)
                free_detections.remove(d)
                tracks[t].correct(detections[d], innovation, self.clear_score)
        return [tracks[t] for t in sorted(free_tracks)], [detections[d] for d in sorted(free_detections)]

    def _pairs(self, tracks: list[Track], detections: list[Detection]) -> Iterator[_Pair]:
        """All that may be the same object."""
        boxes = [detection.box for detection in detections]
        for t, track in enumerate(tracks):
            left, top, right, bottom = track.reach(GATE)
            for d, box in enumerate(boxes):
                if box[0] < right and box[2] > left and box[1] < bottom and box[3] > top:
                    innovation = track.compare(box)
                    if innovation.distance <= GATE * GATE:
                        yield innovation.distance, t, d, innovation

    def _untracked(self, at: float, detections: list[Detection]) -> list[Detection]:
        return [detection for detection in detections if not self._is_tracked(at, detection)]

    def _is_tracked(self, at: float, detection: Detection) -> bool:
        """Whether a track seen in this frame is so much like it that it is a second box on the same object."""
        return any(
            track.last_seen == at and overlap(detection.box, track.box) >= DUPLICATE for track in self._tracks
        )

    def _begin(self, at: float, detection: Detection) -> None:
        if len(self._tracks) >= MOST_TRACKS:
            return
        track = Track(self._next, at, detection.box, self.nadir)
        self._next += 1
        track.take_score(detection.score, self.clear_score)
        self._tracks.append(track)

    def _sort_out(self, at: float) -> Sighting:
        groups: dict[Literal["seen", "hidden", "ended"], list[Track]] = {
            "seen": [],
            "hidden": [],
            "ended": [],
        }
        for track in self._tracks:
            unseen = at - track.last_seen
            patience = FOUND_FOR if track.confirmed else PATIENCE
            groups["seen" if not unseen else "hidden" if unseen <= patience else "ended"].append(track)
        self._tracks = groups["seen"] + groups["hidden"]
        for track in groups["seen"]:
            track.pushed = is_pushed(track, groups["seen"], self.clear_score)
        return Sighting(**groups)
