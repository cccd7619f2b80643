"""How much a sensor gets wrong: the error model that the accuracy benchmark measured.

The figures are in ``errors.json`` beside this file. A delay or an error of a duration is given by five of its
quantiles, all in milliseconds, and drawn by interpolating between them; what lies beyond the outer two is not drawn.
A crossing has no error of its time: the sensor tells it late, but dates it to when the line was met. The delay of a
shelf's count is that of its date.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

from sensor_sim.errors import SensorError

FILE: Final = Path(__file__).with_name("errors.json")
LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
# People a minute at a door, where low density ends and where a crowd begins: beyond the geometric means of the
# densities 3.3, 20 and 67 that the accuracy benchmark renders (``pixels/rendered/arrivals.py``).
NORMAL_FROM, CROWD_FROM = 9, 37
MINUTE: Final = 60_000
# A second count of the same person follows while they are still near the line.
SECOND_COUNT_MS: Final = (200, 1_500)
REMEDY: Final = "measure it with `make bench-accuracy`"

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Quantiles = tuple[float, float, float, float, float]
Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


def ascending(name: str, quantiles: Quantiles) -> None:
    if not all(map(math.isfinite, quantiles)) or list(quantiles) != sorted(quantiles):
        raise ValueError(f"{name}: the quantiles {LEVELS} must be finite and ascend")


class Part(Struct, forbid_unknown_fields=True, frozen=True):
    """A part of the error model."""


class Crossing(Part, frozen=True):
    """Shares of the people who cross a line and are not counted, or twice."""

    missed: Share
    double: Share


class Crossings(Part, frozen=True):
    low: Crossing
    normal: Crossing
    crowd: Crossing


class Visit(Part, frozen=True):
    """Shares of the stays in a zone that are not noticed, or twice; and the error of their length."""

    missed: Share
    double: Share
    dwell_error_ms: Quantiles

    def __post_init__(self) -> None:
        ascending("dwell_error_ms", self.dwell_error_ms)


class Shelf(Part, frozen=True):
    """The shares of readings that are so many units off, and how late a change is noticed."""

    error_units: dict[int, Share]
    delay_ms: Quantiles

    def __post_init__(self) -> None:
        ascending("delay_ms", self.delay_ms)
        if not math.isclose(total := sum(self.error_units.values()), 1.0, abs_tol=0.001):
            raise ValueError(f"error_units: the shares sum to {total:.3f}, not to 1")


class ErrorModel(Part, frozen=True):
    """``measured_with`` says what measured it, such as a command and a commit."""

    measured_with: str
    crossing: Crossings
    visit: Visit
    shelf: Shelf


EXACTLY: Final = (0.0,) * 5
ALWAYS: Final = Crossing(0.0, 0.0)
FAULTLESS: Final = ErrorModel(
    "nothing", Crossings(ALWAYS, ALWAYS, ALWAYS), Visit(0.0, 0.0, EXACTLY), Shelf({0: 1.0}, EXACTLY)
)


def read(path: Path) -> ErrorModel:
    """Read an error model; raises :class:`~sensor_sim.errors.SensorError` naming the file and the field."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ErrorModel)
    except OSError as error:
        raise SensorError(f"{path}: {error.strerror}; {REMEDY}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SensorError(f"{path}: {error}; {REMEDY}") from None


@cache
def measured() -> ErrorModel:
    """The measured error model; raises :class:`~sensor_sim.errors.SensorError`."""
    return read(FILE)


@cache
def fingerprint() -> str:
    """Changes with every figure of the measured error model, and with nothing else."""
    figures = msgspec.structs.replace(measured(), measured_with="")
    return hashlib.blake2b(msgspec.json.encode(figures), digest_size=8).hexdigest()


# --- drawing from it -------------------------------------------------------------------------------


def draw(quantiles: Quantiles, size: int, rng: np.random.Generator) -> Ints:
    """``size`` whole milliseconds with these quantiles: the inverse of the distribution, piecewise linear."""
    return np.interp(rng.random(size), LEVELS, quantiles).astype(np.int64)


def density_class(at: Ints) -> Ints:
    """For each passage of a door the class of its minute: 0 low, 1 normal, 2 crowd."""
    _, minute, people = np.unique(at // MINUTE, return_inverse=True, return_counts=True)
    classes: Ints = np.digitize(people, (NORMAL_FROM, CROWD_FROM))[minute]
    return classes


def noticed(missed: Floats | float, double: Floats | float, size: int, rng: np.random.Generator) -> Ints:
    """Which of ``size`` happenings each count is of: a missed one has none, one that counts twice two."""
    luck = rng.random(size)
    return np.repeat(np.arange(size), np.where(luck < missed, 0, np.where(luck >= 1.0 - double, 2, 1)))


def crossings(model: Crossings, at: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """What a line's sensor makes of the passages at ``at``: when it counts, and which passage each time."""
    classes = (model.low, model.normal, model.crowd)
    density = density_class(at)
    missed = np.array([one.missed for one in classes])[density]
    double = np.array([one.double for one in classes])[density]
    passage = noticed(missed, double, at.size, rng)
    again = np.append(False, passage[1:] == passage[:-1])[: passage.size]
    later: Ints = again * rng.integers(*SECOND_COUNT_MS, passage.size)
    return at[passage] + later, passage


def misread(model: Shelf, units: Ints, most: Ints, rng: np.random.Generator) -> Ints:
    """Units as a shelf's sensor reads them: never fewer than none, nor more than ``most``."""
    shares = np.array(list(model.error_units.values()))
    off = rng.choice(np.array(list(model.error_units), np.int64), units.size, p=shares / shares.sum())
    read: Ints = np.clip(units + off, 0, most)
    return read
