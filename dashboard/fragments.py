"""Rendered parts of pages, computed once however many people look at them.

A fragment holds what a store's counts say and nothing about the person who reads it: access is checked
before a fragment is asked for, and never inside.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from django.core.cache import cache
from django.db.models import prefetch_related_objects
from django.template.loader import render_to_string
from django.utils import timezone
from redis.exceptions import RedisError

from analytics.counts.snapshot import store_snapshot
from dashboard.store_page import store_page
from dashboard.trend import read_trend
from sensorapp.fleet.models import Store

log = logging.getLogger(__name__)

# Ages and the time of day move on without a new version, so a fragment does not stay for longer.
FRESH_S: Final = 2
TREND_FRESH_S: Final = 60
# How long the others wait for the one that computes, before they compute for themselves.
PATIENCE_S: Final = 3.0
PAUSE_S: Final = 0.02


def store_fragment(store: Store, version: int) -> str:
    """Everything on the store's page that is live, at ``version`` or newer."""
    return shared(
        f"store:{store.pk}:{version}", FRESH_S, lambda: render_store("dashboard/_store.html", store)
    )


def card_fragment(store: Store, version: int) -> str:
    """The store in the list of stores, at ``version`` or newer."""
    return shared(f"card:{store.pk}:{version}", FRESH_S, lambda: render_store("dashboard/_card.html", store))


def trend_fragment(store: Store) -> str:
    """The last weeks, up to a minute old."""
    return shared(f"trend:{store.pk}", TREND_FRESH_S, lambda: render_trend(store))


def render_store(template: str, store: Store) -> str:
    # Both the snapshot and the page want them.
    prefetch_related_objects([store], "opening_hours")
    snapshot = store_snapshot(store)
    with timezone.override(store.zone):
        return render_to_string(template, {"page": store_page(store, snapshot)})


def render_trend(store: Store) -> str:
    return render_to_string("dashboard/_trend.html", {"trend": read_trend(store, timezone.now())})


def shared(key: str, fresh_s: int, compute: Callable[[], str]) -> str:
    """The cached text under ``key``; where there is none, one caller computes it and the others wait."""
    try:
        return wait_or_compute(f"dashboard:{key}", fresh_s, compute)
    except RedisError:
        log.warning("dashboard: the cache cannot be reached; every page is computed for itself")
        return compute()


def wait_or_compute(key: str, fresh_s: int, compute: Callable[[], str]) -> str:
    claim = f"{key}:computing"
    give_up = time.monotonic() + PATIENCE_S
    while (text := read(key)) is None:
        if cache.add(claim, True, PATIENCE_S) or time.monotonic() > give_up:
            try:
                # Somebody may have finished since it was read.
                return read(key) or compute_and_keep(key, fresh_s, compute)
            finally:
                cache.delete(claim)
        time.sleep(PAUSE_S)
    return text


def read(key: str) -> str | None:
    text: str | None = cache.get(key)
    return text


def compute_and_keep(key: str, fresh_s: int, compute: Callable[[], str]) -> str:
    text = compute()
    cache.set(key, text, fresh_s)
    return text
