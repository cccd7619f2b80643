"""Stores, sensors and their channels.

A channel is a number stream of a sensor: a line, a zone, a slot, or the device itself. Its row lives
for ever, whatever the scene becomes, so that counts keep their meaning.
"""

from __future__ import annotations

import zoneinfo
from datetime import tzinfo

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from sensorapp.accounts.models import ApiToken, Membership, Organisation, User


def validate_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"time zone: {name!r} is not known; use a name like Europe/Berlin")


class StoreQuerySet(models.QuerySet["Store"]):
    def visible_to(self, user: User) -> StoreQuerySet:
        memberships = Membership.objects.filter(user=user, organisation=models.OuterRef("organisation"))
        return self.filter(
            models.Exists(memberships.filter(all_stores=True))
            | models.Exists(memberships.filter(stores=models.OuterRef("pk")))
        )

    def visible_to_token(self, token: ApiToken) -> StoreQuerySet:
        own = self.filter(organisation=token.organisation_id)
        return own if token.all_stores else own.filter(api_tokens=token)


class Store(models.Model):
    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="stores")
    name = models.CharField(max_length=120)
    slug = models.SlugField()
    city = models.CharField(max_length=120, blank=True)
    country = models.CharField(max_length=2, blank=True)
    time_zone = models.CharField(max_length=64, validators=[validate_time_zone])
    # Lengths in metres, origin top left; see sensorapp.fleet.floor_plan.
    floor_plan = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StoreQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["organisation", "slug"], name="store_slug_once")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("dashboard:store", args=[self.organisation.slug, self.slug])

    @property
    def zone(self) -> tzinfo:
        return zoneinfo.ZoneInfo(self.time_zone)


class OpeningHours(models.Model):
    """A span of a weekday (0 is Monday) in which the store is open, in the store's local time."""

    store = models.ForeignKey(Store, models.CASCADE, related_name="opening_hours")
    weekday = models.PositiveSmallIntegerField()
    opens = models.TimeField()
    closes = models.TimeField()

    class Meta:
        ordering = ["weekday", "opens"]
        constraints = [
            models.CheckConstraint(condition=models.Q(weekday__lte=6), name="weekday_exists"),
            models.CheckConstraint(
                condition=models.Q(opens__lt=models.F("closes")), name="opens_before_closing"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.store} weekday {self.weekday}: {self.opens} to {self.closes}"


class Entrance(models.Model):
    store = models.ForeignKey(Store, models.CASCADE, related_name="entrances")
    name = models.CharField(max_length=80)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SensorQuerySet(models.QuerySet["Sensor"]):
    def visible_to(self, user: User) -> SensorQuerySet:
        return self.filter(store__in=Store.objects.visible_to(user))

    def active(self) -> SensorQuerySet:
        return self.filter(revoked_at__isnull=True)


class Sensor(models.Model):
    store = models.ForeignKey(Store, models.CASCADE, related_name="sensors")
    public_id = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=80)
    digest = models.BinaryField(max_length=32)
    # The version of its newest scene; 0 means that it has none yet.
    scene_version = models.PositiveIntegerField(default=0)
    # Where it hangs on the floor plan, in metres, and where it looks, in degrees clockwise from the right.
    x = models.FloatField(null=True, blank=True)
    y = models.FloatField(null=True, blank=True)
    heading = models.FloatField(null=True, blank=True)
    enrolled_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = SensorQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Gateway(models.Model):
    """A box in a store that carries the batches of the store's sensors under one token."""

    store = models.ForeignKey(Store, models.CASCADE, related_name="gateways")
    public_id = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=80)
    digest = models.BinaryField(max_length=32)
    enrolled_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class SceneVersion(models.Model):
    """A scene as published; ``document`` is a :class:`sensorapp.wire.Scene`."""

    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="scenes")
    version = models.PositiveIntegerField()
    document = models.JSONField()
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sensor", "version"], name="scene_version_once")]

    def __str__(self) -> str:
        return f"{self.sensor} scene {self.version}"


class ChannelKind(models.TextChoices):
    DEVICE = "device", "Sensor"
    LINE = "line", "Line"
    ZONE = "zone", "Zone"
    SLOT = "slot", "Slot"


class ChannelQuerySet(models.QuerySet["Channel"]):
    def visible_to(self, user: User) -> ChannelQuerySet:
        return self.filter(sensor__store__in=Store.objects.visible_to(user))


class Channel(models.Model):
    """A line, zone or slot of a sensor, or the sensor itself (number 0)."""

    FORWARD, BACKWARD = "forward", "backward"

    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="channels")
    kind = models.CharField(max_length=8, choices=ChannelKind.choices)
    number = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=80)
    # A line across an entrance counts towards the store's entries and exits; which way is in is a
    # setting, read when counts are read, so that correcting it corrects the past.
    entrance = models.ForeignKey(Entrance, models.SET_NULL, null=True, blank=True, related_name="lines")
    entry_direction = models.CharField(
        max_length=8, choices=[(FORWARD, "Forward"), (BACKWARD, "Backward")], default=FORWARD
    )
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["kind", "number"]
        constraints = [
            models.UniqueConstraint(fields=["sensor", "kind", "number"], name="channel_number_once"),
        ]

    def __str__(self) -> str:
        return self.name


AT_MOST_100 = [MinValueValidator(1), MaxValueValidator(100)]  # as in a scene's slots


class PlanogramPosition(models.Model):
    """What belongs into a slot: the product, its facings, and how many units fill it.

    ``deep`` is how many stand one behind another in a facing; the sensor is then told both, and an item in front
    tells it of those behind. Where units are stacked or the depth is not known, it is left out.
    """

    channel = models.OneToOneField(Channel, models.CASCADE, related_name="planogram")
    sku = models.CharField(max_length=40)
    product = models.CharField(max_length=120)
    facings = models.PositiveSmallIntegerField(validators=AT_MOST_100)
    deep = models.PositiveSmallIntegerField(null=True, blank=True, validators=AT_MOST_100)
    capacity = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(capacity__gte=1), name="planogram_capacity_positive")
        ]

    def __str__(self) -> str:
        return self.product

    def clean(self) -> None:
        if not (self.facings and self.deep and self.capacity):
            return  # left out, or told as what it is by the field itself
        if self.capacity > self.facings * self.deep:
            raise ValidationError(
                {
                    "capacity": f"{self.capacity} do not fit into {self.facings} facings, {self.deep} deep;"
                    " correct them, or leave deep out where units are stacked"
                }
            )


class SilenceQuerySet(models.QuerySet["Silence"]):
    def visible_to(self, user: User) -> SilenceQuerySet:
        return self.filter(sensor__store__in=Store.objects.visible_to(user))


class Silence(models.Model):
    """A time in which a sensor delivered nothing; open while ``ended_at`` is missing."""

    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="silences")
    began_at = models.DateTimeField()
    noticed_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = SilenceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sensor"], condition=models.Q(ended_at__isnull=True), name="one_open_silence"
            )
        ]

    def __str__(self) -> str:
        return f"{self.sensor} silent since {self.began_at:%Y-%m-%d %H:%M}"
