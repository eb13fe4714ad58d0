"""SARIF 2.1.0: each finding as a result at its place in the program.

A fingerprint holds no line number, so that a finding stays the same when lines are added above it. Readers take the
part of ``automationDetails.id`` before its last slash for the name of the analysis.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import msgspec

from ergo_cli.core.json import without_controls
from ergo_cli.report.document import Report
from ergo_cli.report.formats.cases import cases_of
from ergo_cli.report.formats.findings import Finding, Gravity, findings_of, one_line
from ergo_cli.report.formats.registry import Around
from ergo_cli.report.formats.rules import RULES, described
from ergo_cli.version import __version__

MOST_RESULTS = 5000
"""What code scanning keeps of a run."""

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_TOP = "%SRCROOT%"
_LEVELS = {
    Gravity.ERROR: "error",
    Gravity.DECISION: "error",
    Gravity.EVIDENCE: "warning",
    Gravity.TIMING: "note",
    Gravity.WARNING: "warning",
}
_RAN = (0, 1)
"""The exit codes of a comparison that was carried through."""


def render(report: Report, around: Around) -> bytes:
    """The log with one run; of more results than code scanning keeps it has the gravest, and says so."""
    found = findings_of(cases_of(report, around))
    kept = found[:MOST_RESULTS]
    rules = list(dict.fromkeys((*RULES, *(finding.rule for finding in kept))))
    numbers = {rule: number for number, rule in enumerate(rules)}
    name = report.command or "command"
    run = {
        "tool": {
            "driver": {
                "name": "ergo",
                "semanticVersion": __version__,
                "version": __version__,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "automationDetails": {"id": f"ergo/{name}/"},
        "invocations": [
            {
                "executionSuccessful": report.exit_code in _RAN,
                "exitCode": report.exit_code,
                "toolExecutionNotifications": list(_notifications(report, len(found) - len(kept))),
            }
        ],
        "originalUriBaseIds": {_TOP: {"description": {"text": "The top of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, numbers[finding.rule]) for finding in kept],
    }
    return without_controls(msgspec.json.encode({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})) + b"\n"


def _rule(rule: str) -> dict[str, Any]:
    return {"id": rule, "shortDescription": {"text": described(rule)}}


def _result(finding: Finding, number: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": number,
        "level": "error" if finding.fails else _LEVELS[finding.gravity],
        "message": {"text": "\n".join(_message(finding))},
        "locations": [_location(finding)],
        "occurrenceCount": finding.count,
        "properties": {"level": finding.gravity.name.lower(), "bundle": finding.subject},
        "partialFingerprints": {"ergo/v1": fingerprint(finding)},
    }
    if finding.subject != finding.file:
        result["relatedLocations"] = [
            {
                "physicalLocation": {"artifactLocation": _artifact(finding.subject)},
                "message": {"text": "the recording"},
            }
        ]
    return result


def fingerprint(finding: Finding) -> str:
    """A digest of what tells a finding from all others."""
    return sha256(msgspec.json.encode(finding.identity)).hexdigest()[:32]


def _message(finding: Finding) -> Iterator[str]:
    yield _without_links(finding.text)
    yield from map(_without_links, finding.reasons)
    if finding.reproduce is not None:
        yield _without_links(f"reproduce: {one_line(finding.reproduce)}")


def _without_links(text: str) -> str:
    """``text`` in which no reader sees an embedded link: ``[text](target)``."""
    return re.sub(r"\](?=\()", "] ", text)


def _location(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": _artifact(finding.file),
            "region": {"startLine": finding.line or 1},
        }
    }
    if finding.node:
        location["logicalLocations"] = [{"fullyQualifiedName": one_line(finding.node)}]
    return location


def _artifact(path: str) -> dict[str, str]:
    """A file by a URI that is relative to the top of the repository, or absolute where it is elsewhere."""
    if path.startswith("/"):
        return {"uri": f"file://{quote(path)}"}
    return {"uri": quote(path), "uriBaseId": _TOP}


def _notifications(report: Report, unkept: int) -> Iterator[dict[str, Any]]:
    if unkept:
        text = f"{unkept:,} more results are left out: code scanning keeps {MOST_RESULTS:,}"
        yield {"level": "warning", "message": {"text": text}}
    if report.error is not None:
        yield {"level": "error", "message": {"text": _without_links(one_line(report.error.message))}}
    for warning in _warnings(report):
        yield {"level": "warning", "message": {"text": _without_links(one_line(warning))}}


def _warnings(report: Report) -> Sequence[str]:
    return tuple(dict.fromkeys((*report.warnings, *(text for each in report.bundles for text in each.warnings))))
