"""Who calls: a program with an API token."""

from __future__ import annotations

from django.http import Http404, HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer

from sensorapp.accounts.models import ApiToken
from sensorapp.accounts.tokens import find_api_token
from sensorapp.fleet.models import Store


class Caller(HttpRequest):
    """A request that was let in; ninja keeps the token in ``auth``."""

    auth: ApiToken


class ApiTokenAuth(HttpBearer):
    """The header ``Authorization: Bearer <token>``."""

    def __call__(self, request: HttpRequest) -> ApiToken:
        token: ApiToken | None = super().__call__(request)
        if token is None:
            raise HttpError(
                401, "No token, or one that is not known; send the header Authorization: Bearer <token>."
            )
        return token

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        found = find_api_token(token.strip())
        if found and found.revoked_at:
            raise HttpError(403, f"The token {found.public_id} is revoked; ask for a new one.")
        return found


def store_of(request: Caller, slug: str) -> Store:
    store = Store.objects.visible_to_token(request.auth).filter(slug=slug).first()
    if store is None:
        raise Http404(f"There is no store {slug} that this token may read; GET /api/v1/stores lists those.")
    return store
