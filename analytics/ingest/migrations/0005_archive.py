from typing import ClassVar

from django.db import migrations

TABLES = """
CREATE TABLE ingest_archive_start (
    sensor_id bigint PRIMARY KEY,
    epoch bigint NOT NULL,
    next_seq bigint NOT NULL,
    newest_at bigint NOT NULL,
    heartbeat_ms integer NOT NULL,
    channel bigint[] NOT NULL,
    kind smallint[] NOT NULL,
    value integer[] NOT NULL,
    at bigint[] NOT NULL
);

-- Few batches ever are; without it, finding them would mean reading all of a sensor's.
CREATE INDEX ingest_batch_released ON ingest_batch (organisation_id, sensor_id) WHERE released;

CREATE TABLE ingest_check (
    checked_at timestamptz PRIMARY KEY,
    sensors integer NOT NULL,
    buckets bigint NOT NULL,
    differing bigint NOT NULL
);
"""

DROP = """
DROP INDEX ingest_batch_released;
DROP TABLE ingest_archive_start, ingest_check;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ingest", "0004_set_aside")]
    operations: ClassVar = [migrations.RunSQL(TABLES, DROP)]
