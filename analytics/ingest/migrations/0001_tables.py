from typing import ClassVar

from django.db import migrations

TABLES = """
CREATE TABLE ingest_batch (
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
    PRIMARY KEY (organisation_id, sensor_id, epoch, first_seq, received_at)
) PARTITION BY RANGE (received_at);

CREATE TABLE ingest_cursor (
    sensor_id bigint PRIMARY KEY,
    epoch bigint NOT NULL,
    next_seq bigint NOT NULL,
    received_at timestamptz NOT NULL,
    newest_at timestamptz NOT NULL,
    heartbeat_ms integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE ingest_gauge (
    channel_id bigint PRIMARY KEY,
    kind smallint NOT NULL,
    value integer NOT NULL,
    at bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE ingest_rejection (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sensor_id bigint NOT NULL,
    epoch bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    path text NOT NULL,
    reason text NOT NULL,
    received_at timestamptz NOT NULL
);

-- The free third of each page lets an update stay on its page and leave the index alone (HOT).
CREATE TABLE ingest_bucket (
    organisation_id bigint NOT NULL,
    store_id bigint NOT NULL,
    channel_id bigint NOT NULL,
    metric smallint NOT NULL,
    start timestamptz NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (organisation_id, store_id, channel_id, metric, start)
) WITH (fillfactor = 70);
CREATE INDEX ingest_bucket_by_time ON ingest_bucket (store_id, metric, start);

CREATE TABLE ingest_store_version (
    store_id bigint PRIMARY KEY,
    version bigint NOT NULL
) WITH (fillfactor = 50);
"""

DROP = """
DROP TABLE ingest_batch, ingest_cursor, ingest_gauge, ingest_rejection, ingest_bucket, ingest_store_version;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [migrations.RunSQL(TABLES, DROP)]
