"""The error model: what is drawn from it has its figures, and what is no error model is told."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensor_sim.errors import SensorError
from sensor_sim.fleet import errors
from sensor_sim.fleet.demand import random
from sensor_sim.pixels.rendered.arrivals import RATES


def document() -> dict[str, Any]:
    crossing = {"missed": 0.1, "double": 0.05}
    return {
        "measured_with": "a test",
        "crossing": {
            "low": crossing,
            "normal": crossing | {"missed": 0.2},
            "crowd": crossing | {"missed": 0.3, "double": 0.0},
        },
        "visit": {"missed": 0.1, "double": 0.05, "dwell_error_ms": [-400, -200, 0, 200, 400]},
        "shelf": {"error_units": {"-1": 0.1, "0": 0.7, "1": 0.2}, "delay_ms": [10, 20, 40, 80, 160]},
    }


def model(path: Path) -> errors.ErrorModel:
    path.write_text(json.dumps(document()))
    return errors.read(path)


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        (("crossing", "low", "missed"), 1.5, "Expected `float` <= 1.0 - at `$.crossing.low.missed`"),
        (("shelf", "delay_ms"), [1, 2], "Expected `array` of length 5 - at `$.shelf.delay_ms`"),
        (("visit", "double"), -0.1, "Expected `float` >= 0.0 - at `$.visit.double`"),
        (("visit", "dwell_error_ms"), [0, 2, 1, 3, 4], "dwell_error_ms: the quantiles"),
        (("shelf", "error_units"), {"0": 0.5}, "error_units: the shares sum to 0.500, not to 1"),
        (("shelf", "error_units"), {"few": 1.0}, "Expected `int`, got `str`"),
        (("crossing", "dense"), {}, "Object contains unknown field `dense`"),
    ],
)
def test_a_bad_figure_is_named(tmp_path: Path, where: tuple[str, ...], value: Any, reason: str) -> None:
    whole = part = document()
    for name in where[:-1]:
        part = part[name]
    part[where[-1]] = value
    path = tmp_path / "errors.json"
    path.write_text(json.dumps(whole))
    with pytest.raises(SensorError) as caught:
        errors.read(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert str(caught.value).endswith("; measure it with `make bench-accuracy`")


def test_a_file_that_is_missing_or_cut_short_is_told(tmp_path: Path) -> None:
    path = tmp_path / "errors.json"
    with pytest.raises(SensorError, match=r"errors\.json: No such file or directory; measure it with"):
        errors.read(path)
    path.write_text(json.dumps(document())[:100])
    with pytest.raises(SensorError, match=r"errors\.json: Input data was truncated; measure it with"):
        errors.read(path)


def test_the_fingerprint_is_of_the_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fingerprint(**changes: Any) -> str:
        path = tmp_path / "errors.json"
        path.write_text(json.dumps(document() | changes))
        monkeypatch.setattr(errors, "measured", lambda: errors.read(path))
        errors.fingerprint.cache_clear()
        return errors.fingerprint()

    first = fingerprint()
    assert fingerprint(measured_with="another day") == first
    assert fingerprint(visit={"missed": 0.2, "double": 0.05, "dwell_error_ms": [0, 0, 0, 0, 0]}) != first
    errors.fingerprint.cache_clear()


def test_draws_have_the_quantiles() -> None:
    drawn = errors.draw((-100.0, 0.0, 50.0, 400.0, 1_000.0), 50_000, random("draws"))
    assert np.quantile(drawn, errors.LEVELS) == pytest.approx([-100, 0, 50, 400, 1_000], abs=12)
    assert (drawn.min(), drawn.max()) == (-100, 1_000)


def test_densities_part_between_those_that_are_rendered() -> None:
    low, normal, crowd = (RATES[density].people / 60 for density in ("low", "normal", "crowd"))
    assert math.ceil(math.sqrt(low * normal)) == errors.NORMAL_FROM
    assert math.ceil(math.sqrt(normal * crowd)) == errors.CROWD_FROM


def test_a_doors_density_is_that_of_its_minute() -> None:
    minutes = {
        0: 1,
        3: errors.NORMAL_FROM - 1,
        4: errors.NORMAL_FROM,
        7: errors.CROWD_FROM - 1,
        8: errors.CROWD_FROM,
    }
    at = np.concatenate([np.full(people, minute * 60_000 + 7) for minute, people in minutes.items()])
    assert errors.density_class(at).tolist() == np.repeat([0, 0, 1, 1, 2], list(minutes.values())).tolist()


@pytest.mark.parametrize(
    ("people", "missed", "double"),
    [(2, 0.1, 0.05), (15, 0.2, 0.05), (60, 0.3, 0.0)],
    ids=["low", "normal", "crowd"],
)
def test_crossings_are_missed_and_doubled_as_often_as_the_model_says(
    tmp_path: Path, people: int, missed: float, double: float
) -> None:
    at = np.repeat(np.arange(30_000 // people) * 60_000, people)
    counted, passage = errors.crossings(model(tmp_path / "errors.json").crossing, at, random("crossings"))
    times = np.bincount(passage, minlength=at.size)
    assert np.mean(times == 0) == pytest.approx(missed, abs=0.01)
    assert np.mean(times == 2) == pytest.approx(double, abs=0.005)
    assert times.max() <= 2
    first = np.append(True, passage[1:] != passage[:-1])
    later = counted - at[passage]
    assert not later[first].any()
    earliest, latest = errors.SECOND_COUNT_MS
    assert ((earliest <= later[~first]) & (later[~first] < latest)).all()


def test_a_shelf_is_misread_within_what_can_stand_there(tmp_path: Path) -> None:
    shelf = model(tmp_path / "errors.json").shelf
    units, most = np.repeat([0, 5, 12], 20_000), np.full(60_000, 12)
    off = (errors.misread(shelf, units, most, random("shelf")) - units).reshape(3, -1)
    shares = [[np.mean(row == one) for one in (-1, 0, 1)] for row in off]
    assert shares == [
        pytest.approx([0.0, 0.8, 0.2], abs=0.01),
        pytest.approx([0.1, 0.7, 0.2], abs=0.01),
        pytest.approx([0.1, 0.9, 0.0], abs=0.01),
    ]


def test_nobody_is_no_trouble() -> None:
    nothing = np.empty(0, np.int64)
    counted, passage = errors.crossings(errors.measured().crossing, nothing, random())
    assert (counted.size, passage.size) == (0, 0)
    assert errors.misread(errors.measured().shelf, nothing, nothing, random()).size == 0
