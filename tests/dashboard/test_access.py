"""Who sees which store, on every page, fragment and list; and at what cost in queries."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from sensorapp.accounts.models import Membership, User
from sensorapp.fleet.models import Store
from tests.cast import make_sensor, make_store
from tests.dashboard.site import Shop, fragment_of, words

PAGES = ["store", "snapshot", "trend"]


def address(page: str, store: Store) -> str:
    return reverse(f"dashboard:{page}", args=[store.organisation.slug, store.slug])


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_everybody_gets_the_pages_of_their_stores_and_404_for_all_others(shop: Shop, page: str) -> None:
    cast = shop.cast
    for person, visible in cast.visible_stores.items():
        client = signed_in(cast.people[person])
        for store in (cast.store, cast.other_store, cast.foreign_store):
            status = client.get(address(page, store)).status_code
            assert status == (200 if store in visible else 404), f"{person}, {store}"


def test_the_list_shows_everybody_their_stores_and_no_other(shop: Shop) -> None:
    cast = shop.cast
    names = {store.name for store in (cast.store, cast.other_store, cast.foreign_store)}
    for person, visible in cast.visible_stores.items():
        for page in ("home", "cards"):
            answer = signed_in(cast.people[person]).get(reverse(f"dashboard:{page}"))
            if page == "home" and len(visible) == 1:
                [store] = visible
                assert answer.headers["location"] == store.get_absolute_url(), person
                continue
            shown = {name for name in names if name in answer.text}
            assert shown == {store.name for store in visible}, f"{person} at {page}"


def test_the_menu_names_no_store_of_others(shop: Shop) -> None:
    cast = shop.cast
    page = signed_in(cast.owner).get(shop.store.get_absolute_url()).text
    menu = re.search(r'<details class="menu">.*?</details>', page, re.S)
    assert menu is not None
    assert words(menu[0]) == "Store: Hamburg All stores Hamburg Pune"


def test_somebody_without_a_store_is_told_whom_to_ask(shop: Shop) -> None:
    Membership.objects.filter(user=shop.cast.manager).delete()
    page = signed_in(shop.cast.manager).get("/").text
    assert "Ask the administrator of your organisation" in page
    assert "Hamburg" not in page


def test_a_page_leads_to_the_login_and_a_fragment_says_so(shop: Shop) -> None:
    page = Client().get(shop.store.get_absolute_url())
    assert page.headers["location"] == "/accounts/login/?next=/nordlicht/hamburg/"
    for name in ("snapshot", "trend"):
        answer = Client().get(address(name, shop.store))
        assert (answer.status_code, answer.text) == (401, "Your session has ended. Sign in again.")
    assert Client().get(reverse("dashboard:cards")).status_code == 401


def test_access_taken_away_is_gone_with_the_next_request_however_warm_the_cache(shop: Shop) -> None:
    client = signed_in(shop.cast.manager)
    assert client.get(address("snapshot", shop.store)).status_code == 200
    Membership.objects.filter(user=shop.cast.manager).delete()
    for page in PAGES:
        assert client.get(address(page, shop.store)).status_code == 404


def test_only_reading_is_answered(shop: Shop) -> None:
    client = signed_in(shop.cast.manager)
    for page in PAGES:
        assert client.post(address(page, shop.store)).status_code == 405


def test_a_fragment_does_not_depend_on_who_reads_it(shop: Shop) -> None:
    fragments = {
        fragment_of(signed_in(person).get(shop.store.get_absolute_url()).text)
        for person in (shop.cast.manager, shop.cast.owner)
    }
    assert len(fragments) == 1
    assert shop.cast.manager.email not in fragments.pop()


# Two for the session and the person, one for the stores that are visible, with their versions.
PERSON = 3
SNAPSHOT = 7


@pytest.mark.parametrize("page", ["store", "snapshot"])
@pytest.mark.parametrize("more_sensors", [0, 4])
def test_queries_of_a_page(
    shop: Shop, page: str, more_sensors: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(more_sensors):
        make_sensor(shop.store, f"Shelf {number}", zones=["near", "far"], slots=["left", "right"])
    client = signed_in(shop.cast.manager)
    with django_assert_num_queries(PERSON + SNAPSHOT):
        client.get(address(page, shop.store))
    with django_assert_num_queries(PERSON):
        client.get(address(page, shop.store))


def test_queries_of_the_list(shop: Shop, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_store(shop.cast.chain, "oslo", "Europe/Oslo")
    client = signed_in(shop.cast.owner)
    client.get("/")
    with django_assert_num_queries(PERSON):
        client.get("/")
