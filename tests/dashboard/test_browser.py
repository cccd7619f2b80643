"""The store's page in a real browser, before a real server: live, cut off, back, and equal to a reload.

Needs Debian's chromium; `.ci/run` installs it.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Route

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ROOT = Path(__file__).resolve().parents[2]
WITHIN = 30_000  # how long anything may take on a busy machine, in milliseconds
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: install Debian's package chromium"
)


@dataclass
class Door:
    """A sensor over an entrance that sends what it sees, as sensors do."""

    public_id: str
    token: str
    next_seq: int = 0

    def people_enter(self, server: Server, number: int) -> float:
        """Returns the time at which the backend had acknowledged them."""
        at = int(time.time() * 1000)
        crossing = {"type": "crossing", "at": at, "line": 0, "direction": "forward"}
        return self.send(server, at, [crossing] * number)

    def send(self, server: Server, at: int, seen: list[dict[str, Any]]) -> float:
        """What it saw by ``at``, and a heartbeat."""
        heartbeat = {
            "type": "heartbeat",
            "at": at,
            "observed_ms": 60_000,
            "frames": 1800,
            "inferences": 1740,
            "temperature_c": 41.5,
            "dnn_us": 13_960,
        }
        events = [*seen, heartbeat]
        batch = {
            "sensor": self.public_id,
            "epoch": 1,
            "first_seq": self.next_seq,
            "model": "0123456789abcdef",
            "config": 1,
            "events": events,
        }
        answer = httpx.post(
            f"{server.url}/ingest/v1/batches",
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"},
            content=json.dumps({"batches": [batch]}),
            timeout=30,
        )
        assert answer.json()["acks"][0]["status"] == "stored", answer.text
        self.next_seq += len(events)
        return time.time()


@dataclass
class Stage:
    server: Server
    door: Door
    email: str
    password: str


@pytest.fixture
def stage(transactional_db: None) -> Iterator[Stage]:
    import psycopg
    from django.contrib.auth.hashers import make_password

    from sensorapp.fleet.enrolment import replace_token
    from tests.cast import PASSWORD, build_cast, make_door
    from tests.ingest.site import clear, database_url

    cast = build_cast()
    # An installation does not know the hasher that makes tests fast.
    cast.manager.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
    cast.manager.save()
    # It is about noon there, so that the test does not run across midnight.
    cast.store.time_zone = zone_where_it_is_noon()
    cast.store.save()
    door = make_door(cast.store, "Main door")
    server = Server(database_url())
    server.start()
    yield Stage(server, Door(door.public_id, replace_token(door)), cast.manager.email, PASSWORD)
    server.kill()
    with psycopg.connect(database_url(), autocommit=True) as connection:
        clear(connection)


def zone_where_it_is_noon() -> str:
    """The zones of Etc have their signs the other way round: GMT+5 is five hours behind."""
    hours = datetime.now(UTC).hour - 12
    return f"Etc/GMT{hours:+d}" if hours else "Etc/GMT"


ZONES = ["Fruit and vegetables", "Refrigerators", "Haushaltswarenabteilung"]


@pytest.fixture
def eye(stage: Stage) -> Door:
    """A sensor over zones and a slot with long names, all of which it has seen used."""
    from sensorapp.fleet.models import ChannelKind, Store
    from tests.cast import channel, make_sensor, plan

    sensor, token = make_sensor(
        Store.objects.get(slug="hamburg"), "Beer and wine", zones=ZONES, slots=["A-03"]
    )
    plan(channel(sensor, ChannelKind.SLOT), "Kombucha ginger and lemon 350 ml", facings=2, capacity=12)
    at = int(time.time() * 1000)
    door = Door(sensor.public_id, token)
    visits = [
        {"type": "visit", "at": at, "zone": zone, "dwell_ms": dwell_ms}
        for zone, dwell_ms in enumerate([104_000, 59_000, 1_764_000])
    ]
    shelf = {"type": "shelf", "at": at, "slot": 0, "units": 1, "confidence": 0.9}
    occupied = [{"type": "occupancy", "at": at, "zone": zone, "count": 12} for zone in range(3)]
    door.send(stage.server, at, [*visits, shelf, *occupied])
    return door


@dataclass
class Complaints:
    """What the browser complains about while it should have no reason to."""

    found: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.found.append(message.text)

    def check(self) -> None:
        assert self.found == []

    def forget(self) -> None:
        """A server that is gone makes every browser complain."""
        self.found.clear()


@pytest.fixture
def context(stage: Stage) -> Iterator[BrowserContext]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_context(base_url=stage.server.url)
        browser.close()


def log_in(page: Page, stage: Stage) -> None:
    page.goto("/")
    page.get_by_label("Email").fill(stage.email)
    page.get_by_label("Password").fill(stage.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/nordlicht/hamburg/")


def entries(page: Page) -> str:
    """Without the sign that says that the door has not watched for all of its first quarter of an hour."""
    return page.locator("[data-figure=entries]").inner_text().partition("+")[0]


def wait_for_entries(page: Page, number: int) -> float:
    """Returns the time at which the page showed them."""
    page.wait_for_function(
        "text => document.querySelector('[data-figure=entries]')?.innerText.split('+')[0] === text",
        arg=str(number),
        timeout=WITHIN,
        polling=20,
    )
    return time.time()


def wait_until_live(page: Page) -> None:
    page.wait_for_selector("#live[data-state=live]", timeout=WITHIN)


def text_of(page: Page) -> str:
    """What the live part says, less the time of day and the chart's readout, which follow the clock."""
    return page.evaluate(
        """() => {
          const copy = document.getElementById("snapshot").cloneNode(true);
          copy.querySelectorAll(".store-head, .comparison, #readout, #chart, .as-table").forEach((e) => e.remove());
          return copy.textContent.replace(/\\s+/g, " ").trim();
        }"""
    )


