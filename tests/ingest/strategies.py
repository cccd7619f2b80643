"""Events as a sensor could send them."""

from __future__ import annotations

from hypothesis import strategies as st

from sensorapp import wire
from sensorapp.columns import CONFIDENCE_SCALE, STATES, TEMPERATURE_SCALE

MOMENTS = st.integers(946_684_800_000, 4_102_444_799_999)


def numbers(high: int = 9_999) -> st.SearchStrategy[int]:
    return st.integers(0, high)


def events(
    moments: st.SearchStrategy[int] = MOMENTS, channels: st.SearchStrategy[int] | None = None
) -> st.SearchStrategy[wire.Event]:
    channels = numbers() if channels is None else channels
    return st.one_of(
        st.builds(wire.Crossing, moments, channels, st.sampled_from(["forward", "backward"])),
        st.builds(wire.Visit, moments, channels, numbers(86_400_000)),
        st.builds(wire.Occupancy, moments, channels, numbers(10_000)),
        st.builds(
            wire.Shelf,
            moments,
            channels,
            numbers(10_000),
            numbers(CONFIDENCE_SCALE).map(lambda n: n / CONFIDENCE_SCALE),
        ),
        st.builds(
            wire.Heartbeat,
            moments,
            numbers(3_600_000),
            numbers(2**31 - 1),
            numbers(2**31 - 1),
            st.integers(-100 * TEMPERATURE_SCALE, 200 * TEMPERATURE_SCALE).map(
                lambda n: n / TEMPERATURE_SCALE
            ),
            numbers(2**31 - 1),
        ),
        st.builds(wire.Deployment, moments, numbers(2**31 - 1), st.sampled_from(STATES)),
    )
