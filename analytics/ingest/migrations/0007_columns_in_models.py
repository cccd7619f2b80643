from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """The tables have these columns since 0004; the models, which Django does not manage, follow."""

    dependencies: ClassVar = [("ingest", "0006_bucket_fillfactor")]
    operations: ClassVar = [
        migrations.AddField("batch", "released", models.BooleanField(default=False)),
        migrations.AddField("cursor", "skew_ms", models.BigIntegerField(null=True)),
    ]
