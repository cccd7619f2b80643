"""The figures of ``bench/accuracy``, of happenings and counts written here, beside an independent reckoning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.accuracy import figures, report
from bench.accuracy.counting import Told
from bench.accuracy.error_model import error_model
from bench.accuracy.figures import SETTLE_S, WITHIN_S, Compared, Counts, Estimate
from bench.accuracy.recording import Recording
from sensor_sim.fleet import errors
from sensor_sim.pixels.rendered import Crossed, Happening, Stayed, Stocked
from sensorapp import wire

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
SECONDS = 60.0


def told(*whats: Happening, after: float = 0.0) -> list[Told]:
    return [Told(what.at + after, what) for what in whats]


def compared(true: Sequence[Happening] = (), counted: Sequence[Told] = (), slots: int = 0) -> Compared:
    """A recording from 0 to ``SECONDS``, in which all of this happened, with what one counter told."""
    scene = wire.Scene(version=1, slots=[wire.Slot(i, f"A-{i}", "can", WHOLE) for i in range(1, slots + 1)])
    crossed, stayed, stocked = ([h for h in true if type(h) is kind] for kind in (Crossed, Stayed, Stocked))
    recording = Recording(scene, SECONDS, ["can"], [0.0, SECONDS], [[], []], crossed, stayed, stocked)
    return Compared(recording, counted)


def ins(*moments: float) -> list[Crossed]:
    return [Crossed(at, 0, "forward") for at in moments]


def outs(*moments: float) -> list[Crossed]:
    return [Crossed(at, 0, "backward") for at in moments]


# --- sums ------------------------------------------------------------------------------------------


def test_crossings_are_counted_by_direction_but_for_those_that_the_end_cuts_short() -> None:
    late = SECONDS - SETTLE_S
    many = [
        compared([*ins(10, 20, late), *outs(30)], told(*ins(11, late - 0.1), *outs(31, 32))),
        compared(ins(5), told(*ins(late))),
    ]
    assert figures.counts(many, "forward").tolist() == [[2, 2], [1, 0]]
    assert figures.counts(many, "backward").tolist() == [[1, 2], [0, 0]]


def test_the_bias_has_the_interval_of_the_sampling_error_of_a_ratio() -> None:
    rng = np.random.default_rng(7)
    true = rng.poisson(40, 60)
    counted = np.stack([true, rng.binomial(true, 0.9) + rng.poisson(1, 60)], axis=1)
    estimate = figures.bias(counted)
    assert estimate is not None
    surplus = int(counted[:, 1].sum()) - int(true.sum())
    assert estimate.value == pytest.approx(surplus / true.sum())
    residuals = counted[:, 1] - true - estimate.value * true
    error = float(np.sqrt((residuals**2).sum()) / true.sum())
    low, high = estimate.value - 1.96 * error, estimate.value + 1.96 * error
    assert estimate[1:] == pytest.approx((low, high), abs=0.15 * error)


def test_what_is_wrong_by_the_same_share_everywhere_is_certain() -> None:
    assert figures.bias(np.array([[10, 9], [20, 18], [30, 27]])) == pytest.approx(Estimate(-0.1, -0.1, -0.1))


def test_quarters_of_an_hour_are_put_together_of_different_recordings() -> None:
    counted = np.array([[10, 12], [10, 8], [10, 10]])
    in_one = figures.absolute_error(counted, seconds=300.0)
    one_each = figures.absolute_error(counted, seconds=900.0)
    assert in_one is not None
    assert one_each is not None
    assert in_one.value == 0.0  # all three are in each quarter, where their errors cancel out
    assert one_each.value == pytest.approx((0.2 + 0.2 + 0.0) / 3, abs=0.02)
    assert 0.0 <= one_each.low < one_each.value < one_each.high <= 0.2


@pytest.mark.parametrize("counted", [0, 3])
def test_of_nothing_that_happened_nothing_is_known(counted: int) -> None:
    nothing: Counts = np.array([[0, counted], [0, 0]])
    assert figures.bias(nothing) is None
    assert figures.absolute_error(nothing, 900.0) is None


def test_samples_in_which_nothing_happened_are_left_out() -> None:
    rarely = np.array([[0, 1], [4, 4], [0, 0]])
    estimate = figures.bias(rarely)
    assert estimate is not None
    assert np.isfinite(estimate).all()
    assert estimate.value == 0.25
    assert estimate.low == 0.0
    assert estimate.high == pytest.approx(0.5)  # the one with a count too many twice, beside four people


# --- which is which --------------------------------------------------------------------------------


def test_crossings_are_missed_extra_or_the_same_by_time_line_and_direction() -> None:
    there, turned, elsewhere, far = ins(10, 20, 30, 40)
    seen = told(Crossed(10.1, 0, "forward"), after=0.4)
    again, wrong_way = told(Crossed(11.0, 0, "forward"), Crossed(20.0, 0, "backward"))
    wrong_line, too_late = told(Crossed(30.0, 1, "forward"), Crossed(40.1 + WITHIN_S, 0, "forward"))
    matched = figures.crossings(
        [compared([there, turned, elsewhere, far], [again, *seen, wrong_way, wrong_line, too_late])]
    )
    assert matched.true == 4
    assert matched.pairs == [(there, seen[0])]
    assert matched.missed == [turned, elsewhere, far]
    assert matched.extra == [again, wrong_way, wrong_line, too_late]


MOMENTS = st.lists(
    st.tuples(st.integers(0, 500), st.sampled_from([0, 1]), st.sampled_from(["forward", "backward"])),
    max_size=12,
)


@given(MOMENTS, MOMENTS)
def test_everything_has_one_partner_or_none_and_none_is_left_that_could_have_one(
    true: list[tuple[int, int, wire.Direction]], counted: list[tuple[int, int, wire.Direction]]
) -> None:
    happened = [Crossed(at / 10, line, way) for at, line, way in true]
    counts = told(*(Crossed(at / 10, line, way) for at, line, way in counted))
    matched = figures.crossings([compared(happened, counts)])

    def alike(one: Crossed, other: Happening) -> bool:
        return one[1:] == other[1:] and abs(one.at - other.at) <= WITHIN_S

    assert sorted([one for one, _ in matched.pairs] + matched.missed) == sorted(happened)
    assert sorted([one for _, one in matched.pairs] + matched.extra) == sorted(counts)
    assert all(alike(one, other.what) for one, other in matched.pairs)
    assert not any(alike(one, other.what) for one, other in product(matched.missed, matched.extra))


def test_only_sure_stays_are_missed_or_extra_and_none_that_the_end_cuts_short() -> None:
    long, short, unseen, brief = (
        Stayed(20, 1, 5.0),
        Stayed(28, 1, 1.5),
        Stayed(40, 1, 4.0),
        Stayed(45, 1, 1.9),
    )
    seen, seen_longer = told(Stayed(20.2, 1, 6.0), Stayed(28, 1, 2.5))
    nobody, nobody_briefly, other_zone = told(Stayed(10, 1, 3.0), Stayed(12, 1, 1.0), Stayed(40, 2, 4.0))
    cut = Stayed(SECONDS - WITHIN_S, 1, 9.0)
    one = compared(
        [long, short, unseen, brief, cut],
        [seen, seen_longer, nobody, nobody_briefly, other_zone, *told(cut)],
    )
    matched = figures.stays([one])
    assert matched.pairs == [(long, seen)]
    assert matched.missed == [unseen]
    assert matched.extra == [nobody, other_zone]


def test_a_stay_is_the_one_that_began_with_it_not_a_step_that_ended_with_it() -> None:
    stay, step = Stayed(20, 1, 9.0), Stayed(30, 1, 1.2)
    brief, whole, began, ended = told(
        Stayed(20, 1, 1.1), Stayed(20.4, 1, 9.2), Stayed(30.2, 1, 1.3), Stayed(30, 1, 2.5)
    )
    matched = figures.stays([compared([stay, step], [brief, whole, began, ended])])
    assert matched == ([(stay, whole)], [], [ended])


# --- shelves ---------------------------------------------------------------------------------------

SHELF = [Stocked(0, 1, 4), Stocked(20.5, 1, 3), Stocked(40.5, 1, 0), Stocked(50.5, 1, 6)]


def test_a_slot_is_read_once_a_second_when_it_has_settled() -> None:
    one = compared(
        SHELF, told(Stocked(0, 1, 4), Stocked(20.5, 1, 2), Stocked(50.5, 1, 5), after=2.0), slots=2
    )
    expected = []
    for at in range(3, 60):
        true = 4 if at < 20.5 else 3 if at < 40.5 else 0 if at < 50.5 else 6
        expected.append([true, 4 if at < 20.5 else 2 if at < 50.5 else 5])
    assert figures.readings(one).tolist() == expected + [[0, 0]] * 57


def test_a_change_is_told_later_at_once_or_never_before_the_next() -> None:
    later = compared(SHELF, told(*SHELF[:2], *SHELF[3:], after=2.0), slots=1)
    assert figures.delays([later], empty=False) == ([2.0, 2.0], 1)
    assert figures.delays([later], empty=True) == ([], 1)
    noticed = compared(SHELF, told(*SHELF, after=0.5), slots=1)
    before = compared(SHELF, told(SHELF[0], Stocked(19, 1, 3), Stocked(49, 1, 0)), slots=1)
    assert figures.delays([noticed, before], empty=False) == ([0.5, 0.5, 0.5, 0.0, 8.5], 1)
    assert figures.delays([noticed, before], empty=True) == ([0.5, 8.5], 0)


# --- written down ----------------------------------------------------------------------------------

LOW = [
    compared(
        [*ins(10, 20), *(Stayed(at, 1, 4.0) for at in (15, 25, 35, 45))],
        [
            *told(*ins(10.1, 10.8, 11.5), after=0.3),
            *told(Stayed(15, 1, 3.9), Stayed(25, 1, 4.2), Stayed(35, 1, 4.0), Stayed(5, 1, 3.0)),
        ],
    )
] * 2
NORMAL = [compared(ins(10), told(*ins(10), after=0.5))]
CROWD = [compared()]
DATED_LATE = Stocked(20.8, 1, 3), Stocked(40.5, 1, 9), Stocked(50.8, 1, 6)
SHELVES = [compared(SHELF, told(SHELF[0], *DATED_LATE, after=0.7), slots=1)]


def test_the_error_model_holds_what_was_measured_and_is_read_by_the_fleet(tmp_path: Path) -> None:
    model = error_model("a test", {"low": LOW, "normal": NORMAL, "crowd": CROWD}, SHELVES)
    # Ten of 57 readings are nine units off.
    assert model == {
        "measured_with": "a test",
        "crossing": {
            "low": {"missed": 0.5, "double": 1.0},
            "normal": {"missed": 0.0, "double": 0.0},
            "crowd": {"missed": 0.0, "double": 0.0},
        },
        "visit": {"missed": 0.25, "double": 0.25, "dwell_error_ms": [-100, -75, 0, 150, 200]},
        "shelf": {
            "error_units": {"0": 0.82456, "5": 0.17544},
            "delay_ms": [300] * 5,
        },
    }
    path = tmp_path / "errors.json"
    path.write_text(json.dumps(model))
    assert errors.read(path).visit == errors.Visit(0.25, 0.25, (-100, -75, 0, 150, 200))


def test_tables_of_crossings() -> None:
    places = {
        "low": {"ours": LOW, "theirs": [compared(ins(10, 20), told(*ins(10)))]},
        "crowd": {"ours": CROWD},
    }
    assert report.crossings(places, SECONDS).splitlines() == [
        "| density |  | counter | true | counted | signed bias | absolute error by 15 min |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| low | entries | ours | 4 | 6 | +50.00% (+50.00% … +50.00%) | 50.00% (50.00% … 50.00%) |",
        "| low | entries | theirs | 2 | 1 | -50.00% (-50.00% … -50.00%) | 50.00% (50.00% … 50.00%) |",
        "| low | exits | ours | 0 | 0 | – | – |",
        "| low | exits | theirs | 0 | 0 | – | – |",
        "| crowd | entries | ours | 0 | 0 | – | – |",
        "| crowd | exits | ours | 0 | 0 | – | – |",
    ]
    assert report.single(places).splitlines() == [
        "| density | counter | true | missed | extra | told after (median, 95 %) |",
        "| --- | --- | --- | --- | --- | --- |",
        "| low | ours | 4 | 50.00% | 100.00% | 0.40 s, 0.40 s |",
        "| low | theirs | 2 | 50.00% | 0.00% | 0.00 s, 0.00 s |",
        "| crowd | ours | 0 | – | – | – |",
    ]


def test_the_table_of_stays() -> None:
    assert report.stays({"low": {"ours": LOW}, "crowd": {"ours": CROWD}}).splitlines() == [
        "| density | counter | true | missed | extra | error of the stay (median, 95 %) |",
        "| --- | --- | --- | --- | --- | --- |",
        "| low | ours | 8 | 25.00% | 25.00% | 0.10 s, 0.20 s |",
        "| crowd | ours | 0 | – | – | – |",
    ]


def test_the_table_of_shelves() -> None:
    right = [compared(SHELF, told(*SHELF), slots=1)]
    assert report.shelves({"ours": SHELVES, "right": right}).splitlines() == [
        "| counter | readings | within ±1 | exact | mean absolute error | change told after (median, 95 %) "
        "| out of stock noticed | after (median, 95 %) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| ours | 57 | 82.46% | 82.46% | 1.579 | 1.00 s, 1.00 s | 0 of 1 | – |",
        "| right | 57 | 100.00% | 100.00% | 0.000 | 0.00 s, 0.00 s | 1 of 1 | 0.00 s, 0.00 s |",
    ]
