"""Texts of strangers in the formats of CI systems: ids, payloads, file names; none is obeyed, all stay valid."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from ci_readers import CONTROLS, github, gitlab, junit, sarif, sarif_places
from html_reader import Page

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
HOSTILE = (
    "]]>&<b>\"'::error file=x,line=1::owned%0A::warning::owned%0D\r\n::error::owned\r::stop-commands::owned\n"
    "##[error]owned ##[add-mask]owned </td></details><script>owned()</script>|`owned` ``` ````` "
    "\x1b[31m\x1b]0;owned\x07 \u202eowned\u2066 \x00\x7f\x85\u2028 "
    "[owned](https://owned.example) {0} {{1}} @owned \ufffe\U0001f600"
)
NAME = "]]>&::error,file=x%0A`|<td>\n::error::owned \u202e\x1b[31m.json"
FORMATS = ("junit", "sarif", "github", "gitlab", "html")


@pytest.fixture
def agent(ergo: Ergo, tmp_path: Path) -> Path:
    """An agent whose prompt was edited after a capture in which ids and payloads are hostile."""
    home = tmp_path / "agent"
    shutil.copytree(FIXTURES / "agent", home)
    payload = {"case": "c-1", "customer": HOSTILE, "amount": 29.5, "reason": HOSTILE}
    event = {"type": "Command", "id": HOSTILE, "at": "9h", "payload": payload}
    lines = [{"kind": "episode_start", "id": "tuesday"}, {"kind": "event", "event": event}]
    (home / "events/tuesday.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = ergo("capture", "-o", NAME, cwd=home)
    assert ran.exit_code == 0, ran.stderr
    code = home / "refunds/agent.py"
    code.write_text(code.read_text().replace("How likely is it a fraud?", "Is it a fraud?"))
    return home


def refused(home: Path) -> None:
    """Cut the bundle off: its name is all that is left."""
    path = home / NAME
    path.write_bytes(path.read_bytes()[:100])


@pytest.fixture(params=["differs", "refused"])
def told(request: pytest.FixtureRequest, ergo: Ergo, agent: Path) -> dict[str, str]:
    """The result in all formats, and the summary in Markdown."""
    if request.param == "refused":
        refused(agent)
    wanted = {"differs": 1, "refused": 3}[request.param]
    summary = agent / "summary.md"
    shown: dict[str, str] = {}
    for form in FORMATS:
        named = {"GITHUB_STEP_SUMMARY": str(summary)} if form == "github" else {}
        ran = ergo("replay", NAME, "--format", form, cwd=agent, **named)
        assert ran.exit_code == wanted
        shown[form] = ran.stdout
    shown["summary"] = summary.read_text()
    return shown


def test_every_format_stays_valid(told: dict[str, str]) -> None:
    (case,) = junit(told["junit"])
    assert case.outcome in ("failure", "error")
    assert case.name.startswith("]]>&::error,file=x%0A`|<td>\\n::error::owned ")
    assert sarif(told["sarif"])["results"]
    assert gitlab(told["gitlab"])
    assert len(github(told["github"]).annotations) == 1
    assert Page(told["html"]).texts("h1")[0].startswith("]]>&::error,file=x%0A`|<td>\\n::error::owned ")


def test_no_command_of_a_stranger_is_obeyed(told: dict[str, str]) -> None:
    log = github(told["github"])
    assert [command.name for command in log.commands] == ["error"]
    assert log.commands[0].properties.get("file") in ("refunds/agent.py", None), "not a name that controls a terminal"
    assert set(log.commands[0].properties) <= {"file", "line", "title"}


def test_no_text_controls_a_terminal(told: dict[str, str]) -> None:
    for form, text in told.items():
        assert CONTROLS.search(text) is None, form


def test_markdown_has_strangers_texts_in_code_alone(told: dict[str, str]) -> None:
    """Outside of fences and code spans there is nothing but what ergo writes."""
    outside: list[str] = []
    fence = ""
    for line in told["summary"].splitlines():
        ticks = re.match(r"`{3,}", line)
        if fence:
            fence = "" if line == fence else fence
        elif ticks and line.endswith("text"):
            fence = ticks[0]
        else:
            outside.append(re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", line))
    assert not fence
    assert outside[0] in ("### ergo replay: 1 failed", "### ergo replay: 1 with errors")
    assert [line for line in outside[1:] if line] == []


def test_sarif_has_no_links_and_no_odd_addresses(told: dict[str, str]) -> None:
    run = sarif(told["sarif"])
    for result in run["results"]:
        assert "](" not in result["message"]["text"]
        for location in (*result["locations"], *result.get("relatedLocations", ())):
            assert re.fullmatch(r"[A-Za-z0-9._~/%-]+", location["physicalLocation"]["artifactLocation"]["uri"])


def test_a_difference_is_located_at_the_program(ergo: Ergo, agent: Path) -> None:
    line = next(
        at for at, text in enumerate((agent / "refunds/agent.py").read_text().splitlines(), 1) if "Is it a" in text
    )
    assert set(sarif_places(sarif(ergo("replay", NAME, "--format", "sarif", cwd=agent).stdout))) == {
        ("refunds/agent.py", line)
    }


def test_a_name_that_is_not_unicode(ergo: Ergo, agent: Path) -> None:
    odd = os.fsencode(agent) + b"/caf\xe9 ]]>.json"
    os.rename(os.fsencode(agent / NAME), odd)
    for form, read in (("junit", junit), ("sarif", sarif), ("github", github), ("gitlab", gitlab), ("html", Page)):
        ran = ergo("replay", os.fsdecode(odd), "--format", form, cwd=agent)
        assert ran.exit_code == 1
        assert read(ran.stdout)
        assert "caf" in ran.stdout


def test_a_difference_of_ten_megabytes(ergo: Ergo, agent: Path) -> None:
    """Every format stays small, and says what differs."""
    stream = agent / "events/tuesday.jsonl"
    long = "x" * 10_000_000
    text = json.dumps(HOSTILE)
    stream.write_text(stream.read_text().replace(f'"reason": {text}', f'"reason": "{long}"'))
    assert ergo("capture", "-o", "long.json", cwd=agent).exit_code == 0
    code = agent / "refunds/agent.py"
    code.write_text(code.read_text().replace("Is it a fraud?", "A fraud?"))
    sizes: dict[str, int] = {}
    for form, read in (("junit", junit), ("sarif", sarif), ("github", github), ("gitlab", gitlab), ("html", Page)):
        ran = ergo("replay", "long.json", "--format", form, cwd=agent)
        assert ran.exit_code == 1
        assert read(ran.stdout)
        sizes[form] = len(ran.stdout)
    assert max(sizes.values()) < 100_000
