from typing import ClassVar

from django.db import migrations

TABLES = """
ALTER TABLE ingest_check ADD COLUMN day date;
UPDATE ingest_check SET day = (checked_at AT TIME ZONE 'UTC')::date - 1;
ALTER TABLE ingest_check ALTER COLUMN day SET NOT NULL;

CREATE TABLE ingest_differing (
    sensor_id bigint,
    day date,
    buckets integer NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (sensor_id, day)
);
"""
DROP = "ALTER TABLE ingest_check DROP COLUMN day; DROP TABLE ingest_differing"


class Migration(migrations.Migration):
    """A check says of which day it was, and what differed is remembered until it agrees."""

    dependencies: ClassVar = [("ingest", "0011_packed_events")]
    operations: ClassVar = [migrations.RunSQL(TABLES, DROP)]
