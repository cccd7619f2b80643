"""The Celery application. A task is only a nudge: what must not be lost is a row."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")

app = Celery("sensorapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["analytics.ingest", "analytics.counts"])
