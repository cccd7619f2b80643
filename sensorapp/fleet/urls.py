"""Addresses for sensors."""

from django.urls import path

from sensorapp.fleet import device_api

urlpatterns = [path("v1/scene", device_api.scene, name="device-scene")]
