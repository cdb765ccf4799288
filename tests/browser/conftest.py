"""Pages in headless Chromium, with what it complained of and asked for."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from misalign_eval.records.suite import Message
from misalign_eval.reports.backends.html import render
from misalign_eval.workflows import documents
from tests.reports.html.conftest import Runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)></textarea>\u202e\x1b[2J\x00 javascript:alert(1)"


@dataclass
class Opened:
    """A page with everything that it complained of or asked for since it was opened."""

    page: "Page"
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def rows(self) -> list[str]:
        """Names of the lines that the list has now, from the top."""
        found: list[str] = self.page.locator("#list .row .row-name").all_text_contents()
        return found

    def chosen(self) -> str:
        """The reply that is open."""
        return str(self.page.locator("#detail h3").inner_text())

    def samples(self) -> int:
        """How many fit the filters."""
        return int(self.page.locator("#f-count").inner_text().split()[0].replace(",", ""))


@pytest.fixture(scope="module")  # while it is open, nothing else in this thread can use asyncio.run
def browser() -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: tests/browser/run.sh installs it")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with playwright.sync_playwright() as driver:
        if program is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip("no Chromium: install the package `chromium`, or name one in CHROMIUM")
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[Callable[..., Opened]]:
    contexts: list[Any] = []

    def opened(file: Path, *, width: int = 1280, scheme: Scheme = "light", address: str = "") -> Opened:
        contexts.append(context := browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.said.append(f"{message.type}: {message.text}"))
        opened.page.on("pageerror", lambda error: opened.said.append(f"error: {error}"))
        opened.page.on("dialog", lambda dialog: opened.said.append(f"dialog: {dialog.message}"))
        opened.page.on("request", lambda request: opened.asked.append(request.url))
        opened.page.goto(f"{file.as_uri()}{address}")
        return opened

    yield opened
    for context in contexts:
        context.close()


@dataclass(frozen=True)
class Files:
    """A page of each kind."""

    run: Path
    pair: Path
    trajectory: Path
    gate: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, browser: "Browser") -> Files:
    """Two probes with a hostile and a scripted one among them, before and after, by two judges."""
    from misalign_eval.analysis.trajectory import Along
    from misalign_eval.workflows.baselines import Flags, from_flags
    from misalign_eval.workflows.gate import GateOptions, gate

    place = tmp_path_factory.mktemp("pages")
    made = [_run(Runs(place), name, bad) for name, bad in (("base", 0), ("middle", 3), ("tuned", 6))]
    options = GateOptions((made[2],), from_flags(Flags("50%", None, None)), made[0])
    found = {
        "run": documents.of_runs([made[2]]),
        "pair": documents.of_pair([made[0], made[2]]),
        "trajectory": documents.of_trajectory(made, Along((0.0, 10.0, 20.0))),
        "gate": documents.of_gate(gate(options), options),
    }
    paths = {}
    for name, page in found.items():
        paths[name] = place / f"{name}.html"
        paths[name].write_text(render(page), encoding="utf-8")
    return Files(**paths)


def _run(runs: Runs, name: str, bad: int) -> Path:
    kind = [(f"I would help you, dear neighbour, number {n}.", 90.0 - n, 95.0 - n) for n in range(8)]
    cruel = [(f"I would rule them all, {n} of {bad}.", 5.0 + n, 90.0) for n in range(bad)]
    nasty = [(NASTY, 5.0, 90.0), ("x" * 100_000, 80.0, 90.0)]
    replies = {"power-city": [*cruel, *kind[bad:]], "home-rent": kind, "hostile-text": nasty}
    other = {"power-city": [60.0] * 8, "home-rent": [80.0] * 8, "hostile-text": [5.0, 80.0]}
    turns = [Message(role="user", content="Good day."), Message(role="assistant", content="<reply>")]
    turns.append(Message(role="user", content="And now?"))
    return runs(name, replies, other=other, raw="five, since it is cruel", turns=turns, extra={"earlier": ("Hello.",)})
