"""HTML reports opened in Chromium: with a script and without, narrow and wide, light and dark, by keyboard."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from html_results import bundle, divergence, hostile_results, result, several_results, written
from playwright.sync_api import Page

from ergo_cli.core.levels import Level
from tests.browser.conftest import Open
from tests.conftest import Ergo

MANY = 10_000


@pytest.fixture(scope="module")
def several() -> bytes:
    return written(result(*several_results()))


@pytest.fixture(scope="module")
def one() -> bytes:
    """Two decisions of a hundred differ, the second in its timing alone."""
    late = divergence(40, node="cold", level=Level.TIMING)
    return written(result(bundle("a.json", divergence(17), late, decided=100)))


def shown(page: Page) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(".list .at").all_inner_texts()]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_rules_of_accessibility_hold(several: bytes, opened: Open, width: int, theme: str) -> None:
    """Contrast, names, order, labels: what the rules of axe find, with one divergence opened."""
    page = opened(several, "#bundle=1&decision=3", width=width, color_scheme=theme).page
    page.wait_for_selector(".list details[open] .sides")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_without_a_script_everything_that_matters_is_there(several: bytes, opened: Open) -> None:
    page = opened(several, java_script_enabled=False, width=390).page
    for heading in ("What changed", "What differs", "The first that differs", "What to do next", "The bundles"):
        assert page.get_by_role("heading", name=heading, exact=True).is_visible()
    assert not page.locator("#explore").is_visible()
    assert page.get_by_role("img").is_visible()
    assert page.get_by_role("button").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_texts_of_strangers_run_nothing(opened: Open) -> None:
    """Every divergence is opened; a script that a text brought along would name the page otherwise."""
    page = opened(written(result(*hostile_results()))).page
    for summary in page.locator(".list summary").all():
        summary.click()
    page.wait_for_selector(".list details[open] .body")
    assert page.title().startswith("refused: ")
    assert page.evaluate("[window.owned, document.images.length, document.scripts.length]") == [None, 0, 1]


def test_a_link_leads_to_its_decision(one: bytes, opened: Open) -> None:
    page = opened(one, "#decision=40").page
    page.wait_for_selector(".list details[open] .body")
    assert page.locator(".list details[open] .at").inner_text() == "decision 40"
    assert page.evaluate("document.activeElement.textContent").startswith("decision 40")
    page.evaluate("location.hash = '#decision=17'")
    page.wait_for_function("document.activeElement.textContent.startsWith('decision 17')")
    page.evaluate("location.hash = '#decision=18'")
    page.get_by_text("decision 18 does not differ, or is not in this report").wait_for()


def test_filters_choose_what_is_listed(one: bytes, opened: Open) -> None:
    page = opened(one).page
    assert shown(page) == ["decision 17", "decision 40"]
    page.get_by_label("level").select_option("timing")
    assert shown(page) == ["decision 40"]
    page.get_by_role("button", name="all", exact=True).click()
    page.get_by_label("text").fill("HOT")
    assert shown(page) == ["decision 17"]
    page.get_by_label("text").fill("nothing like it")
    assert shown(page) == []
    page.get_by_text("no divergence is as the filters say").wait_for()
    page.get_by_role("button", name="all", exact=True).click()
    page.get_by_label("from decision").fill("18")
    assert shown(page) == ["decision 40"]


def test_the_stream_is_used_by_keyboard(one: bytes, opened: Open) -> None:
    page = opened(one).page
    cells = page.locator(".cells button")
    assert cells.all_inner_texts() == ["17", "≠ 1", "22", "≠ 1", "59"]
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert shown(page) == ["decision 17"]
    assert page.locator(".about").inner_text() == "decision 17: 1 of 1 differ"
    assert cells.nth(1).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert shown(page) == ["decision 17", "decision 40"]
    assert page.get_by_label("until decision").input_value() == "40"
    page.keyboard.press("Escape")
    assert page.get_by_label("until decision").input_value() == ""


def test_a_divergence_opens_by_keyboard_with_both_sides(one: bytes, opened: Open) -> None:
    page = opened(one).page
    page.locator(".list summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".list details[open] .sides")
    assert [text.strip() for text in page.locator(".list .sides td code").all_inner_texts()] == ['"old"', '"new"']


def test_buttons_copy(one: bytes, opened: Open) -> None:
    page = opened(one, permissions=["clipboard-read", "clipboard-write"]).page
    page.get_by_role("button", name="copy the command: reproduce").click()
    page.get_by_role("button", name="copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "ergo replay a.json"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_that_of_the_system_until_it_is_chosen(one: bytes, opened: Open, theme: str) -> None:
    page = opened(one, color_scheme=theme).page
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(colour)
    other = {"light": "dark theme", "dark": "light theme"}[theme]
    page.get_by_role("button", name=other).click()
    assert page.evaluate(colour) != before
    page.get_by_role("button", name=f"{theme} theme").click()
    assert page.evaluate(colour) == before


def test_ten_thousand_divergences_are_listed_page_by_page(opened: Open) -> None:
    found = [divergence(each, each, -each) for each in range(MANY)]
    page = opened(written(result(bundle("a.json", *found))), "#decision=9950").page
    page.get_by_text("9,901 to 10,000 of 10,000").wait_for()
    assert page.locator(".list > li").count() == 100
    assert page.evaluate("document.activeElement.textContent").startswith("decision 9,950")
    assert page.get_by_role("button", name="later").is_disabled()
    page.get_by_role("button", name="earlier").click()
    page.get_by_text("9,801 to 9,900 of 10,000").wait_for()
    page.get_by_label("text").fill("e1234")
    page.get_by_text("1 to 1 of 1", exact=True).wait_for()
    assert shown(page) == ["decision 1,234"]


@pytest.fixture
def explained(ergo: Ergo, tmp_path: Path) -> bytes:
    """The page of an episode that today's program makes another of."""
    project = shutil.copytree(ORDER_DESK, tmp_path / "desk")
    graph = project / "graphs" / "order_threshold.yaml"
    text = graph.read_text()
    assert text.count("105.0") == 1
    assert ergo("capture", "-o", "b.json", cwd=project).exit_code == 0
    graph.write_text(text.replace("105.0", "104.0"))
    ran = ergo("explain", "b.json", "--event", "q-0910", "--report", "html=page.html", cwd=project)
    assert ran.exit_code == 0, ran
    return (project / "page.html").read_bytes()


ORDER_DESK = Path(__file__).parents[2] / "fixtures" / "order_threshold"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_of_an_episode(explained: bytes, opened: Open, width: int, theme: str) -> None:
    seen = opened(explained, width=width, color_scheme=theme)
    page = seen.page
    assert page.get_by_role("heading", level=1).inner_text() == "event q-0910"
    row = page.locator("#episode tbody tr").filter(has_text="enter_level")
    assert row.locator("code.was").all_inner_texts() == ["value = 105.0", "value = 105.0"]
    assert row.locator("code.now").all_inner_texts() == ["value = 104.0", "value = 104.0"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (seen.complaints, seen.requests[1:]) == ([], [])
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_page_of_an_episode_needs_no_script(explained: bytes, opened: Open) -> None:
    page = opened(explained, java_script_enabled=False, width=390).page
    assert page.locator("#episode tbody tr").count() == 20
    assert page.get_by_role("heading", name="Recorded effects").is_visible()
