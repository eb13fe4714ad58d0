"""GitLab's code quality report: one array, each finding with a fingerprint that no other has."""

from __future__ import annotations

import msgspec

from ergo_cli.core.json import without_controls
from ergo_cli.report.document import Report
from ergo_cli.report.formats.cases import cases_of
from ergo_cli.report.formats.findings import Finding, Gravity, findings_of, one_line
from ergo_cli.report.formats.registry import Around
from ergo_cli.report.formats.sarif import fingerprint

_SEVERITIES = {
    Gravity.ERROR: "blocker",
    Gravity.DECISION: "critical",
    Gravity.EVIDENCE: "major",
    Gravity.TIMING: "minor",
    Gravity.WARNING: "info",
}


def render(report: Report, around: Around) -> bytes:
    """The array, without a byte order mark, which the reader would refuse."""
    found = findings_of(cases_of(report, around))
    return without_controls(msgspec.json.encode([_issue(finding) for finding in found])) + b"\n"


def _issue(finding: Finding) -> dict[str, object]:
    return {
        "description": one_line("; ".join((finding.text, *finding.reasons))),
        "check_name": finding.rule,
        "fingerprint": fingerprint(finding),
        "severity": _SEVERITIES[finding.gravity],
        "location": {"path": finding.file, "lines": {"begin": finding.line or 1}},
    }
