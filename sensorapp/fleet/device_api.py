"""What a sensor fetches from the backend; what it sends goes to the gateway of ingest.

=========================  ==================================================================
``GET /device/v1/scene``   the newest scene of the sensor whose token is presented
=========================  ==================================================================
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from sensorapp import wire
from sensorapp.accounts import secrets
from sensorapp.fleet.models import SceneVersion, Sensor


@require_safe
def scene(request: HttpRequest) -> HttpResponse:
    """A :class:`sensorapp.wire.Scene` as JSON, or as MessagePack where ``Accept`` prefers it.

    404 while none is published; 304 where ``If-None-Match`` names it. The ETag is made of the version and
    the media type: a published version never changes.
    """
    sensor = find_sensor(request)
    if isinstance(sensor, HttpResponse):
        return sensor
    if sensor.scene_version == 0:
        return problem(404, f"{sensor.public_id} has no scene yet.", "Publish one, then ask again.")
    media_type = request.get_preferred_type([wire.JSON, wire.MSGPACK])
    if media_type is None:
        return problem(406, "The scene cannot be sent so.", f"Accept {wire.JSON} or {wire.MSGPACK}.")
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


def find_sensor(request: HttpRequest) -> Sensor | HttpResponse:
    """The sensor whose token the request bears, or the answer that refuses it."""
    borne = secrets.bearer(request.headers.get("Authorization", ""))
    if borne is None:
        return problem(401, "No token.", "Send the header Authorization: Bearer <token>.")
    public_id, digest = borne
    sensor = Sensor.objects.filter(public_id=public_id).first()
    if sensor is None or not secrets.matches(bytes(sensor.digest), digest):
        return problem(401, "The token is not known.", "Enrol the sensor or replace its token.")
    if sensor.revoked_at is not None:
        return problem(403, f"{public_id} is revoked.", "Enrol it again.")
    return sensor


def problem(status: int, title: str, detail: str) -> HttpResponse:
    response = HttpResponse(wire.encode(wire.Problem(title, detail)), wire.JSON, status)
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response
