"""Pages."""

from django.urls import path

from dashboard import views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("<slug:organisation>/<slug:store>/", views.store, name="store"),
]
