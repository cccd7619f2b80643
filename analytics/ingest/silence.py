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

BEGIN: Final[LiteralString] = """
INSERT INTO fleet_silence (sensor_id, began_at, noticed_at)
SELECT sensor.id, cursor.received_at, %(now)s
FROM fleet_sensor sensor JOIN ingest_cursor cursor ON cursor.sensor_id = sensor.id
WHERE sensor.revoked_at IS NULL AND cursor.received_at < %(bound)s
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
        cursor.execute(BEGIN, {"now": now, "bound": now - silent_after()})
        return cursor.rowcount, ended
