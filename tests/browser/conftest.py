"""One browser for all tests of a file, and pages that note what goes wrong in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, sync_playwright

PATIENCE_MS = 120_000
"""How long a test waits for what is to come: the machine may be busy."""


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Debian's Chromium; tests are skipped where it is not installed.

    While it is open, an event loop runs in this thread: it is closed before the tests of other files.
    """
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    arguments = ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments, timeout=PATIENCE_MS)
        yield browser
        browser.close()


class Opened:
    """A page in a browser, and all that it asked for or complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", self._error)
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        self.complaints.append(message.text)

    def _error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)


Open = Callable[..., Opened]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Generator[Open]:
    """Opens the bytes of a report as a file; ``options`` are those of a browser's context.

    At the end of the test no page has complained, or asked for anything but itself.
    """
    contexts: list[Any] = []
    pages: list[tuple[Opened, str]] = []

    def open_(data: bytes, fragment: str = "", *, width: int = 1440, **options: Any) -> Opened:
        file = tmp_path / f"report{len(pages)}.html"
        file.write_bytes(data)
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        found = Opened(context.new_page())
        pages.append((found, file.as_uri()))
        found.page.goto(file.as_uri() + fragment, timeout=PATIENCE_MS)
        if options.get("java_script_enabled", True) and b'<template id="data">' in data:
            found.page.wait_for_selector("#explore:not([hidden])")
        return found

    yield open_
    for found, address in pages:
        assert found.complaints == []
        assert {request.partition("#")[0] for request in found.requests} == {address}
    for context in contexts:
        context.close()
