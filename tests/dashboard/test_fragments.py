"""A fragment is computed once for everybody who looks, and the page survives without a cache."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from dashboard.fragments import shared
from tests.dashboard.site import Shop, figures


def test_a_hundred_readers_cost_one_computation() -> None:
    computed = 0
    lock = threading.Lock()

    def compute() -> str:
        nonlocal computed
        with lock:
            computed += 1
        time.sleep(0.3)
        return "text"

    with ThreadPoolExecutor(100) as readers:
        answers = list(readers.map(lambda _: shared("hundred", 60, compute), range(100)))
    assert answers == ["text"] * 100
    assert computed == 1


def test_who_waits_for_one_that_fails_computes_for_itself() -> None:
    def fail() -> str:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        shared("test", 2, fail)
    begin = time.monotonic()
    assert shared("test", 2, lambda: "text") == "text"
    assert time.monotonic() - begin < 1


def test_each_version_has_a_fragment_of_its_own() -> None:
    assert shared("store:1:7", 2, lambda: "old") == "old"
    assert shared("store:1:8", 2, lambda: "new") == "new"
    assert shared("store:1:7", 2, lambda: "computed again") == "old"


def test_a_page_needs_no_cache(shop: Shop, settings: Settings) -> None:
    client = Client()
    client.force_login(shop.cast.manager)
    nowhere = {"BACKEND": settings.CACHES["default"]["BACKEND"], "LOCATION": "unix:///nowhere.sock"}
    working = settings.CACHES
    settings.CACHES = {"default": nowhere}
    try:
        page = client.get(shop.store.get_absolute_url())
    finally:
        settings.CACHES = working
    assert figures(page.text)["entries"] == "3"
    assert cache.get("anything") is None
