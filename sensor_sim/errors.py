"""The one exception that a user of the sensor sees."""

from __future__ import annotations


class SensorError(Exception):
    """Something that the user can put right, said in one sentence that names the cause and the remedy."""
