"""The server's front door: sensors go to the gateway, people to Django."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")

application = get_asgi_application()
