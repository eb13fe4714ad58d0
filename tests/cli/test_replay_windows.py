"""``ergo replay --from``, ``--until``, ``--event``: a part of a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"


def edited(tmp_path: Path, fixture: str, file: str, old: str, new: str) -> Path:
    home = tmp_path / fixture
    shutil.copytree(FIXTURES / fixture, home)
    text = (home / file).read_text()
    assert old in text
    (home / file).write_text(text.replace(old, new))
    return home


@pytest.fixture
def strategy(tmp_path: Path) -> Path:
    """A strategy that decides otherwise for q-0910, decision 1, and for q-0950, decision 5."""
    home = edited(tmp_path, "order_threshold", "graphs/order_threshold.yaml", "value: 105.0", "value: 104.0")
    text = (home / "graphs/order_threshold.yaml").read_text()
    (home / "graphs/order_threshold.yaml").write_text(text.replace("value: 98.0", "value: 97.5"))
    return home


@pytest.mark.parametrize(
    ("window", "events", "seqs"),
    [
        ((), 8, {1, 5}),
        (("--from", "0"), 8, {1, 5}),
        (("--from", "2"), 6, {5}),
        (("--until", "4"), 5, {1}),
        (("--from", "1", "--until", "1"), 1, {1}),
        (("--from", "2", "--until", "4"), 3, set()),
        (("--until", "900"), 8, {1, 5}),
        (("--event", "q-0950"), 1, {5}),
        (("--event", "q-0940"), 1, set()),
    ],
)
def test_only_the_decisions_of_the_window_are_compared(
    ergo: Ergo, strategy: Path, window: tuple[str, ...], events: int, seqs: set[int]
) -> None:
    ran = ergo("replay", *window, "--format", "json", cwd=strategy)
    [bundle] = ran.report["bundles"]
    assert ran.exit_code == (1 if seqs else 0)
    assert (bundle["events"], bundle["decisions"]["invoke"]) == (events, events)
    assert {each["seq"] for each in bundle["divergences"]} == seqs


def test_the_verdict_names_the_window(ergo: Ergo, strategy: Path) -> None:
    bundle = "captures/monday.json"
    for window, verdict in (
        (("--from", "2", "--until", "4"), f"match  {bundle}  decisions from 2 until 4  3 events, 3 invoked"),
        (("--from", "2"), f"differs  {bundle}  decisions from 2  1 of 6 decisions"),
        (("--event", "q-0910"), f"differs  {bundle}  event q-0910 alone  1 of 1 decision"),
    ):
        assert ergo("replay", *window, cwd=strategy).stdout.splitlines()[0] == verdict
    report = ergo("replay", "--event", "q-0910", "--format", "json", cwd=strategy).report
    assert report["bundles"][0]["window"] == {"first": 1, "last": 1}
    assert "window" not in ergo("replay", "--format", "json", cwd=strategy).report["bundles"][0]


@pytest.mark.parametrize(
    ("window", "fix"),
    [
        (("--from", "8"), "give --from 0 to 7"),
        (("--event", "q-0951"), "did you mean 'q-0950'?"),
        (("--from", "3", "--until", "2"), "give 3 or more"),
        (("--event", "q-0910", "--until", "2"), "leave one of them out"),
        (("--from", "-1"), ""),
    ],
)
def test_a_window_without_decisions_is_refused(ergo: Ergo, strategy: Path, window: tuple[str, ...], fix: str) -> None:
    ran = ergo("replay", *window, cwd=strategy)
    assert ran.exit_code == 2
    assert fix in ran.stderr


def test_a_matching_bundle_is_compared_in_its_window(ergo: Ergo) -> None:
    ran = ergo("replay", "--strict", "--from", "6", cwd=FIXTURES / "order_threshold")
    assert (ran.exit_code, ran.stdout) == (0, "match  captures/monday.json  decisions from 6  2 events, 2 invoked\n")


PRICE = ('article.payload["cents"] *', '(article.payload["cents"] - 1) *')


@pytest.mark.parametrize(
    ("fixture", "file", "edit", "event"),
    [
        ("agent", "refunds/agent.py", ("How likely", "Say how likely"), "t-0915"),
        ("orders", "orders/pipeline.py", PRICE, "m-0915"),
        (
            "settlement",
            "settlement/plan.py",
            ('Decimal(ctx.read("euros")) * FEE', 'Decimal(ctx.read("euros")) * FEE * 2'),
            "f-0910",
        ),
    ],
)
def test_programs_that_act_are_stepped_up_to_the_window(
    ergo: Ergo, tmp_path: Path, fixture: str, file: str, edit: tuple[str, str], event: str
) -> None:
    home = edited(tmp_path, fixture, file, *edit)
    [whole] = ergo("replay", "--format", "json", cwd=home).report["bundles"]
    ran = ergo("replay", "--event", event, "--format", "json", cwd=home)
    [alone] = ran.report["bundles"]
    of_event = [each for each in whole["divergences"] if each["event_id"] == event]
    assert 0 < len(of_event) < len(whole["divergences"])
    assert alone["divergences"] == of_event
    assert (ran.exit_code, alone["events"]) == (1, 1)


def test_what_closing_recorded_is_compared_without_a_last_decision_alone(ergo: Ergo, tmp_path: Path) -> None:
    home = edited(tmp_path, "orders", "orders/pipeline.py", *PRICE)
    for window, is_compared in ((("--from", "7"), True), (("--from", "7", "--until", "7"), False)):
        [bundle] = ergo("replay", *window, "--format", "json", cwd=home).report["bundles"]
        assert (None in {each["event_id"] for each in bundle["divergences"]}) == is_compared
