"""What a device fetches from the backend; what it sends goes to the gateway of ingest.

===================================  ============================================================
``GET /device/v1/scene``             the newest scene of the sensor whose token is presented
``GET /device/v1/scene?sensor=s-…``  that of a sensor of the store whose gateway's token is presented
===================================  ============================================================
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from sensorapp import wire
from sensorapp.accounts import secrets
from sensorapp.fleet.models import Gateway, SceneVersion, Sensor
from sensorapp.outage import OUTAGES, RETRY_AFTER_SECONDS, is_outage

View = Callable[[HttpRequest], HttpResponse]


class RefusedError(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(title)
        self.status = status
        self.problem = wire.Problem(title, detail)

    def response(self) -> HttpResponse:
        response = HttpResponse(wire.encode(self.problem), wire.JSON, self.status)
        if self.status == 401:
            response["WWW-Authenticate"] = "Bearer"
        if self.status == 503:
            response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response


def for_machines(view: View) -> View:
    """Let whatever is refused, and a database that is away, be told as a :class:`sensorapp.wire.Problem`."""

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except RefusedError as refused:
            return refused.response()
        except OUTAGES as error:
            if not is_outage(error):
                raise
            return RefusedError(503, "The database is not available.", "Ask again later.").response()

    return answer


@require_safe
@for_machines
def scene(request: HttpRequest) -> HttpResponse:
    """A :class:`sensorapp.wire.Scene` as JSON, or as MessagePack where ``Accept`` prefers it.

    404 while none is published; 304 where ``If-None-Match`` names it. The ETag is made of the version and
    the media type: a published version never changes.
    """
    sensor = find_sensor(request)
    if sensor.scene_version == 0:
        raise RefusedError(404, f"{sensor.public_id} has no scene yet.", "Publish one, then ask again.")
    media_type = request.get_preferred_type([wire.JSON, wire.MSGPACK])
    if media_type is None:
        raise RefusedError(406, "The scene cannot be sent so.", f"Accept {wire.JSON} or {wire.MSGPACK}.")
    return scene_response(request, sensor, media_type)


def scene_response(request: HttpRequest, sensor: Sensor, media_type: str) -> HttpResponse:
    etag = f'"{sensor.scene_version}-{media_type.removeprefix("application/")}"'
    response = get_conditional_response(request, etag)
    if response is None:
        newest = SceneVersion.objects.get(sensor=sensor, version=sensor.scene_version)
        document = wire.convert(newest.document, wire.Scene)
        response = HttpResponse(wire.encode(document, media_type), content_type=media_type)
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ["Accept", "Authorization"])
    assert isinstance(response, HttpResponse)
    return response


def find_sensor(request: HttpRequest) -> Sensor:
    """The sensor of which a scene is asked for: that of the token, or another that its gateway carries."""
    device = find_device(request)
    wanted = request.GET.get("sensor")
    if isinstance(device, Sensor) and wanted in (None, device.public_id):
        return device
    if wanted is None:
        detail = "Say which sensor's scene is asked for, as ?sensor=s-…, or ask with the sensor's own token."
        raise RefusedError(400, f"{device.public_id} is a gateway and has no scene.", detail)
    found = None
    if isinstance(device, Gateway) and wanted.isprintable():  # what is not can be no text of PostgreSQL's
        found = Sensor.objects.filter(public_id=wanted, store=device.store_id).first()
    if found is None:
        detail = "Ask with that sensor's own token, or that of a gateway of its store."
        raise RefusedError(403, f"The token of {device.public_id} does not cover this sensor.", detail)
    check_active(found)
    return found


def find_device(request: HttpRequest) -> Sensor | Gateway:
    """The sensor or gateway whose token the request bears."""
    borne = secrets.bearer(request.headers.get("Authorization", ""))
    if borne is None:
        raise RefusedError(401, "No token.", "Send the header Authorization: Bearer <token>.")
    public_id, digest = borne
    kind: type[Sensor] | type[Gateway] = Gateway if public_id.startswith("g-") else Sensor
    device = kind.objects.filter(public_id=public_id).first()
    if device is None or not secrets.matches(bytes(device.digest), digest):
        raise RefusedError(401, "The token is not known.", "Enrol the sensor or replace its token.")
    check_active(device)
    return device


def check_active(device: Sensor | Gateway) -> None:
    if device.revoked_at is not None:
        raise RefusedError(403, f"{device.public_id} is revoked.", "Enrol it again.")
