"""Pages."""

from django.urls import path

from dashboard import views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("cards/", views.store_cards, name="cards"),
    path("sensors/", views.sensors, name="sensors"),
    path("<slug:organisation>/<slug:store>/", views.store, name="store"),
    path("<slug:organisation>/<slug:store>/snapshot/", views.snapshot, name="snapshot"),
    path("<slug:organisation>/<slug:store>/trend/", views.trend, name="trend"),
]
