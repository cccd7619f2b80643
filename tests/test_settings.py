"""What the settings make of an installation that brings nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from sensorapp import settings

STARTS = 16


def test_first_starts_at_once_agree_on_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VAR_DIR", tmp_path / "var")
    with ThreadPoolExecutor(STARTS) as starts:
        keys = {start.result() for start in [starts.submit(settings.local_secret_key) for _ in range(STARTS)]}
    [path] = (tmp_path / "var").iterdir()
    assert keys == {path.read_text()}
    assert len(path.read_text()) > 50
    assert (path.name, path.stat().st_mode & 0o777) == ("secret-key", 0o600)
    assert settings.local_secret_key() in keys


def test_an_empty_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VAR_DIR", tmp_path)
    (tmp_path / "secret-key").touch()
    with pytest.raises(ImproperlyConfigured, match="secret-key is empty; delete it"):
        settings.local_secret_key()
