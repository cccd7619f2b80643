"""What Celery does for ingest."""

from __future__ import annotations

from typing import cast

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone
from psycopg import Connection

from analytics.ingest import check, partitions, retention, silence


@shared_task
def create_partitions() -> None:
    with connection.cursor() as cursor:
        partitions.create_partitions_ahead(cursor)


@shared_task
def drop_partitions() -> None:
    retention.drop_expired(database(), timezone.now(), settings.INGEST_RETENTION_DAYS)


@shared_task
def expire_set_aside() -> None:
    retention.expire_set_aside(database(), timezone.now(), settings.INGEST_RETENTION_DAYS)


@shared_task
def check_buckets() -> None:
    check.check_buckets(database(), timezone.now())


def database() -> Connection:
    """Django's connection as psycopg's, outside of a transaction."""
    connection.ensure_connection()
    return cast(Connection, connection.connection)


@shared_task
def notice_silent_sensors() -> None:
    silence.notice_silent_sensors(timezone.now())


@shared_task
def forget_rejections() -> None:
    """Rejections are for finding faults, and a fault that nobody looked at for so long is none."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_rejection WHERE received_at < now() - interval '90 days'")
