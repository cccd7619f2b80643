"""Pages."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse


@login_required
def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@login_required
def store(request: HttpRequest, organisation: str, store: str) -> HttpResponse:
    return HttpResponse()
