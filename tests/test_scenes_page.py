"""docs/scenes.md says what is true: its examples are scenes of the bundled models, and its tables name every field."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from sensor_sim.scene import check_labels, load_scene
from sensorapp import wire
from tests.server import ROOT

PAGE = (ROOT / "docs/scenes.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
PARTS = {
    "detect": wire.Detect,
    "camera": wire.Camera,
    "lines": wire.Line,
    "zones": wire.Zone,
    "slots": wire.Slot,
}


def test_its_examples_are_scenes(tmp_path: Path) -> None:
    for example, model in zip(EXAMPLES, ("people", "shelf"), strict=True):
        (tmp_path / "scene.json").write_text(example)
        card = json.loads((ROOT / "fixtures/models" / model / "model.json").read_text())
        check_labels(load_scene(tmp_path / "scene.json"), card["labels"])


def named_in(heading: str) -> list[str]:
    """The fields in the first column of a table."""
    table = PAGE.partition(f"| {heading} | default | bounds | meaning |\n")[2].partition("\n\n")[0]
    return re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("field", wire.Scene), *((f"field of `{name}`", kind) for name, kind in PARTS.items())],
)
def test_its_tables_name_every_field(heading: str, kind: type[wire.Message]) -> None:
    assert sorted(named_in(heading)) == sorted(field.name for field in msgspec.structs.fields(kind))
