from typing import ClassVar

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from analytics.ingest.partitions import create_partitions_ahead

# Written once per commit and deleted by day closing, never updated: without a unique key, writers wait
# neither for each other nor for the reader.
LATE = """
CREATE TABLE ingest_late_bucket (
    store_id bigint NOT NULL,
    start timestamptz NOT NULL
);
CREATE INDEX ingest_late_bucket_by_store ON ingest_late_bucket (store_id);
"""


def create_partitions(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    with schema_editor.connection.cursor() as cursor:
        create_partitions_ahead(cursor)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ingest", "0001_tables")]
    operations: ClassVar = [
        migrations.RunPython(create_partitions, migrations.RunPython.noop),
        migrations.RunSQL(LATE, "DROP TABLE ingest_late_bucket"),
    ]
