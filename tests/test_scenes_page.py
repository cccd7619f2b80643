"""docs/scenes.md says what is true: its examples are scenes of the bundled models, and its tables name every field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import msgspec.inspect
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


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of a table."""
    table = PAGE.partition(f"| {heading} | default | bounds | meaning |\n")[2].partition("\n\n")[0]
    for line in table.splitlines()[1:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def bounds(kind: type[wire.Message]) -> Iterator[tuple[str, str]]:
    """Fields that are a number within bounds, and these as the page writes them."""
    (info,) = msgspec.inspect.multi_type_info([kind])
    for field in info.fields:
        for one in getattr(field.type, "types", [field.type]):
            least, most = getattr(one, "ge", None), getattr(one, "le", None)
            if least is not None:
                most = one.lt - 1 if most is None else most
                yield field.name, f"{least:,.12g} to {most:,.12g}".replace(",", " ")


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("field", wire.Scene), *((f"field of `{name}`", kind) for name, kind in PARTS.items())],
)
def test_its_tables_name_every_field_and_its_bounds(heading: str, kind: type[wire.Message]) -> None:
    told = {name: cells[2] for cells in rows(heading) for name in re.findall(r"`(\w+)`", cells[0])}
    assert sorted(told) == sorted(field.name for field in msgspec.structs.fields(kind))
    for name, within in bounds(kind):
        assert told[name].partition(";")[0] in (within, "as of lines")
