from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final, LiteralString

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from psycopg import Connection, sql

from analytics.ingest.packed import pack
from analytics.ingest.partitions import create_partitions
from analytics.ingest.table import join
from sensorapp.columns import columns

AT_ONCE: Final = 500
PARTITIONS: LiteralString = """
SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ingest_batch'::regclass ORDER BY 1
"""
# Wide columns first, so that nothing is lost to alignment. Events are packed already: trying to compress them again
# would be in vain. The index is not unique, as over partitions it could not be: the cursor sees to it.
TABLES: LiteralString = """
ALTER TABLE ingest_batch RENAME TO ingest_batch_arrays;
ALTER TABLE ingest_set_aside RENAME TO ingest_set_aside_arrays;
DROP INDEX ingest_batch_released;
ALTER INDEX ingest_set_aside_pkey RENAME TO ingest_set_aside_arrays_pkey;
CREATE TABLE ingest_batch (
    organisation_id bigint NOT NULL,
    sensor_id bigint NOT NULL,
    epoch bigint NOT NULL,
    first_seq bigint NOT NULL,
    received_at timestamptz NOT NULL,
    first_at bigint NOT NULL,
    config integer NOT NULL,
    event_count smallint NOT NULL,
    released boolean NOT NULL DEFAULT false,
    model bytea NOT NULL,
    events bytea STORAGE EXTERNAL NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX ingest_batch_by_sensor ON ingest_batch (sensor_id, epoch, first_seq);
-- Few batches ever are; without it, finding them would mean reading all of a sensor's.
CREATE INDEX ingest_batch_released ON ingest_batch (organisation_id, sensor_id) WHERE released;
CREATE TABLE ingest_set_aside (LIKE ingest_batch INCLUDING STORAGE);
ALTER TABLE ingest_set_aside DROP COLUMN released, ADD PRIMARY KEY (organisation_id, sensor_id, epoch, first_seq);
"""
SAME: Final = ("organisation_id", "sensor_id", "epoch", "first_seq", "received_at", "config", "model")
ARRAYS: Final = ("kind", "at", "channel", "value", "extra")
PACKED: Final = ("first_at", "event_count", "events")


def pack_events(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    pack_all(schema_editor.connection.connection)


def pack_all(connection: Connection) -> None:
    partitions = [name for (name,) in connection.execute(PARTITIONS).fetchall()]
    connection.execute(TABLES)
    for name in partitions:
        old = name.replace("ingest_batch", "ingest_batch_arrays")
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(names(name), names(old)))
        day = datetime.strptime(name[-8:], "%Y%m%d").date()
        create_partitions(connection, day, day)
        move(connection, old, "ingest_batch", (*SAME, "released"))
    move(connection, "ingest_set_aside_arrays", "ingest_set_aside", SAME)
    connection.execute("DROP TABLE ingest_batch_arrays, ingest_set_aside_arrays")


def move(connection: Connection, source: str, target: str, same: Sequence[str]) -> None:
    read = sql.SQL("SELECT {} FROM {}").format(names(*ARRAYS, *same), names(source))
    write = sql.SQL("COPY {} ({}) FROM STDIN").format(names(target), names(*PACKED, *same))
    with connection.cursor(name="packing") as reader, connection.cursor() as writer:
        reader.execute(read)
        while rows := reader.fetchmany(AT_ONCE):
            batches = [columns(*row[: len(ARRAYS)]) for row in rows]
            with writer.copy(write) as copy:
                for row, batch, events in zip(rows, batches, pack(join(batches)), strict=True):
                    copy.write_row((int(batch.at[0]), len(batch), events, *row[len(ARRAYS) :]))


def names(*all_names: str) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, all_names))


class Migration(migrations.Migration):
    """Batches keep their events in one column, to the byte as in :mod:`analytics.ingest.packed`, rather than as arrays."""

    dependencies: ClassVar = [("ingest", "0010_rejections_know_times")]
    operations: ClassVar = [
        migrations.RunPython(pack_events),
        *(migrations.RemoveField("batch", name) for name in ("kind", "at", "channel", "value", "extra")),
        migrations.AddField("batch", "first_at", models.BigIntegerField(default=0), preserve_default=False),
        migrations.AddField(
            "batch", "event_count", models.SmallIntegerField(default=0), preserve_default=False
        ),
        migrations.AddField("batch", "events", models.BinaryField(default=b""), preserve_default=False),
    ]
