"""Closed days."""

from __future__ import annotations

from django.db import models

from sensorapp.accounts.models import User
from sensorapp.fleet.models import Store


class DayQuerySet(models.QuerySet["Day"]):
    def visible_to(self, user: User) -> DayQuerySet:
        return self.filter(store__in=Store.objects.visible_to(user))


class Day(models.Model):
    """A store's local day after it ended: its sums, kept so that years can be read at once.

    ``begins`` and ``ends`` are the day's bounds in UTC. A late event makes the day ``stale``; day closing
    then computes it again from the buckets.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="days")
    date = models.DateField()
    begins = models.DateTimeField()
    ends = models.DateTimeField()
    entries = models.BigIntegerField()
    exits = models.BigIntegerField()
    observed_ms = models.BigIntegerField()
    expected_ms = models.BigIntegerField()
    closed_at = models.DateTimeField()
    stale = models.BooleanField(default=False)

    objects = DayQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "date"], name="day_once")]

    def __str__(self) -> str:
        return f"{self.store} {self.date}"
