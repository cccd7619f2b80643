"""The one exception that a user of the sensor sees."""

from __future__ import annotations


class SensorError(Exception):
    """Something that the user can put right, said in one sentence that names the cause and the remedy."""

    def __init__(self, sentence: str) -> None:
        """Line breaks and other characters that a terminal would obey (names come from files) are escaped."""
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in sentence))
