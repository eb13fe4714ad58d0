"""The formats of CI systems as their readers take them: each checks its schema first, and refuses what it forbids."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
from junitparser import JUnitXml
from lxml import etree
from sarif_kit.validate import validation_errors

_SCHEMAS = Path(__file__).parent / "report" / "schemas"
_JUNIT = etree.XMLSchema(etree.parse(_SCHEMAS / "junit.xsd"))
_GITLAB = jsonschema_rs.validator_for(json.loads((_SCHEMAS / "gitlab-code-quality.json").read_text()))
_COMMANDS = {"error", "warning", "notice", "debug", "group", "endgroup", "echo", "stop-commands", "set-output"}
_COMMANDS |= {"add-mask", "add-matcher", "remove-matcher", "save-state", "set-env", "add-path"}
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f؜‎‏\u2028-\u202e\u2066-\u2069]")
"""What controls a terminal, or the direction of a text."""


class JunitCase(NamedTuple):
    """A test case, and what became of it: ``passed``, ``failure`` or ``error``, with attribute and text."""

    name: str
    file: str
    outcome: str
    message: str = ""
    text: str = ""
    output: str = ""


def junit(data: bytes | str) -> list[JunitCase]:
    """The cases of a report that its schema allows and whose counts are right."""
    raw = data.encode() if isinstance(data, str) else data
    tree = etree.fromstring(raw, etree.XMLParser(resolve_entities=False, huge_tree=True))
    _JUNIT.assertValid(tree)
    cases: list[JunitCase] = []
    for suite in JUnitXml.fromroot(tree):
        for case in suite:
            found = (case.name or "", case._elem.get("file"), case.system_out or "")
            if case.result:
                (result,) = case.result
                kind, text = type(result).__name__.lower(), result.text or ""
                cases.append(JunitCase(found[0], found[1], kind, result.message, text, found[2]))
            else:
                cases.append(JunitCase(found[0], found[1], "passed", output=found[2]))
        assert suite.tests == len(cases)
        assert suite.failures == sum(case.outcome == "failure" for case in cases)
        assert suite.errors == sum(case.outcome == "error" for case in cases)
    return cases


def sarif(data: bytes | str) -> dict[str, Any]:
    """The one run of a log that the schema allows, whose results point to their rules and differ in fingerprint."""
    log = json.loads(data)
    assert validation_errors(log) == []
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert len(result["locations"]) == 1
    prints = [tuple(result["partialFingerprints"].items()) for result in run["results"]]
    assert len(prints) == len(set(prints))
    assert "/" in run["automationDetails"]["id"]
    return run


def sarif_places(run: dict[str, Any]) -> list[tuple[str, int]]:
    """The file and line of each result."""
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    return [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in places]


def gitlab(data: bytes | str) -> list[dict[str, Any]]:
    """The issues of a report that the schema allows, without a byte order mark and with a fingerprint each."""
    raw = data.encode() if isinstance(data, str) else data
    assert not raw.startswith(b"\xef\xbb\xbf")
    issues = json.loads(raw)
    _GITLAB.validate(issues)
    prints = [issue["fingerprint"] for issue in issues]
    assert len(prints) == len(set(prints))
    return issues


class Command(NamedTuple):
    """A workflow command that a runner obeys."""

    name: str
    properties: dict[str, str]
    data: str


class Log(NamedTuple):
    """What a runner makes of the output of a step: commands that it obeys, and the lines that it shows."""

    commands: list[Command]
    lines: list[str]

    @property
    def annotations(self) -> list[Command]:
        return [each for each in self.commands if each.name in ("error", "warning", "notice")]


def github(data: bytes | str) -> Log:
    """As the runner reads it: a command in front of a line, or the older form in its midst; none while stopped."""
    text = data if isinstance(data, str) else data.decode()
    stopped, log = "", Log([], [])
    for line in re.split("\r\n|\r|\n", text):
        command = _command(line, _COMMANDS | {stopped})
        if command is None or (stopped and command.name.lower() != stopped):
            log.lines.append(line)
        elif stopped:
            stopped = ""
        elif command.name == "stop-commands":
            stopped = command.data.lower()
            assert len(stopped) >= 32, "a weak token is refused"
        else:
            log.commands.append(command)
    assert not stopped, "commands stay stopped for the steps behind"
    return log


def _command(line: str, known: set[str]) -> Command | None:
    found = re.match(r"\s*::([^ :]+)(?: ([^:]*))?::(.*)", line, re.DOTALL)
    if found is not None and found[1].lower() in known:
        pairs = (pair.partition("=") for pair in (found[2] or "").split(",") if pair)
        return Command(found[1], {name.strip(): _plain(value) for name, _, value in pairs}, _plain(found[3]))
    older = re.search(r"##\[([^\] ]+)[^\]]*\](.*)", line, re.DOTALL)
    return Command(older[1], {}, older[2]) if older is not None and older[1].lower() in known else None


def _plain(text: str) -> str:
    for escape, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, character)
    return text
