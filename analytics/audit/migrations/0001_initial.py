from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = [
        ("fleet", "0001_initial"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ManualCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("begins", models.DateTimeField()),
                ("ends", models.DateTimeField()),
                ("entries", models.PositiveIntegerField(null=True)),
                ("exits", models.PositiveIntegerField(null=True)),
                ("forward", models.PositiveIntegerField(null=True)),
                ("backward", models.PositiveIntegerField(null=True)),
                ("counted_by", models.CharField(max_length=80)),
                ("recorded_at", models.DateTimeField(auto_now_add=True)),
                (
                    "entrance",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="manual_counts",
                        to="fleet.entrance",
                    ),
                ),
                (
                    "line",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="manual_counts",
                        to="fleet.channel",
                    ),
                ),
                (
                    "store",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="manual_counts",
                        to="fleet.store",
                    ),
                ),
            ],
            options={
                "ordering": ["begins", "pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("begins__lt", models.F("ends"))), name="manual_count_takes_time"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("entrance__isnull", True),
                                ("line__isnull", False),
                                ("entries__isnull", True),
                                ("exits__isnull", True),
                                models.Q(
                                    ("backward__isnull", True), ("forward__isnull", True), _negated=True
                                ),
                            ),
                            models.Q(
                                ("line__isnull", True),
                                ("backward__isnull", True),
                                ("forward__isnull", True),
                                models.Q(("entries__isnull", True), ("exits__isnull", True), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="manual_count_suits_its_place",
                    ),
                    models.UniqueConstraint(
                        fields=("store", "entrance", "line", "begins", "ends", "counted_by"),
                        name="manual_count_once",
                        nulls_distinct=False,
                    ),
                ],
            },
        ),
    ]
