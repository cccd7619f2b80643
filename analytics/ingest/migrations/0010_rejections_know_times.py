from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

# A sound event must not be taken for one that was refused under the same number.
ADD = "ALTER TABLE ingest_rejection ADD COLUMN at bigint[]"
DROP = "ALTER TABLE ingest_rejection DROP COLUMN at"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ingest", "0009_rejections_by_sensor")]
    operations: ClassVar = [
        migrations.RunSQL(
            ADD,
            DROP,
            state_operations=[
                migrations.AddField(
                    "rejection", "at", ArrayField(models.BigIntegerField(null=True), null=True)
                )
            ],
        )
    ]