def test_a_page_lives(stage: Stage, context: BrowserContext) -> None:
    server, door = stage.server, stage.door
    complaints = Complaints()
    page = context.new_page()
    page.on("console", complaints.hear)
    page.on("pageerror", lambda error: complaints.found.append(str(error)))

    log_in(page, stage)
    wait_until_live(page)
    assert "No sensor of this store has been heard yet" in page.inner_text("#store")
    assert not page.locator("section.trend").is_visible()

    # Live: the number rises within a second of the commit, without a reload.
    page.evaluate("window.notReloaded = true")
    door.people_enter(server, 3)
    wait_for_entries(page, 3)
    assert page.locator("section.trend").is_visible()
    waits = []
    for total in range(4, 9):
        committed = door.people_enter(server, 1)
        waits.append(wait_for_entries(page, total) - committed)
        time.sleep(0.7)
    assert statistics.median(waits) < 1, waits
    assert page.evaluate("window.notReloaded") is True
    assert page.locator("#chart canvas").count() == 1
    complaints.check()

    # What the person opened and focused stays so while numbers change.
    page.get_by_text("Show as table").click()
    page.locator("details.as-table summary").focus()
    door.people_enter(server, 1)
    wait_for_entries(page, 9)
    assert page.locator("details.as-table").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.matches('details.as-table summary')")
    complaints.check()

    # Cut off by a server that dies: said plainly, and made up for by itself.
    server.kill()
    page.wait_for_selector("#live[data-state=lost]", timeout=WITHIN)
    assert page.inner_text("#live").startswith("Not live: connection lost, showing ")
    server.start()
    door.people_enter(server, 2)
    wait_until_live(page)
    wait_for_entries(page, 11)

    # Cut off by the network.
    context.set_offline(True)
    page.wait_for_selector("#live[data-state=lost]", timeout=WITHIN)
    door.people_enter(server, 4)
    assert entries(page) == "11"
    context.set_offline(False)
    wait_until_live(page)
    wait_for_entries(page, 15)
    assert page.evaluate("window.notReloaded") is True

    # A reload says the same.
    complaints.forget()
    live = text_of(page)
    page.reload()
    wait_until_live(page)
    assert text_of(page) == live
    assert entries(page) == "15"
    complaints.check()


def test_without_a_socket_the_page_asks(stage: Stage, context: BrowserContext) -> None:
    page = context.new_page()
    # A proxy that does not know WebSockets; and less patience than people have.
    page.route_web_socket("**/live/**", lambda route: route.close(code=1011))
    page.add_init_script("const every = setInterval; window.setInterval = (f, ms) => every(f, ms / 15);")
    log_in(page, stage)
    page.wait_for_selector("#live[data-state=polling]", timeout=WITHIN)
    stage.door.people_enter(stage.server, 2)
    wait_for_entries(page, 2)
    assert page.inner_text("#live") == "Updating every 15 seconds"


def test_a_page_whose_figures_cannot_be_fetched_says_so_and_retries(
    stage: Stage, context: BrowserContext
) -> None:
    page = context.new_page()
    log_in(page, stage)
    wait_until_live(page)
    asked: list[float] = []

    def refuse(route: Route) -> None:
        asked.append(time.monotonic())
        route.fulfill(status=500)

    address = re.compile(page.locator("#store").get_attribute("hx-get") or "no address")
    page.route(address, refuse)
    stage.door.people_enter(stage.server, 2)
    page.wait_for_selector("#live[data-state=lost]", timeout=WITHIN)
    assert page.inner_text("#live").startswith("Not live: no new figures, showing ")
    # The socket lives, and what it says neither hides the failure nor hurries the retries.
    for _ in range(4):
        stage.door.people_enter(stage.server, 1)
        page.wait_for_timeout(600)
        assert page.locator("#live").get_attribute("data-state") == "lost"
    assert 2 <= len(asked) <= 5
    page.unroute(address)
    wait_until_live(page)
    assert entries(page) == "6"


def test_who_is_signed_out_elsewhere_is_led_to_the_login(stage: Stage, context: BrowserContext) -> None:
    page, other = context.new_page(), context.new_page()
    log_in(page, stage)
    wait_until_live(page)
    other.goto("/accounts/logout/")
    other.get_by_role("main").get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/accounts/login/")
    stage.door.people_enter(stage.server, 1)
    page.wait_for_url("**/accounts/login/?next=/nordlicht/hamburg/", timeout=WITHIN)


RIGHT_EDGES = """() => {
  const table = document.querySelector(".zones table"), card = table.closest(".card");
  const edge = card.getBoundingClientRect().right - parseFloat(getComputedStyle(card).paddingRight);
  return [document.documentElement.scrollWidth - innerWidth, table.getBoundingClientRect().right - edge];
}"""
WIDTHS = """() => [".shelves .slots", ".shelves .slot"].map(
  (name) => document.querySelector(name).getBoundingClientRect().width)"""


def test_names_and_numbers_keep_within_their_cards(stage: Stage, eye: Door, context: BrowserContext) -> None:
    page = context.new_page()
    log_in(page, stage)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (320, 360, 390):
            page.set_viewport_size({"width": width, "height": 800})
            beyond_page, beyond_card = page.evaluate(RIGHT_EDGES)
            assert beyond_page <= 0, f"{width} px: the page scrolls sideways"
            assert beyond_card < 1.5, f"{width} px: the table leaves its card"
    page.set_viewport_size({"width": 1280, "height": 800})
    row, slot = page.evaluate(WIDTHS)
    assert slot == row
    cut = "e => e.scrollWidth > e.clientWidth"
    assert not any(one.evaluate(cut) for one in page.locator(".product, .place").all())
