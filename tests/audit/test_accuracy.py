"""The statistics of the accuracy statement, on figures worked out elsewhere and on simulated errors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.audit.accuracy import Accuracy, accuracy, score_limits

Draw = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def test_sums_bias_and_absolute_error() -> None:
    """By hand: O = 4, U = 8, M = 200; score limits of 4 are 1.5556 and 10.2858, of 8 4.0548 and 15.7867.

    Chi² is (6² + 6²) / (0.06 * 100) with an expected error of -2 each, so phi is 12 and z² 46.0975.
    """
    found = accuracy([(100, 104), (100, 92)])
    z_squared = 12 * 3.841458820694124
    over = limits(4, z_squared)
    under = limits(8, z_squared)
    assert (found.spans, found.manual, found.sensor) == (2, 200, 196)
    assert found.bias == -0.02
    assert found.absolute_error == 0.06
    assert found.bias_low == pytest.approx((-4 - math.hypot(4 - over[0], under[1] - 8)) / 200)
    assert found.bias_high == pytest.approx((-4 + math.hypot(over[1] - 4, 8 - under[0])) / 200)


def limits(count: int, z_squared: float) -> tuple[float, float]:
    """The roots of (count - mean)² = z² mean, by the quadratic formula."""
    half = (2 * count + z_squared) / 2
    root = math.sqrt(half**2 - count**2)
    return half - root, half + root


@given(st.integers(0, 100_000), st.floats(1, 50))
def test_score_limits_solve_their_equation(count: int, phi: float) -> None:
    low, high = score_limits(count, phi)
    assert 0 <= low <= count < high
    for mean in (low, high):
        assert (count - mean) ** 2 == pytest.approx(3.841458820694124 * phi * mean, rel=1e-6, abs=1e-6)


def test_flawless_counts_leave_the_doubt_that_their_number_allows() -> None:
    found = accuracy([(100, 100), (284, 284)])
    assert found == Accuracy(
        2, 384, 384, 0.0, pytest.approx(-0.01, rel=1e-3), pytest.approx(0.01, rel=1e-3), 0.0
    )


def test_spans_do_not_cancel_in_the_absolute_error() -> None:
    found = accuracy([(10, 15), (10, 5)])
    assert (found.bias, found.absolute_error) == (0.0, 0.5)


@pytest.mark.parametrize("pairs", [[], [(0, 0)], [(0, 3), (0, 0)]])
def test_nothing_counted_by_hand_tells_nothing(pairs: list[tuple[int, int]]) -> None:
    found = accuracy(pairs)
    assert found == Accuracy(len(pairs), 0, sum(sensor for _, sensor in pairs), None, None, None, None)


COUNTS = st.integers(0, 10_000)
PAIRS = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=20).filter(
    lambda pairs: any(m for m, _ in pairs)
)


@given(PAIRS)
def test_the_bias_lies_in_its_interval_and_within_the_absolute_error(pairs: list[tuple[int, int]]) -> None:
    found = accuracy(pairs)
    assert found.bias is not None
    assert found.bias_low is not None
    assert found.bias_high is not None
    assert found.absolute_error is not None
    assert found.bias == pytest.approx((found.sensor - found.manual) / found.manual)
    assert found.bias_low < found.bias < found.bias_high
    assert abs(found.bias) <= found.absolute_error * (1 + 1e-12)


@given(PAIRS, st.randoms())
def test_the_order_of_spans_does_not_matter(pairs: list[tuple[int, int]], random: st.DataObject) -> None:
    mixed = list(pairs)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    once, again = accuracy(pairs), accuracy(mixed)
    assert (once.bias, once.absolute_error) == (again.bias, again.absolute_error)
    assert (once.bias_low, once.bias_high) == (pytest.approx(again.bias_low), pytest.approx(again.bias_high))


def missed(rate: float) -> Draw:
    return lambda random, manual: -random.binomial(manual, rate)


def missed_and_doubled(random: np.random.Generator, manual: np.ndarray) -> np.ndarray:
    return random.poisson(0.01 * manual) - random.binomial(manual, 0.05)


def cancelling(random: np.random.Generator, manual: np.ndarray) -> np.ndarray:
    return random.poisson(0.04 * manual) - random.binomial(manual, 0.04)


def clustered(random: np.random.Generator, manual: np.ndarray) -> np.ndarray:
    return -random.binomial(manual, random.beta(1, 24, len(manual)))


@pytest.mark.parametrize(
    ("draw", "bias", "spans", "at_least"),
    [
        (missed(0.03), -0.03, 1, 0.95),
        (missed(0.03), -0.03, 5, 0.95),
        (missed(0.005), -0.005, 10, 0.95),
        (missed_and_doubled, -0.04, 5, 0.94),
        (missed_and_doubled, -0.04, 20, 0.94),
        (cancelling, 0.0, 10, 0.90),
        (clustered, -0.04, 5, 0.86),
        (clustered, -0.04, 20, 0.88),
    ],
)  # fmt: skip
def test_the_interval_holds_the_true_bias(draw: Draw, bias: float, spans: int, at_least: float) -> None:
    """In 1 500 simulated statements over spans of 20 to 200 people."""
    random = np.random.default_rng(7)
    holds = 0
    for _ in range(1500):
        manual = random.integers(20, 200, spans)
        sensor = manual + draw(random, manual)
        found = accuracy(list(zip(manual.tolist(), sensor.tolist(), strict=True)))
        holds += found.bias_low <= bias <= found.bias_high  # type: ignore[operator]
    assert holds / 1500 >= at_least
