"""What Celery does for ingest."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from analytics.ingest.partitions import create_partitions_ahead


@shared_task
def create_partitions() -> None:
    with connection.cursor() as cursor:
        create_partitions_ahead(cursor)
