"""All addresses that Django serves. Those below /ingest/ belong to the gateway in front of it."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("", include("dashboard.urls")),
]
