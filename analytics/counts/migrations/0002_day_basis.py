from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("counts", "0001_initial")]
    operations: ClassVar = [
        migrations.RemoveField("day", "stale"),
        # An empty basis is nobody's, so days closed before are summed again.
        migrations.AddField(
            "day", "basis", models.CharField(default="", max_length=16), preserve_default=False
        ),
        migrations.AlterField("day", "entries", models.BigIntegerField(null=True)),
        migrations.AlterField("day", "exits", models.BigIntegerField(null=True)),
    ]
