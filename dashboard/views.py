"""Pages."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.defaults import server_error

from dashboard.access import find_visible_store, visible_stores
from dashboard.fragments import card_fragment, store_fragment, trend_fragment
from dashboard.sensors_page import sensors_page
from sensorapp.accounts.models import User
from sensorapp.outage import RETRY_AFTER_SECONDS, is_outage

if TYPE_CHECKING:
    from dashboard.access import VersionedStore


def reader(request: HttpRequest) -> User:
    """The person who is signed in."""
    return cast(User, request.user)


@require_safe
@login_required
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    stores = list(visible_stores(reader(request)))
    if len(stores) == 1:
        return redirect(stores[0])
    return render(request, "dashboard/home.html", {"stores": stores, "cards": cards(stores)})


@require_safe
@never_cache
def store_cards(request: HttpRequest) -> HttpResponse:
    """The part of the list of stores that changes."""
    if not request.user.is_authenticated:
        return signed_out()
    return render(request, "dashboard/_cards.html", {"cards": cards(visible_stores(reader(request)))})


@require_safe
@login_required
@never_cache
def sensors(request: HttpRequest) -> HttpResponse:
    """The sensors of all stores that the reader sees."""
    stores = list(visible_stores(reader(request)))
    page = sensors_page(stores, timezone.now())
    return render(request, "dashboard/sensors.html", {"stores": stores, "page": page})


@require_safe
@login_required
@never_cache
def store(request: HttpRequest, organisation: str, store: str) -> HttpResponse:
    stores = list(visible_stores(reader(request)))
    wanted = [s for s in stores if s.organisation.slug == organisation and s.slug == store]
    if not wanted:
        raise Http404
    fragment = store_fragment(wanted[0], wanted[0].version)
    return render(
        request, "dashboard/store.html", {"stores": stores, "store": wanted[0], "fragment": fragment}
    )


@require_safe
@never_cache
def snapshot(request: HttpRequest, organisation: str, store: str) -> HttpResponse:
    """The part of a store's page that changes."""
    if not request.user.is_authenticated:
        return signed_out()
    wanted = get_store(request, organisation, store)
    return HttpResponse(store_fragment(wanted, wanted.version))


@require_safe
@never_cache
def trend(request: HttpRequest, organisation: str, store: str) -> HttpResponse:
    """The last weeks of a store."""
    if not request.user.is_authenticated:
        return signed_out()
    return HttpResponse(trend_fragment(get_store(request, organisation, store)))


def get_store(request: HttpRequest, organisation: str, store: str) -> VersionedStore:
    found = find_visible_store(reader(request), organisation, store)
    if found is None:
        raise Http404
    return found


def signed_out() -> HttpResponse:
    """A fragment is never answered with the login page, which would land in the middle of a page."""
    return HttpResponse("Your session has ended. Sign in again.", status=401, content_type="text/plain")


def broken(request: HttpRequest) -> HttpResponse:
    """What is shown after an exception: 503 if the database did not do its part, which no view is at fault for."""
    if not is_outage(sys.exc_info()[1]):
        return server_error(request)
    response = render(request, "503.html", status=503)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def cards(stores: Iterable[VersionedStore]) -> list[str]:
    return [card_fragment(store, store.version) for store in stores]
