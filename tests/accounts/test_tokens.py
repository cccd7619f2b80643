"""API tokens: who may make and revoke them, and what they open."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import CommandError, call_command

from sensorapp.accounts.models import ApiToken, AuditEntry
from sensorapp.accounts.tokens import create_api_token, find_api_token, revoke_api_token
from sensorapp.fleet.models import Store
from tests.cast import Cast, build_cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return build_cast()


def may(person: str, cast: Cast, stores: list[str] | None) -> bool:
    try:
        create_api_token(cast.chain, "report", stores, actor=cast.people[person])
    except (PermissionDenied, ValidationError):
        return False
    return True


def test_whoever_makes_a_token_sees_what_it_opens(cast: Cast) -> None:
    asked: dict[str, list[str] | None] = {
        "hamburg": ["hamburg"],
        "pune": ["pune"],
        "sydney": ["sydney"],
        "all": None,
    }
    allowed = {
        person: {name for name, stores in asked.items() if may(person, cast, stores)}
        for person in cast.people
    }
    assert allowed == {
        "manager": {"hamburg"},
        "other manager": {"pune"},
        "administrator": {"hamburg", "pune", "all"},
        "analyst": {"hamburg", "pune", "all"},
        "owner": {"hamburg", "pune", "all"},
        "stranger": set(),
    }
    assert ApiToken.objects.count() == 11
    assert AuditEntry.objects.filter(verb="created API token").count() == 11


def test_a_token_opens_its_stores(cast: Cast) -> None:
    opened = {
        "hamburg": create_api_token(cast.chain, "one", ["hamburg"])[0],
        "chain": create_api_token(cast.chain, "all", None)[0],
        "other chain": create_api_token(cast.other_chain, "all", None)[0],
    }
    assert {name: set(Store.objects.visible_to_token(token)) for name, token in opened.items()} == {
        "hamburg": {cast.store},
        "chain": {cast.store, cast.other_store},
        "other chain": {cast.foreign_store},
    }


def test_only_the_digest_is_kept(cast: Cast) -> None:
    token, bearer = create_api_token(cast.chain, "report", None, may_record_counts=True, actor=cast.owner)
    public_id, _, secret = bearer.partition(".")
    assert (public_id, token.name, token.created_by) == (token.public_id, "report", cast.owner)
    assert public_id.startswith("t-")
    assert secret.encode() not in bytes(token.digest)
    assert find_api_token(bearer) == token
    assert [find_api_token(wrong) for wrong in ("", public_id, f"{public_id}.x", f"t-x.{secret}")] == [
        None
    ] * 4
    entry = AuditEntry.objects.get(subject_type="accounts.apitoken")
    assert (entry.actor, entry.verb, entry.subject_id) == (cast.owner, "created API token", token.pk)
    assert entry.detail == {"stores": "all", "may_record_counts": True}


@pytest.mark.parametrize(
    ("name", "stores", "field"),
    [("", None, "name"), ("x" * 81, None, "name"), ("x", [], "stores"), ("x", ["no"], "stores")],
)
def test_what_is_refused_is_named(cast: Cast, name: str, stores: list[str] | None, field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        create_api_token(cast.chain, name, stores)
    assert list(refused.value.message_dict) == [field]
    assert not ApiToken.objects.exists()


def test_its_maker_and_administrators_revoke_a_token(cast: Cast) -> None:
    revoked = {}
    for name, person in cast.people.items():
        token, bearer = create_api_token(cast.chain, "report", ["hamburg"], actor=cast.manager)
        try:
            revoke_api_token(token, person)
        except PermissionDenied:
            assert find_api_token(bearer).revoked_at is None  # type: ignore[union-attr]
        else:
            revoked[name] = find_api_token(bearer).revoked_at is not None  # type: ignore[union-attr]
    assert revoked == {"manager": True, "administrator": True, "owner": True}
    assert AuditEntry.objects.filter(verb="revoked API token").count() == 3


def test_revoking_again_changes_nothing(cast: Cast) -> None:
    token, _ = create_api_token(cast.chain, "report", None)
    revoke_api_token(token)
    at = token.revoked_at
    revoke_api_token(token)
    assert token.revoked_at == at
    assert AuditEntry.objects.filter(verb="revoked API token").count() == 1


def test_the_command_prints_a_token_that_works(cast: Cast) -> None:
    out = StringIO()
    call_command(
        "create_api_token", "nordlicht", "warehouse", "--store", "pune", "--may-record-counts", stdout=out
    )
    token = find_api_token(out.getvalue().strip())
    assert token is not None
    assert (token.name, token.may_record_counts, token.all_stores) == ("warehouse", True, False)
    assert set(Store.objects.visible_to_token(token)) == {cast.other_store}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody", "x", "--all-stores"], "organisation: nobody is not known; choose from: nordlicht, sunrise"),
        (["nordlicht", "x", "--store", "sydney"], "stores: Nordlicht has no store sydney that you may see; correct the name"),
    ],
)  # fmt: skip
def test_the_command_says_what_is_wrong(cast: Cast, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("create_api_token", *arguments)
    assert str(refused.value) == sentence
