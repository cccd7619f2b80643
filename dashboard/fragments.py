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
from django.template.loader import render_to_string
from django.utils import timezone
from redis.exceptions import RedisError

from analytics.counts.snapshot import store_snapshot
from dashboard.store_page import store_page
from sensorapp.fleet.models import Store

log = logging.getLogger(__name__)

# Ages and the time of day move on without a new version, so a fragment does not stay for longer.
FRESH_S: Final = 2
# How long the others wait for the one that computes, before they compute for themselves.
PATIENCE_S: Final = 3.0
PAUSE_S: Final = 0.02


def store_fragment(store: Store, version: int) -> str:
    """Everything on the store's page that changes, at ``version`` or newer."""
    return shared(f"store:{store.pk}:{version}", lambda: render_store("dashboard/_store.html", store))


def card_fragment(store: Store, version: int) -> str:
    """The store in the list of stores, at ``version`` or newer."""
    return shared(f"card:{store.pk}:{version}", lambda: render_store("dashboard/_card.html", store))


def render_store(template: str, store: Store) -> str:
    snapshot = store_snapshot(store)
    with timezone.override(store.zone):
        return render_to_string(template, {"page": store_page(store, snapshot)})


def shared(key: str, compute: Callable[[], str]) -> str:
    """The cached text under ``key``; where there is none, one caller computes it and the others wait."""
    try:
        return wait_or_compute(f"dashboard:{key}", compute)
    except RedisError:
        log.warning("dashboard: the cache cannot be reached; each page is computed by itself")
        return compute()


def wait_or_compute(key: str, compute: Callable[[], str]) -> str:
    claim = f"{key}:computing"
    give_up = time.monotonic() + PATIENCE_S
    while (text := cache.get(key)) is None:
        if cache.add(claim, True, PATIENCE_S) or time.monotonic() > give_up:
            try:
                text = compute()
                cache.set(key, text, FRESH_S)
            finally:
                cache.delete(claim)
            break
        time.sleep(PAUSE_S)
    return text
