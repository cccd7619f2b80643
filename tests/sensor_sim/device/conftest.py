"""Nobody waits as long as a sensor does."""

from __future__ import annotations

import pytest

from sensor_sim.device import uplink


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "FIRST_BACK_OFF_S", 0.01)
