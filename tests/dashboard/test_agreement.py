"""What a page shows live is what it shows after a reload."""

from __future__ import annotations

from django.core.cache import cache
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dashboard.site import Shop, enter, figures, fragment_of

URL = "/nordlicht/hamburg/"


def signed_in(shop: Shop) -> Client:
    client = Client()
    client.force_login(shop.cast.manager)
    return client


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 5), max_size=3))
def test_the_live_fragment_is_the_part_of_a_reloaded_page(shop: Shop, arrivals: list[int]) -> None:
    client = signed_in(shop)
    for number in arrivals:
        before = fragment_of(client.get(URL).text)
        enter(shop.door, number)
        live = client.get(f"{URL}snapshot/").text
        cache.clear()
        reloaded = fragment_of(client.get(URL).text)
        assert live == reloaded
        assert live != before


def test_a_commit_is_on_the_page_with_the_next_version(shop: Shop) -> None:
    client = signed_in(shop)
    assert figures(client.get(URL).text) == {
        "entries": "3",
        "occupancy": "2",
        "exits": "1",
        "completeness": "100 %",
    }
    enter(shop.door, 4)
    assert figures(client.get(f"{URL}snapshot/").text) == {
        "entries": "7",
        "occupancy": "6",
        "exits": "1",
        "completeness": "100 %",
    }
