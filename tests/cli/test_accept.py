"""``ergo accept``: today's decisions become the recording, whole bundles after review, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompts import asked

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
BUNDLE = "captures/monday.json"
ACTING = [
    ("agent", "refunds/agent.py", '{"decision": "pay"}', '{"decision": "pay", "by": "rule"}', "captures/tuesday.json"),
    ("settlement", "settlement/plan.py", 'Decimal("0.002")', 'Decimal("0.003")', "captures/friday.json"),
    ("orders", "orders/pipeline.py", '"left_behind", baskets', '"left", baskets', "captures/morning.json"),
]
"""A fixture, a change of its program that asks the world for nothing new, its bundle."""
ASKING = [
    ("agent", "refunds/agent.py", "How likely is it a fraud?", "Is it a fraud?", "captures/tuesday.json"),
    (
        "settlement",
        "settlement/plan.py",
        'ctx.read("currency")}',
        'ctx.read("currency"), "day": 1}',
        "captures/friday.json",
    ),
    (
        "orders",
        "orders/pipeline.py",
        "event.payload, key=",
        '{**event.payload, "shop": 1}, key=',
        "captures/morning.json",
    ),
]
"""The same, with a change that asks the world for something else."""


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, text.count(old)
    file.write_text(text.replace(old, new))


def copied(name: str, folder: Path) -> Path:
    return shutil.copytree(FIXTURES / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def lower(desk: Path) -> None:
    edit(desk / "graphs" / "order_threshold.yaml", "value: 105.0", "value: 104.0")


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Path:
    """The order strategy, captured here, with its level to enter at lowered since."""
    home = copied("order_threshold", tmp_path)
    assert ergo("capture", cwd=home).exit_code == 0
    lower(home)
    return home


def test_what_was_accepted_is_what_a_new_capture_records(ergo: Ergo, desk: Path) -> None:
    before = (desk / BUNDLE).read_bytes()
    ran = ergo("accept", "--all", "--why", "enter earlier", cwd=desk)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "accepted   1 of 1 bundle",
        "  captures/monday.json",
        "",
        "noted      captures/accepted.jsonl",
        "prove      ergo replay captures/monday.json --strict",
    ]
    assert ergo("capture", "-o", "fresh.json", cwd=desk).exit_code == 0
    accepted = (desk / BUNDLE).read_bytes()
    assert accepted == (desk / "fresh.json").read_bytes()
    assert ergo("replay", "--strict", cwd=desk).exit_code == 0
    [line] = lines(desk / "captures" / "accepted.jsonl")
    assert list(line) == ["bundle", "sha256", "was", "program", "adapter", "who", "when", "why"]
    assert (line["bundle"], line["why"]) == ("monday.json", "enter earlier")
    assert line["sha256"] == hashlib.sha256(accepted).hexdigest()
    assert line["was"] == hashlib.sha256(before).hexdigest()
    assert line["program"] == json.loads(accepted)["runtime_provenance"]
    again = ergo("accept", "--all", cwd=desk)
    assert (again.exit_code, again.stdout) == (0, "match      1 bundle: nothing to accept\n")
    assert len(lines(desk / "captures" / "accepted.jsonl")) == 1


def test_without_a_terminal_it_lists_what_waits(ergo: Ergo, desk: Path) -> None:
    before = (desk / BUNDLE).read_bytes()
    ran = ergo("accept", cwd=desk)
    assert ran.exit_code == 2
    assert ran.stdout.splitlines() == [
        "waiting    1 bundle",
        "",
        "changed    graphs/order_threshold.yaml:20  enter_level.value  105.0 -> 104.0",
        "",
        "  1  bought_at  + bought_at = 104.25  q-0910",
        "  1  buy        + holding = true      q-0910",
        "  1             - bought_at = 105.75  q-0920",
        "  1             - holding = true      q-0920",
    ]
    assert "no terminal to ask on" in ran.stderr
    assert "ergo accept --all" in ran.stderr
    report = ergo("accept", "--format", "json", cwd=desk).report
    assert (report["outcome"], report["error"]["code"]) == ("refused", "cli.missing_required_option")
    [bundle] = report["accept"]["bundles"]
    assert (bundle["path"], bundle["state"], bundle["rebound"]) == (str(desk / BUNDLE), "waiting", 6)
    assert [(group["node"], group["accepted"]) for group in bundle["groups"]] == [
        ("bought_at", False),
        ("buy", False),
        (None, False),
        (None, False),
    ]
    assert (desk / BUNDLE).read_bytes() == before
    assert not (desk / "captures" / "accepted.jsonl").exists()


def test_without_a_terminal_the_options_choose_what_is_listed_and_stay_in_the_remedy(ergo: Ergo, desk: Path) -> None:
    ran = ergo("accept", BUNDLE, "--node", "buy", "--kind", "effect_extra", "--why", "it's fine", cwd=desk)
    assert ran.exit_code == 2
    rows = ran.stdout.splitlines()[4:]
    assert rows == [
        "  1  buy  + holding = true  q-0910",
        "",
        "  1 bundle with other differences too, which would stay as they are",
    ]
    command = f"ergo accept {BUNDLE} --kind effect_extra --node buy --why 'it'\"'\"'s fine' --all"
    assert command in ran.stderr


@pytest.mark.parametrize("options", [("--node", "bye"), ("--path", "outputs"), ("--kind", "journal")])
def test_options_that_choose_nothing_are_named(ergo: Ergo, desk: Path, options: tuple[str, ...]) -> None:
    before = (desk / BUNDLE).read_bytes()
    for more in ((), ("--all",)):
        ran = ergo("accept", *options, *more, "--format", "json", cwd=desk)
        error = ran.report["error"]
        assert (ran.exit_code, error["code"], error["where"]) == (5, "accept.nothing_matched", f"option {options[0]}")
        assert " ".join(options) in error["message"]
    assert (desk / BUNDLE).read_bytes() == before
    edit(desk / "graphs" / "order_threshold.yaml", "value: 104.0", "value: 105.0")
    assert ergo("accept", *options, "--all", cwd=desk).exit_code == 0, "where all match there is nothing to choose from"


def test_in_ci_nothing_is_accepted_without_force(ergo: Ergo, desk: Path) -> None:
    before = (desk / BUNDLE).read_bytes()
    ran = ergo("accept", "--all", "--format", "json", cwd=desk, CI="true")
    assert (ran.exit_code, ran.report["error"]["code"], ran.report["accept"]) == (2, "cli.accept_in_ci", None)
    assert (desk / BUNDLE).read_bytes() == before
    assert ergo("accept", "--all", "--force", cwd=desk, CI="true").exit_code == 0
    assert (desk / BUNDLE).read_bytes() != before


def test_form_and_permission_stay(ergo: Ergo, tmp_path: Path) -> None:
    home = copied("order_threshold", tmp_path)
    forms = {"v3.json": (), "v3.pretty.json": ("--pretty",), "v4.json": ("--embed",), "packed.json.gz": ("--embed",)}
    for name, options in forms.items():
        assert ergo("capture", "-o", name, *options, cwd=home).exit_code == 0
        (home / name).chmod(0o640)
    lower(home)
    assert ergo("accept", "--all", *forms, cwd=home).exit_code == 0
    for name, options in forms.items():
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o640
        assert ergo("capture", "-o", f"fresh.{name}", *options, cwd=home).exit_code == 0
        read = gzip.decompress if name.endswith(".gz") else bytes
        assert read((home / name).read_bytes()) == read((home / f"fresh.{name}").read_bytes()), name
    assert len(lines(home / "accepted.jsonl")) == len(forms)
    assert ergo("replay", "--strict", *forms, cwd=home).exit_code == 0


def test_a_fingerprint_alone_is_accepted_too(ergo: Ergo, tmp_path: Path) -> None:
    home = copied("order_threshold", tmp_path)
    assert ergo("capture", cwd=home).exit_code == 0
    edit(home / "graphs" / "order_threshold.yaml", "value: 98.0", "value: 97.9")
    assert ergo("replay", cwd=home).exit_code == 0
    assert ergo("replay", "--strict", cwd=home).exit_code == 4
    ran = ergo("accept", cwd=home)
    assert ran.exit_code == 2
    assert (
        "  nothing is decided otherwise, another program or adapter is named:\n    captures/monday.json\n" in ran.stdout
    )
    assert ergo("accept", "--all", cwd=home).exit_code == 0
    assert ergo("replay", "--strict", cwd=home).exit_code == 0


@pytest.mark.parametrize(("name", "file", "old", "new", "bundle"), ACTING)
def test_recorded_answers_serve_todays_program(
    ergo: Ergo, tmp_path: Path, name: str, file: str, old: str, new: str, bundle: str
) -> None:
    home = copied(name, tmp_path)
    edit(home / file, old, new)
    assert ergo("replay", cwd=home).exit_code == 1
    ran = ergo("accept", "--all", cwd=home)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ergo("replay", "--strict", cwd=home).exit_code == 0
    assert ergo("capture", "-o", "fresh.json", cwd=home).exit_code == 0
    assert (home / bundle).read_bytes() == (home / "fresh.json").read_bytes()


@pytest.mark.parametrize(("name", "file", "old", "new", "bundle"), ASKING)
def test_an_answer_that_was_never_recorded_is_missing(
    ergo: Ergo, tmp_path: Path, name: str, file: str, old: str, new: str, bundle: str
) -> None:
    home = copied(name, tmp_path)
    before = (home / bundle).read_bytes()
    edit(home / file, old, new)
    ran = ergo("accept", "--all", "--format", "json", cwd=home)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "accept.answer_missing")
    assert "capture the events again" in ran.report["error"]["fix"]
    assert (home / bundle).read_bytes() == before
    assert not (home / "captures" / "accepted.jsonl").exists()


@pytest.mark.parametrize(("level", "acknowledged"), [("101.0", 0), ("102.1", 1)])
def test_acknowledgements_stay_with_intents_that_are_the_same(
    ergo: Ergo, tmp_path: Path, level: str, acknowledged: int
) -> None:
    home = copied("own_primitives", tmp_path)
    edit(home / "graphs" / "trend.yaml", "level: 102.0", f"level: {level}")
    assert ergo("accept", "--all", cwd=home).exit_code == 0
    decisions = json.loads((home / "captures" / "prices.json").read_text())["decisions"]
    intents = [each for each in decisions for effect in each["effects"] if effect["effect"].get("intents")]
    assert len(intents) == 1, "the one order is placed, earlier or when it was"
    assert sum("intent_acks" in each for each in decisions) == acknowledged
    assert ergo("validate", home / "captures" / "prices.json", cwd=home).exit_code == 0


def test_a_bundle_that_is_changed_meanwhile_is_refused(ergo: Ergo, desk: Path, environment: dict[str, str]) -> None:
    other = gzip.compress(b"")

    def answer(screen: str) -> str:
        (desk / BUNDLE).write_bytes(other)
        return "y"

    ran = asked(["accept", "--format", "json"], environment, desk, answer)
    report = json.loads(ran.stdout)
    assert (ran.exit_code, report["error"]["code"]) == (3, "accept.bundle_changed")
    assert (desk / BUNDLE).read_bytes() == other
    assert not (desk / "captures" / "accepted.jsonl").exists()


def test_one_group_after_the_other_is_asked_about(ergo: Ergo, desk: Path, environment: dict[str, str]) -> None:
    ran = asked(["accept"], environment, desk, lambda screen: "y")
    assert ran.exit_code == 0, ran.stdout
    assert len(ran.screens) == 4
    first = ran.screens[0]
    assert "group 1 of 4  captures/monday.json  1 difference\n" in first
    assert "changed    graphs/order_threshold.yaml:20  enter_level.value  105.0 -> 104.0\n" in first
    assert "decision 1  event q-0910\n  + bought_at = 104.25  set_context by bought_at\n" in first
    assert "this bundle is accepted only with all of its groups" in first
    assert first.endswith("accept?  y yes  n no  q quit: ")
    assert ergo("replay", "--strict", cwd=desk).exit_code == 0


@pytest.mark.parametrize("answers", [["n"], ["y", "n"], ["y", "y", "q"], [None], ["x", "q"]])
def test_a_bundle_is_left_unless_all_its_groups_are_accepted(
    desk: Path, environment: dict[str, str], answers: list[str | None]
) -> None:
    before = (desk / BUNDLE).read_bytes()
    given = iter(answers)
    ran = asked(["accept"], environment, desk, lambda screen: next(given))
    accepted = answers.count("y")
    assert ran.exit_code == 0
    assert len(ran.screens) == len(answers)
    assert f"  captures/monday.json  {accepted} of 4 groups accepted\n" in ran.stdout
    assert (desk / BUNDLE).read_bytes() == before
    assert not (desk / "captures" / "accepted.jsonl").exists()


def event(number: int, price: float) -> str:
    payload = {"price": price}
    tick = {"type": "DataAvailable", "id": f"q-{number}", "semantic_kind": "price_tick", "payload": payload}
    return json.dumps({"kind": "event", "event": tick}) + "\n"


@pytest.fixture
def many(ergo: Ergo, tmp_path: Path) -> Path:
    """Fifty bundles: 25 buy at today's level alone, 25 sell at today's level alone."""
    home = copied("order_threshold", tmp_path)
    shutil.rmtree(home / "captures")
    for number in range(25):
        for side, prices in (("buy", (100 + number / 8, 104.5)), ("sell", (106 + number / 8, 98.5))):
            text = "".join(event(place, price) for place, price in enumerate(prices))
            (home / "events.jsonl").write_text(f'{{"kind":"episode_start","id":"d"}}\n{text}')
            done = ergo("capture", "events.jsonl", "-o", f"captures/{side}-{number:02}.json", cwd=home)
            assert done.exit_code == 0, done.stderr
    lower(home)
    edit(home / "graphs" / "order_threshold.yaml", "value: 98.0", "value: 99.0")
    return home


def killed_at(event: str, name: str, count: int, home: Path, environment: dict[str, str], *words: str) -> None:
    """A command that is killed when it is about to touch a file of this name for the COUNT-th time."""
    script = str(Path(__file__).with_name("killed_at.py"))
    ran = subprocess.run(
        [sys.executable, script, event, name, str(count), *words],
        cwd=home,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr


def states(home: Path, old: dict[str, bytes]) -> Iterator[tuple[str, bool]]:
    """Each bundle, and whether it is its new recording; it must be whole."""
    for name, text in old.items():
        now = (home / "captures" / name).read_bytes()
        json.loads(now)
        yield name, now != text


def test_half_of_fifty_are_accepted_by_group_and_a_kill_tears_none(
    ergo: Ergo, many: Path, environment: dict[str, str]
) -> None:
    folder = many / "captures"
    old = {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}
    assert len(old) == 50

    ran = asked(["accept", "captures"], environment, many, lambda screen: "d" if "by sell" in screen else "a")
    assert ran.exit_code == 0
    assert len(ran.screens) == 3, "two groups of the buyers, one of the sellers, each asked about once"
    accepted = {name for name, is_new in states(many, old) if is_new}
    assert accepted == {name for name in old if name.startswith("buy")}
    assert [line["bundle"] for line in lines(folder / "accepted.jsonl")] == sorted(accepted)
    for name in old:
        code = ergo("replay", f"captures/{name}", "--strict", cwd=many).exit_code
        assert code == (0 if name in accepted else 4), name

    for event, name, count in (
        ("open", "accepted.jsonl", 4),
        ("os.rename", "sell-*.json", 1),
        ("os.rename", "sell-*.json", 9),
    ):
        before = (folder / "accepted.jsonl").read_bytes().count(b"\n")
        killed_at(event, name, count, many, environment, "accept", "captures", "--all")
        new = {name for name, is_new in states(many, old) if is_new}  # each is old or new, or that fails
        assert accepted <= new
        assert len(new - accepted) == count - 1, "it dies at the next one"
        ahead = 1 if event == "os.rename" else 0  # a line stands before its bundle is replaced
        assert (folder / "accepted.jsonl").read_bytes().count(b"\n") - before == count - 1 + ahead
        accepted = new
        ran = ergo("replay", *(f"captures/{name}" for name in sorted(new)), "--strict", cwd=many)
        assert ran.exit_code == 0, ran.stdout
    for left in folder.glob("ergo.*.tmp"):
        left.unlink()  # what only kill -9 leaves

    assert ergo("accept", "captures", "--all", cwd=many).exit_code == 0
    assert all(is_new for _, is_new in states(many, old))
    assert ergo("replay", "captures", "--strict", cwd=many).exit_code == 0
    last = {line["bundle"]: line["sha256"] for line in lines(folder / "accepted.jsonl")}
    assert last == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in old}


def test_only_the_groups_that_are_meant(ergo: Ergo, many: Path) -> None:
    ran = ergo("accept", "captures/buy-00.json", "captures/sell-00.json", "--all", "--node", "sell", cwd=many)
    assert ran.exit_code == 0
    assert ran.stdout.startswith("accepted   1 of 2 bundles\n  captures/sell-00.json\n")
    assert (
        "left       1 bundle: accepted only with all of its groups\n  captures/buy-00.json  0 of 2 groups" in ran.stdout
    )
    for options in (("--kind", "effect_extra"), ("--path", "effects[*]")):
        ran = ergo("accept", "captures/buy-00.json", "--all", *options, "--path", "termination", cwd=many)
        assert ran.exit_code == 5, "the path chooses none of the differences"
    assert ergo("replay", "captures/buy-00.json", "--strict", cwd=many).exit_code == 4
    assert ergo("accept", "captures/buy-00.json", "--all", "--path", "effects[*]", cwd=many).exit_code == 0
    assert ergo("replay", "captures/buy-00.json", "--strict", cwd=many).exit_code == 0
    for options in (("--kind", "colour"), ("--path", "effects[")):
        ran = ergo("accept", "--all", *options, "--format", "json", cwd=many)
        assert (ran.exit_code, ran.report["error"]["where"]) == (2, f"option {options[0]}")


def test_a_folder_that_takes_no_lines_leaves_the_bundle(ergo: Ergo, desk: Path) -> None:
    before = (desk / BUNDLE).read_bytes()
    (desk / "captures" / "accepted.jsonl").mkdir()
    ran = ergo("accept", "--all", "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "accept.log_write_failed")
    assert (desk / BUNDLE).read_bytes() == before
    assert sorted(os.listdir(desk / "captures")) == ["accepted.jsonl", "monday.json"]


def test_a_line_that_was_not_finished_is_left_alone(ergo: Ergo, desk: Path) -> None:
    (desk / "captures" / "accepted.jsonl").write_text('{"bundle":"mon')
    assert ergo("accept", "--all", cwd=desk).exit_code == 0
    first, second = (desk / "captures" / "accepted.jsonl").read_text().splitlines()
    assert first == '{"bundle":"mon'
    assert json.loads(second)["bundle"] == "monday.json"


def test_standard_input_and_what_is_no_bundle_are_refused(ergo: Ergo, desk: Path) -> None:
    assert ergo("accept", "--all", "-", cwd=desk, stdin=(desk / BUNDLE).read_bytes()).exit_code == 2
    (desk / "no.json").write_text("[")
    ran = ergo("accept", "--all", "no.json", BUNDLE, "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "bundle.parse_failed")
    assert [each["state"] for each in ran.report["accept"]["bundles"]] == ["accepted"], "the other one is accepted"
    assert ergo("accept", "--all", "nowhere/*.json", cwd=desk).exit_code == 5


def test_stale_bundles_are_listed_after_a_clean_replay(ergo: Ergo, desk: Path) -> None:
    shutil.copy(FIXTURES / "boiler_alarm" / "captures" / "night.json", desk / "captures" / "night.json")
    shutil.copy(desk / BUNDLE, desk / "captures" / "copy.json")
    ran = ergo("accept", "--stale", "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.report["error"]["code"]) == (1, "accept.not_clean")
    assert ergo("accept", "--all", "captures/monday.json", "captures/copy.json", cwd=desk).exit_code == 0
    ran = ergo("accept", "--stale", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (
        0,
        "stale      1 bundle\n  captures/night.json\nmatch      2 bundles that profiles reach\n",
    )
    assert ergo("accept", "--stale", "--format", "json", cwd=desk).report["stale"] == [
        str(desk / "captures" / "night.json")
    ]
    assert ergo("accept", "--stale", "--all", cwd=desk).exit_code == 2


def test_bundles_of_every_form_and_name_at_once(ergo: Ergo, desk: Path, environment: dict[str, str]) -> None:
    folder = desk / "captures"
    edit(desk / "graphs" / "order_threshold.yaml", "value: 104.0", "value: 105.0")
    assert ergo("capture", "-o", "captures/a.json.zst", cwd=desk).exit_code == 0
    assert ergo("capture", "-o", "captures/b.json.gz", "--embed", cwd=desk).exit_code == 0
    assert ergo("capture", "-o", "captures/c.json", "--pretty", cwd=desk).exit_code == 0
    lower(desk)
    shutil.copy(folder / "c.json", folder / "two\nlines.json")
    shutil.copy(folder / "c.json", os.path.join(os.fsencode(folder), b"\xff\xfe.json"))
    (folder / "below").mkdir()
    shutil.copy(folder / "c.json", folder / "below" / "d.json")
    (folder / "a-link.json").symlink_to("below/d.json")
    ran = ergo("accept", "captures", "--all", cwd=desk)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("accepted   7 of 7 bundles\n"), "the link is the file that it names"
    assert (folder / "a-link.json").is_symlink()
    assert [line["bundle"] for line in lines(folder / "below" / "accepted.jsonl")] == ["d.json"]
    accepted = {line["bundle"] for line in lines(folder / "accepted.jsonl")}
    names = {"a.json.zst", "b.json.gz", "c.json", "monday.json", "two\nlines.json", "\\udcff\\udcfe.json"}
    assert accepted == names
    assert ergo("replay", "captures", "--strict", cwd=desk).exit_code == 0


def test_a_link_alone_is_accepted_at_the_file_that_it_names(ergo: Ergo, desk: Path) -> None:
    (desk / "link.json").symlink_to(BUNDLE)
    ran = ergo("accept", "link.json", "--all", cwd=desk)
    assert (ran.exit_code, (desk / "link.json").is_symlink()) == (0, True)
    assert ergo("replay", BUNDLE, "--strict", cwd=desk).exit_code == 0
