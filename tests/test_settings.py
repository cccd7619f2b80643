"""What the settings make of an installation that brings nothing or nonsense, and that their table is true."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from sensorapp import settings
from sensorapp.stack import paths

STARTS = 16
SETTINGS = paths.ROOT / "sensorapp" / "settings.py"
TABLE = paths.ROOT / "docs" / "operations.md"


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


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("INGEST_MAX_WAITING_EVENTS", "0", "0; it must be 1 or more"),
        ("INGEST_FUTURE_TOLERANCE_SECONDS", "-3600", "-3600; it must be from 0 to 86400"),
        ("INGEST_FUTURE_TOLERANCE_SECONDS", "86401", "86401; it must be from 0 to 86400"),
        ("INGEST_SENSOR_EVENTS_PER_SECOND", "-5", "-5; it must be 0 or more"),
        ("INGEST_ORGANISATION_EVENTS_PER_SECOND", "-1", "-1; it must be 0 or more"),
        ("INGEST_RETENTION_DAYS", "1", "1; it must be from 2 to 36500"),
        ("INGEST_RETENTION_DAYS", "4e2", "'4e2'; it must be a whole number, from 2 to 36500"),
        ("SILENT_AFTER_SECONDS", "0", "0; it must be from 1 to 604800"),
        ("LOG_LEVEL", "loud", "'loud'; it must be one of CRITICAL, DEBUG, ERROR, INFO, WARNING"),
    ],
)
def test_nonsense_is_refused_with_what_may_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as caught:
        runpy.run_path(str(SETTINGS))
    assert str(caught.value) == f"{name} is {said}"


def read_by_settings() -> Iterator[tuple[str, str | None, str | None]]:
    """Name, default and values of each setting, as a table has them; None where words have to say it."""
    for call in ast.walk(ast.parse(SETTINGS.read_text())):
        match call:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("env"), attr=kind),
                args=[ast.Constant(name), default, *rest],
            ):
                given = default.value if isinstance(default, ast.Constant) else None
                text = str(given).lower() if kind == "boolean" else str(given)
                yield str(name), f"`{text}`" if given not in ("", None) else None, values(kind, rest)


def values(kind: str, rest: list[ast.expr]) -> str | None:
    match kind, [ast.literal_eval(one) for one in rest]:
        case "integer", [least]:
            return f"{least} or more"
        case "integer", [least, most]:
            return f"{least} to {most}"
        case "boolean", []:
            return "`false`, `true`"
        case "choice", [allowed]:
            return ", ".join(f"`{one}`" for one in sorted(allowed))
    return None


def test_the_table_of_settings_is_true() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \| .+ \|$", TABLE.read_text(), re.M)
    listed = {name: (default, values) for name, default, values in rows}
    found = {name: rest for name, *rest in read_by_settings()}
    assert len(listed) == len(rows)
    assert listed.keys() == found.keys()
    for name, expected in found.items():
        for said, wanted in zip(listed[name], expected, strict=True):
            assert wanted is None or said == wanted, name
