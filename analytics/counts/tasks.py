"""What Celery does for counts."""

from __future__ import annotations

from celery import shared_task

from analytics.counts.closing import close_ended_days, database_now


@shared_task
def close_days() -> None:
    close_ended_days(database_now())
