"""A real browser for the tests: Debian's chromium, driven by Playwright, watched for requests."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
LOCAL = ("127.0.0.1", "localhost")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("WORKBOOK_ALL_TESTS"),
    reason="no chromium on this machine (apt-get install chromium); CI has it, and fails without",
)


@dataclass
class Watched:
    """A page, and what must stay empty: requests to elsewhere, errors, dialogs."""

    page: Any
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.context.on("request", lambda request: self._seen(request.url))
        self.page.on("websocket", lambda socket: self._seen(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))

    def _seen(self, address: str) -> None:
        parts = urlsplit(address.removeprefix("blob:"))
        if parts.scheme not in ("data", "file") and parts.hostname not in LOCAL:
            self.outside.append(address)

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def figures(self) -> list[str]:
        """What each chart on the page shows: its words and the shapes of its bars."""
        return self.page.eval_on_selector_all(
            ".js-plotly-plot",
            """plots => plots.filter(p => p.offsetParent).map(p => JSON.stringify([
                [...p.querySelectorAll('text')].map(t => t.textContent),
                [...p.querySelectorAll('.bars path')].map(b => b.getAttribute('d'))]))""",
        )


@contextlib.contextmanager
def browser_page(
    *, scheme: str = "light", width: int = 1280, height: int = 900, offline: bool = False
) -> Iterator[Watched]:
    """A page of a fresh browser that closes with everything in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            offline=offline,
        )
        watched = Watched(context.new_page())
        watched.watch()
        try:
            yield watched
        finally:
            browser.close()


def copy_project(root: Path, folder: Path) -> Path:
    """The notebooks, the demo data and an empty reports folder, where a test may write."""
    shutil.copytree(root / "notebooks", folder / "notebooks")
    (folder / "data").symlink_to(root / "data")
    (folder / "reports" / "definitions").mkdir(parents=True)
    return folder
