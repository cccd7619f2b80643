"""What Celery does for counts."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from analytics.counts.closing import close_ended_days


@shared_task
def close_days() -> None:
    close_ended_days(timezone.now())
