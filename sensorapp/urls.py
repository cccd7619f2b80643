"""All addresses that Django serves. Those below /ingest/ belong to the gateway in front of it."""

from django.urls import include, path

from analytics.export.api import api

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("api/v1/", api.urls),
    path("device/", include("sensorapp.fleet.urls")),
    path("", include("dashboard.urls")),
]

handler500 = "dashboard.views.broken"
