"""Noticing sensors that fell silent, and those that came back."""

from __future__ import annotations

from datetime import datetime
from typing import Final, LiteralString

from django.db import connection, transaction

from sensorapp.fleet.health import silent_after

END: LiteralString = """
UPDATE fleet_silence silence
SET ended_at = CASE WHEN cursor.received_at > silence.began_at THEN cursor.received_at ELSE sensor.revoked_at END
FROM fleet_sensor sensor JOIN ingest_cursor cursor ON cursor.sensor_id = sensor.id
WHERE silence.sensor_id = sensor.id AND silence.ended_at IS NULL
  AND (cursor.received_at > silence.began_at OR sensor.revoked_at IS NOT NULL)
"""

NOT_HEARD_SINCE: Final[LiteralString] = """
SELECT sensor.id, cursor.received_at, cursor.heartbeat_ms
FROM fleet_sensor sensor JOIN ingest_cursor cursor ON cursor.sensor_id = sensor.id
WHERE sensor.revoked_at IS NULL AND cursor.received_at < %s
"""

BEGIN: Final[LiteralString] = """
INSERT INTO fleet_silence (sensor_id, began_at, noticed_at)
SELECT sensor_id, began_at, %s FROM unnest(%s::bigint[], %s::timestamptz[]) AS silent (sensor_id, began_at)
ON CONFLICT (sensor_id) WHERE ended_at IS NULL DO NOTHING
"""


@transaction.atomic
def notice_silent_sensors(now: datetime) -> tuple[int, int]:
    """End the silences of sensors heard again or revoked, then begin one for each that fell silent.

    Returns how many began and how many ended. A sensor never heard is not silent: it was not mounted yet.
    """
    with connection.cursor() as cursor:
        cursor.execute(END)
        ended = cursor.rowcount
        cursor.execute(NOT_HEARD_SINCE, [now - silent_after(heartbeat_ms=0)])
        silent = [
            (sensor, received_at)
            for sensor, received_at, heartbeat_ms in cursor.fetchall()
            if now - received_at > silent_after(heartbeat_ms)
        ]
        cursor.execute(BEGIN, [now, [sensor for sensor, _ in silent], [at for _, at in silent]])
        return cursor.rowcount, ended
