"""The tables of ingest. They are written with SQL by :mod:`analytics.ingest.commit` and only read here.

References to stores, sensors and channels are plain numbers without foreign keys: the rows outlive what
they refer to, and the large tables can be distributed by organisation.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Batch(models.Model):
    """One batch as it was counted: the archive, from which everything else can be computed again.

    What its events are is to the byte in :mod:`analytics.ingest.packed`. Partitioned by the day of receipt (UTC).
    """

    pk = models.CompositePrimaryKey("organisation_id", "sensor_id", "epoch", "first_seq", "received_at")
    organisation_id = models.BigIntegerField()
    sensor_id = models.BigIntegerField()
    epoch = models.BigIntegerField()
    first_seq = models.BigIntegerField()
    received_at = models.DateTimeField()
    # The time of the first event, Unix ms.
    first_at = models.BigIntegerField()
    config = models.IntegerField()
    event_count = models.SmallIntegerField()
    # Set aside first, as its events lay ahead of the clock.
    released = models.BooleanField(default=False)
    model = models.BinaryField(max_length=8)
    events = models.BinaryField()

    class Meta:
        managed = False
        db_table = "ingest_batch"


class Cursor(models.Model):
    """How far a sensor has come: the next sequence number expected, and when it was last heard."""

    sensor_id = models.BigIntegerField(primary_key=True)
    epoch = models.BigIntegerField()
    next_seq = models.BigIntegerField()
    received_at = models.DateTimeField()
    # Time of its newest event; minus the time of receipt it shows the age of the data.
    newest_at = models.DateTimeField()
    # What its last heartbeat covered: how long a gauge holds between two signs of life.
    heartbeat_ms = models.IntegerField(default=0)
    # How far ahead its clock was when it last told; None if it never did.
    skew_ms = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "ingest_cursor"


class Gauge(models.Model):
    """The last known value of a zone or slot, and up to when it is integrated into the buckets."""

    channel_id = models.BigIntegerField(primary_key=True)
    # OCCUPANCY or SHELF of sensorapp.columns.
    kind = models.SmallIntegerField()
    value = models.IntegerField()
    at = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingest_gauge"


class Rejection(models.Model):
    """Events that never will be counted, and why: those of an invalid batch, or set aside and never released.

    ``path`` is the place in the upload that is wrong; empty for what was not released. ``at`` are the events' times
    (Unix ms) as sent, by which they are known when they come again; None where not known.
    """

    sensor_id = models.BigIntegerField()
    epoch = models.BigIntegerField()
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    path = models.TextField()
    reason = models.TextField()
    received_at = models.DateTimeField()
    at = ArrayField(models.BigIntegerField(null=True), null=True)

    class Meta:
        managed = False
        db_table = "ingest_rejection"


class Bucket(models.Model):
    """The value of one metric of one channel in one quarter of an hour (UTC)."""

    pk = models.CompositePrimaryKey("organisation_id", "store_id", "channel_id", "metric", "start")
    organisation_id = models.BigIntegerField()
    store_id = models.BigIntegerField()
    channel_id = models.BigIntegerField()
    metric = models.SmallIntegerField()
    start = models.DateTimeField()
    value = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingest_bucket"


class StoreVersion(models.Model):
    """Grows with every commit that changes a store's counts; a live page compares it with its own."""

    store_id = models.BigIntegerField(primary_key=True)
    version = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "ingest_store_version"
