"""What is scheduled exists."""

from __future__ import annotations

from django.conf import settings

from sensorapp.celery import app


def test_every_scheduled_task_is_known_to_the_worker() -> None:
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled == {name for name in app.tasks if not name.startswith("celery.")}
