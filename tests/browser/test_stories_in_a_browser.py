"""The page of each story in Chromium: the edit with its place, both sides, nothing wider than the window."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Open
from tests.conftest import Ergo
from tests.stories.test_stories import NAMES, edited, story_of

WIDTHS = (390, 1440)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_a_story_shows_its_edit(name: str, ergo: Ergo, tmp_path: Path, opened: Open) -> None:
    story = story_of(name)
    home = edited(ergo, story, tmp_path)
    replay = ergo("replay", *story.replay.options, "--report", "html=page.html", cwd=home)
    assert replay.exit_code == story.replay.exit_code
    page = (home / "page.html").read_bytes()
    for width in WIDTHS:
        for theme in ("light", "dark"):
            shown = opened(page, width=width, color_scheme=theme).page
            assert story.replay.place in shown.locator("main").inner_text()
            assert shown.evaluate("document.documentElement.scrollWidth") <= width
