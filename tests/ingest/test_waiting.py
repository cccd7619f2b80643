"""Requests wait where the fewest events do, and none of a sender's overtakes another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.ingest.waiting import GROUP_EVENTS, OverloadedError, Request, Waiting, next_group
from sensorapp import wire


def request(sender: str, events: int) -> Request:
    facts: Any = SimpleNamespace(public_id=sender)
    batch = wire.Batch("sen_1", 1, 0, "00" * 8, 1, [wire.Crossing(1_700_000_000_000, 0, "forward")] * events)
    return Request(facts, [batch])


def test_a_new_sender_goes_where_fewer_events_wait_and_an_old_one_behind_itself() -> None:
    waiting = Waiting(1_000)
    first, second = waiting.lines
    a, b, c, d, again = (
        request("a", 30),
        request("b", 10),
        request("c", 10),
        request("d", 20),
        request("a", 1),
    )
    for one in (a, b, c, d, again):
        waiting.put(one)
    assert next_group(first.queue) == [a, again]
    assert next_group(second.queue) == [b, c, d]
    assert (first.events, second.events) == (31, 40)
    waiting.leave([b, c, d])
    waiting.leave([a])
    moved = request("b", 5)
    waiting.put(moved)  # nothing of it waits any more
    waiting.put(request("a", 5))  # something of it still does
    assert (first.events, second.events) == (6, 5)
    assert next_group(second.queue) == [moved]


def test_too_much_is_refused_and_takes_no_room() -> None:
    waiting = Waiting(100)
    large = request("a", 200)
    waiting.put(large)  # alone it is taken, or it never would be
    with pytest.raises(OverloadedError):
        waiting.put(request("b", 1))
    waiting.leave([large])
    for sender in "ab":
        waiting.put(request(sender, 50))
    with pytest.raises(OverloadedError):
        waiting.put(request("a", 1))
    assert sum(line.events for line in waiting.lines) == 100


def test_once_something_was_refused_there_is_no_room_until_something_leaves() -> None:
    waiting = Waiting(100)
    waiting.check()
    waiting.put(one := request("a", 80))
    waiting.check()
    with pytest.raises(OverloadedError):
        waiting.put(request("b", 30))
    with pytest.raises(OverloadedError):
        waiting.check()
    waiting.leave([one])
    waiting.check()
    waiting.put(request("a", 100))
    with pytest.raises(OverloadedError):
        waiting.check()


def test_a_group_ends_when_it_is_large_or_when_it_is_time_to_stop() -> None:
    waiting = Waiting(10**9)
    requests = [request("a", GROUP_EVENTS // 2) for _ in range(3)]
    for one in requests:
        waiting.put(one)
    waiting.close()
    line, other = waiting.lines
    assert [next_group(line.queue) for _ in range(3)] == [requests[:2], requests[2:], []]
    assert next_group(other.queue) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(1, 40)), max_size=60))
def test_whatever_comes_and_leaves_a_sender_stays_in_order(steps: list[tuple[str, int, int]]) -> None:
    """``steps`` are requests of a sender, and how many groups are settled after each, line by line in turn."""
    waiting, sent, settled = Waiting(10**9), dict[str, list[Request]](), dict[str, list[Request]]()
    turn = 0

    def settle() -> None:
        nonlocal turn
        line = waiting.lines[turn := (turn + 1) % len(waiting.lines)]
        if not line.queue.empty():
            group = next_group(line.queue)
            for one in group:
                settled.setdefault(one.sender.public_id, []).append(one)
            waiting.leave(group)

    for sender, groups, events in steps:
        sent.setdefault(sender, []).append(one := request(sender, events))
        waiting.put(one)
        assert sum(line.events for line in waiting.lines) == sum(
            request.events for name in sent for request in sent[name][len(settled.get(name, [])) :]
        )
        for _ in range(groups):
            settle()
    for _ in waiting.lines:
        settle()
    assert settled == sent
    assert [line.events for line in waiting.lines] == [0, 0]
