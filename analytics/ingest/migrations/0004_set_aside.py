from typing import ClassVar

from django.db import migrations

# As a batch is kept, with the time of receipt at which its events lay ahead.
SET_ASIDE = """
CREATE TABLE ingest_set_aside (
    organisation_id bigint NOT NULL,
    sensor_id bigint NOT NULL,
    epoch bigint NOT NULL,
    first_seq bigint NOT NULL,
    received_at timestamptz NOT NULL,
    config integer NOT NULL,
    model bytea NOT NULL,
    kind smallint[] NOT NULL,
    at bigint[] NOT NULL,
    channel integer[] NOT NULL,
    value integer[] NOT NULL,
    extra integer[] NOT NULL,
    PRIMARY KEY (organisation_id, sensor_id, epoch, first_seq)
);
ALTER TABLE ingest_batch ADD COLUMN released boolean NOT NULL DEFAULT false;
ALTER TABLE ingest_cursor ADD COLUMN skew_ms bigint;
"""
DROP = """
ALTER TABLE ingest_cursor DROP COLUMN skew_ms;
ALTER TABLE ingest_batch DROP COLUMN released;
DROP TABLE ingest_set_aside;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ingest", "0003_state")]
    operations: ClassVar = [migrations.RunSQL(SET_ASIDE, DROP)]
