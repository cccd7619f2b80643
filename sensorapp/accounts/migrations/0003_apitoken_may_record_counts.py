from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0002_initial")]
    operations: ClassVar = [
        migrations.AddField("apitoken", "may_record_counts", models.BooleanField(default=False)),
    ]
