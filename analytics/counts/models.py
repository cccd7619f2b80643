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

    ``begins`` and ``ends`` are the day's bounds in UTC. ``entries`` and ``exits`` are missing where nothing
    was observed. ``basis`` is a digest of the settings under which it was summed (opening hours, entrance
    lines, sensors on duty); a day whose basis is not the present one is outdated.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="days")
    date = models.DateField()
    begins = models.DateTimeField()
    ends = models.DateTimeField()
    entries = models.BigIntegerField(null=True)
    exits = models.BigIntegerField(null=True)
    observed_ms = models.BigIntegerField()
    expected_ms = models.BigIntegerField()
    closed_at = models.DateTimeField()
    basis = models.CharField(max_length=16)

    objects = DayQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["store", "date"], name="day_once")]

    def __str__(self) -> str:
        return f"{self.store} {self.date}"
