"""What surrounds the pages: the login, error pages, headers."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views import defaults
from django.views.csrf import csrf_failure

from dashboard.views import broken
from tests.cast import PASSWORD
from tests.dashboard.site import Shop, words

Answer = Callable[[HttpRequest], HttpResponse]

ACCOUNT_PAGES = [
    "account_change_password",
    "account_logout",
    "mfa_index",
    "mfa_activate_totp",
    "account_reauthenticate",
]


def test_logging_in_leads_to_the_store(shop: Shop) -> None:
    client = Client()
    form = {"login": shop.cast.manager.email, "password": PASSWORD}
    answer = client.post(reverse("account_login"), form, follow=True)
    assert answer.redirect_chain == [("/", 302), ("/nordlicht/hamburg/", 302)]


def test_a_wrong_password_is_said_in_the_form(shop: Shop) -> None:
    form = {"login": shop.cast.manager.email, "password": "wrong"}
    page = Client().post(reverse("account_login"), form)
    assert re.search(r'role="alert"><p>[^<]*password[^<]*not correct', page.text)


@pytest.mark.parametrize("name", ["account_login", "account_reset_password", "account_signup"])
def test_pages_before_signing_in_are_ours(name: str, db: None) -> None:
    page = Client().get(reverse(name)).text
    assert 'class="entrance"' in page
    assert page.count("<h1>") == 1


def test_nobody_can_sign_up(db: None) -> None:
    page = Client().get(reverse("account_signup"))
    assert "Accounts are made by invitation." in page.text
    assert "<form" not in page.text


@pytest.mark.parametrize("name", ACCOUNT_PAGES)
def test_account_pages_are_ours(shop: Shop, name: str) -> None:
    client = Client()
    client.force_login(shop.cast.manager)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    page = client.get(reverse(name)).text
    assert "dashboard/base.css" in page
    assert len(re.findall(r"<h1[ >]", page)) == 1


def after(error: Exception, request: HttpRequest) -> HttpResponse:
    """What is shown after an error in a view."""
    try:
        raise error
    except Exception:
        return broken(request)


@pytest.mark.parametrize(
    ("answer", "status", "heading"),
    [
        (lambda request: defaults.bad_request(request, Exception()), 400, "This request cannot be read"),
        (
            lambda request: defaults.permission_denied(request, Exception()),
            403,
            "This is not for you to see",
        ),
        (lambda request: csrf_failure(request), 403, "This form has expired"),
        (lambda request: defaults.page_not_found(request, Exception()), 404, "There is no such page"),
        (lambda request: after(ValueError(), request), 500, "Something broke on our side"),
        (lambda request: after(OperationalError(), request), 503, "The database is not available"),
    ],
)
def test_errors_name_the_fault_and_the_remedy(answer: Answer, status: int, heading: str) -> None:
    page = answer(RequestFactory().get("/"))
    assert page.status_code == status
    assert heading in words(page.text)
    assert 'role="button"' in page.text


def test_pages_run_no_code_but_ours(shop: Shop) -> None:
    client = Client()
    client.force_login(shop.cast.manager)
    page = client.get(shop.store.get_absolute_url())
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
    scripts = re.findall(r"<script([^>]*)>", page.text)
    assert all("src=" in script or 'type="application/json"' in script for script in scripts)
    assert not re.search(r"<style|\son\w+=|javascript:|https?://", page.text)


def test_pages_are_not_kept_by_caches_in_between(shop: Shop) -> None:
    client = Client()
    client.force_login(shop.cast.manager)
    for page in ("", "snapshot/", "trend/"):
        answer = client.get(f"{shop.store.get_absolute_url()}{page}")
        assert "no-store" in answer.headers["cache-control"]
        assert "private" in answer.headers["cache-control"]
