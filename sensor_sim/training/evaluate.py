"""What a finished package finds in pictures of unseen worlds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sensor_sim.detection import Box, Detection
from sensor_sim.network import Network
from sensor_sim.package import Package
from sensor_sim.training.pictures import BOX, Album
from sensor_sim.training.scoring import Scored, Truth, average_precision, compare, precision, recall
from sensor_sim.training.targets import LEAST_VISIBLE

# Below this light the array runs out of exposure time, and its gain grows.
NIGHT = 0.3
BANDS = ((LEAST_VISIBLE, 0.5), (0.5, 0.75), (0.75, 0.95), (0.95, 1.01))
DENSITIES = ((1, 2), (3, 5), (6, 99))


@dataclass(frozen=True)
class Picture:
    """One compared picture: per label how detections and things agree, and what kind of picture it was."""

    scored: Mapping[str, Scored]
    things: int
    light: float


def run(package: Package, album: Album, report: Callable[[int, int], None]) -> list[Picture]:
    """All pictures of the album, each label compared."""
    labels = package.card.labels
    network, pictures = Network(package), []
    for number in range(len(album)):
        truths = list(_truths(album, number, labels))
        detections: list[Detection] = network.detect(album.pictures[number], labels, 0.0).detections
        scored = {label: compare(detections, truths, label) for label in labels}
        seen = sum(truth.visible >= LEAST_VISIBLE for truth in truths)
        pictures.append(Picture(scored, seen, float(album.light[number])))
        report(number + 1, len(album))
    return pictures


def _truths(album: Album, number: int, labels: list[str]) -> Iterator[Truth]:
    for row in album.things(number).tolist():
        yield Truth(labels[int(row[0])], Box(*row[BOX]), row[5])


def figures(pictures: list[Picture], labels: list[str], score: float) -> dict[str, float]:
    """Average precision, and recall and precision at ``score``, over all and in parts, under the names that
    the model card has."""
    found: dict[str, float] = {}
    for label in labels:
        found |= {f"{label}_{name}": value for name, value in _of(pictures, label, score).items()}
    if len(labels) == 1:
        found |= _parts(pictures, labels[0], score)
    else:
        found["ap50"] = sum(found[f"{label}_ap50"] for label in labels) / len(labels)
    return {name: round(value, 4) for name, value in found.items() if value == value}


def _of(pictures: Iterable[Picture], label: str, score: float) -> dict[str, float]:
    scored = [picture.scored[label] for picture in pictures]
    return {
        "ap50": average_precision(scored),
        "recall": recall([pair for one in scored for pair in one.found], score),
        "precision": precision(scored, score),
    }


def _parts(pictures: list[Picture], label: str, score: float) -> dict[str, float]:
    """Recall by visible share, by the number of things in the picture, and by night."""
    things = [pair for picture in pictures for pair in picture.scored[label].found]
    parts = {
        f"recall_visible_{low:g}_to_{min(high, 1):g}": recall(
            [pair for pair in things if low <= pair[0].visible < high], score
        )
        for low, high in BANDS
    }
    for low, high in DENSITIES:
        some = [picture for picture in pictures if low <= picture.things <= high]
        parts[f"recall_with_{low}_to_{high}"] = _of(some, label, score)["recall"]
    night = [picture for picture in pictures if picture.light < NIGHT]
    return parts | {f"night_{name}": value for name, value in _of(night, label, score).items()}
