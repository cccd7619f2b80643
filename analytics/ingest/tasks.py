"""What Celery does for ingest."""

from __future__ import annotations

from celery import shared_task
from django.db import connection
from django.utils import timezone

from analytics.ingest import partitions, silence


@shared_task
def create_partitions() -> None:
    with connection.cursor() as cursor:
        partitions.create_partitions_ahead(cursor)


@shared_task
def notice_silent_sensors() -> None:
    silence.notice_silent_sensors(timezone.now())


@shared_task
def forget_rejections() -> None:
    """Rejections are for finding faults, and a fault that nobody looked at for so long is none."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_rejection WHERE received_at < now() - interval '90 days'")
