"""docs/ingest.md says what is true: its commands are run, and what the contract has is named in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import psycopg
import pytest

from sensorapp import settings, wire
from sensorapp.accounts.models import User
from sensorapp.columns import shortened
from tests.ingest.site import clear, database_url
from tests.server import ROOT, Server

PAGE = (ROOT / "docs/ingest.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
ID = "s-0123456789ab"
END = "-- the end of a block --"


def blocks(language: str) -> list[str]:
    return [text for one, text in BLOCKS if one == language]


@pytest.fixture
def server(transactional_db: None) -> Iterator[Server]:
    with psycopg.connect(database_url(), autocommit=True) as connection, Server(database_url()) as server:
        clear(connection)
        yield server
        clear(connection)


def run(script: str, server: Server) -> list[str]:
    """What each block of a shell script prints."""
    environment = os.environ | {"DATABASE_URL": database_url(), "URL": server.url}
    done = subprocess.run(
        ["sh", "-euc", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split(END)[:-1]


def test_its_commands_give_its_answers(server: Server) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed, with which the page's examples are sent")
    script = "\n".join(f"{block}\necho '{END}'" for block in blocks("sh"))
    _, sensor, gateway, scenes = run(script, server)
    said = [json.loads(re.sub(r"s-[0-9a-z]{12}", ID, printed)) for printed in (sensor, gateway)]
    assert said == [json.loads(block) for block in blocks("json")[:2]]
    of_sensor, of_gateway = (
        wire.decode(line.encode(), wire.Scene) for line in scenes.replace("}{", "}\n{").split()
    )
    assert of_sensor == of_gateway
    assert of_sensor == wire.decode((ROOT / "fixtures/scenes/table.json").read_bytes(), wire.Scene)
    assert User.objects.get().email == "ada@nordlicht.example"


def test_its_columns_are_what_it_says() -> None:
    at = 1_780_000_000_123
    events: list[wire.Event] = [wire.Crossing(at, 0, "forward"), wire.Crossing(at + 1, 0, "backward")]
    batch = shortened(wire.Batch(ID, 1, 0, "0123456789abcdef", 1, events))
    assert wire.decode(blocks("json")[2].encode(), wire.Columns) == batch.columns


def refused_in(folder: str) -> set[str]:
    """The statuses with which code below a folder refuses requests."""
    sources = "".join(path.read_text() for path in (ROOT / folder).glob("*.py"))
    return set(re.findall(r"RefusedError\((\d{3})", sources))


def contract() -> Iterator[str]:
    """What the page must name of the contract, in the form in which it does."""
    messages: list[Any] = [wire.Upload, wire.Batch, wire.Columns, *get_args(wire.Event)]
    messages += [wire.Answer, wire.Ack, wire.Desired, wire.Problem, *get_args(wire.StreamMessage)]
    for message in messages:
        info = msgspec.inspect.type_info(message)
        assert isinstance(info, msgspec.inspect.StructType)
        names = [field.encode_name for field in info.fields]
        yield from names if message is wire.Problem else (f"`{name}`" for name in [*names, info.tag] if name)
    for words in (wire.AckStatus, wire.Direction, wire.DeploymentState):
        yield from (f"`{word}`" for word in get_args(words))
    limits = wire.MAX_BODY_BYTES, wire.MAX_BATCHES_PER_REQUEST, wire.MAX_EVENTS_PER_BATCH
    yield from (f"{limit:,}".replace(",", " ") for limit in limits)
    for name in (
        "INGEST_SENSOR_EVENTS_PER_SECOND",
        "INGEST_ORGANISATION_EVENTS_PER_SECOND",
        "INGEST_MAX_WAITING_EVENTS",
    ):
        yield f"{getattr(settings, name):,}".replace(",", " ") + f" (`{name}`)"
    yield f"`INGEST_RETENTION_DAYS`, {settings.INGEST_RETENTION_DAYS} days"
    yield f"`INGEST_FUTURE_TOLERANCE_SECONDS` ({settings.INGEST_FUTURE_TOLERANCE_SECONDS})"


@pytest.mark.parametrize("name", sorted(set(contract())))
def test_it_names_what_the_contract_has(name: str) -> None:
    assert name in PAGE


def test_it_names_every_status_that_refuses() -> None:
    table = PAGE.partition("## Refused whole")[2].partition("## The stream")[0]
    named = set(re.findall(r"\d{3}", " ".join(re.findall(r"^\| (\d{3}.*?) \|", table, re.MULTILINE))))
    assert refused_in("analytics/ingest") | refused_in("sensorapp/fleet") <= named
