"""Manual counts."""

from __future__ import annotations

from typing import Final, Literal, get_args

from django.db import models
from django.db.models import F, Q

from sensorapp.accounts.models import User
from sensorapp.fleet.models import Channel, Entrance, Store

Direction = Literal["entries", "exits", "forward", "backward"]
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
AT_ENTRANCES: Final[tuple[Direction, ...]] = ("entries", "exits")
AT_A_LINE: Final[tuple[Direction, ...]] = ("forward", "backward")


def none_of(names: tuple[Direction, ...]) -> Q:
    return Q(**{f"{name}__isnull": True for name in names})


class ManualCountQuerySet(models.QuerySet["ManualCount"]):
    def visible_to(self, user: User) -> ManualCountQuerySet:
        return self.filter(store__in=Store.objects.visible_to(user))


class ManualCount(models.Model):
    """How many people a person saw pass from ``begins`` until before ``ends``.

    At a line: ``forward`` and ``backward``. At an entrance, or at all of the store's where neither is
    named: ``entries`` and ``exits``. None is a direction that was not counted.
    """

    store = models.ForeignKey(Store, models.CASCADE, related_name="manual_counts")
    entrance = models.ForeignKey(Entrance, models.RESTRICT, null=True, related_name="manual_counts")
    line = models.ForeignKey(Channel, models.RESTRICT, null=True, related_name="manual_counts")
    begins = models.DateTimeField()
    ends = models.DateTimeField()
    entries = models.PositiveIntegerField(null=True)
    exits = models.PositiveIntegerField(null=True)
    forward = models.PositiveIntegerField(null=True)
    backward = models.PositiveIntegerField(null=True)
    counted_by = models.CharField(max_length=80)
    recorded_at = models.DateTimeField(auto_now_add=True)

    objects = ManualCountQuerySet.as_manager()

    class Meta:
        ordering = ["begins", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(begins__lt=F("ends")), name="manual_count_takes_time"),
            models.CheckConstraint(
                condition=Q(line__isnull=False, entrance__isnull=True)
                & none_of(AT_ENTRANCES)
                & ~none_of(AT_A_LINE)
                | Q(line__isnull=True) & none_of(AT_A_LINE) & ~none_of(AT_ENTRANCES),
                name="manual_count_suits_its_place",
            ),
            # A request that is sent again must not weigh twice.
            models.UniqueConstraint(
                fields=["store", "entrance", "line", "begins", "ends", "counted_by"],
                name="manual_count_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.store} {self.begins:%Y-%m-%d %H:%M} to {self.ends:%H:%M} UTC by {self.counted_by}"

    @property
    def counted(self) -> dict[Direction, int]:
        """What was counted, by direction."""
        values: dict[Direction, int | None] = {name: getattr(self, name) for name in DIRECTIONS}
        return {name: value for name, value in values.items() if value is not None}
