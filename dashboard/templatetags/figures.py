"""How numbers, shares and times are written. What is not known is written as a dash, never as zero."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sensorapp.durations import written

register = template.Library()

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
YEAR = timedelta(days=365.25)
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
SPACE = "\N{NO-BREAK SPACE}"
UNKNOWN = SafeString(
    f'<span class="unknown" title="not known">{DASH}<span class="sr"> not known</span></span>'
)


@register.filter
def count(value: int | None) -> str:
    """1234 → 1,234"""
    return UNKNOWN if value is None else number_format(value, force_grouping=True)


@register.filter
def difference(value: int) -> str:
    """12 → +12, 0 → ±0, and a minus sign instead of a hyphen."""
    sign = "+" if value > 0 else MINUS if value < 0 else "±"
    return sign + number_format(abs(value), force_grouping=True)


@register.filter
def change(ratio: float) -> str:
    """0.118 → +12 %"""
    return f"{difference(round(ratio * 100))}{NARROW_SPACE}%"


@register.filter
def share(value: float | None) -> str:
    """0.983 → 98 %. Rounded down, so that 100 % means all of it and 0 % means nothing."""
    if value is None:
        return UNKNOWN
    if 0 < value < 0.01:
        return f"<{NARROW_SPACE}1{NARROW_SPACE}%"
    # A sum of many small parts may miss the whole by a rounding error.
    return f"{math.floor(value * 100 + 1e-9)}{NARROW_SPACE}%"


@register.filter
def duration(seconds: float | None) -> str:
    """8.44 → 8.4 s, 84 → 1 min 24 s, 7500 → 2 h 5 min"""
    if seconds is None:
        return UNKNOWN
    if seconds < 9.95:
        return f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}{SPACE}s"
    hours, minutes = divmod(minutes, 60) if minutes >= 60 else (0, minutes)
    if hours == 0:
        return f"{minutes}{SPACE}min" + (f" {rest}{SPACE}s" if rest else "")
    return f"{hours}{SPACE}h" + (f" {minutes}{SPACE}min" if minutes else "")


def age_text(age: timedelta) -> str:
    """The same words as ``ageText`` in ages.js, which keeps them up to date."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return f"less than 1{SPACE}min"
    if minutes < 60:
        return f"{minutes}{SPACE}min"
    if minutes < 48 * 60:
        return f"{minutes // 60}{SPACE}h"
    return f"{minutes // (24 * 60)}{SPACE}days"


@register.filter
def age(moment: datetime, at: datetime) -> str:
    """How long before ``at`` something was, as an element that the page keeps up to date."""
    return format_html(
        '<time datetime="{}" data-age>{}</time>', moment.isoformat(timespec="seconds"), age_text(at - moment)
    )


@register.filter
def span(value: timedelta) -> str:
    """As commands write it, less what is zero: 2 h 30 min, 3 h, 1 d; from two years on in years."""
    if value >= 2 * YEAR:
        return f"{value / YEAR:.0f}{SPACE}years"
    return re.sub(r" 0 \w+$", "", written(value)).replace(" ", SPACE)


def way(skew: timedelta) -> str:
    return "ahead" if skew > timedelta(0) else "behind"


@register.filter
def clock_error(skew: timedelta) -> str:
    """How wrong a clock is, to the minute: 12 min ahead, 2 h 30 min behind"""
    minute = timedelta(minutes=1)
    return f"{span(round(abs(skew) / minute) * minute)} {way(skew)}"


@register.filter
def skew(value: timedelta | None) -> str:
    """The same of a clock that may well be right: 3.2 s behind, or just right"""
    if value is None:
        return UNKNOWN
    if abs(value) < timedelta(seconds=1):
        return "right"
    if abs(value) >= timedelta(minutes=1):
        return clock_error(value)
    return f"{duration(abs(value).total_seconds())} {way(value)}"


@register.filter
def moment(value: datetime, at: datetime) -> str:
    """Local time of day; with the date where that is not the day of ``at``."""
    local = timezone.localtime(value)
    today = timezone.localtime(at).date() == local.date()
    return date_format(local, "H:i" if today else "j M, H:i")
