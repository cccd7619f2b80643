"""The server's front door: sensors go to the gateway, people to Django."""

from __future__ import annotations

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")

django = get_asgi_application()

from dashboard.live import websocket_urlpatterns  # noqa: E402  # needs Django's apps to be loaded

live = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))

application = ProtocolTypeRouter({"http": django, "websocket": live})
