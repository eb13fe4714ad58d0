"""JUnit XML: one case a bundle or file; what differs is a failure, what cannot be compared an error.

Readers show the attribute ``message`` or the text, so that both say what is wrong; the text begins with the command
that reproduces it. Characters that XML cannot hold are escapes, as in text reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergo_cli.report.document import Report
from ergo_cli.report.formats.cases import cases_of
from ergo_cli.report.formats.findings import Case, one_line
from ergo_cli.report.formats.registry import Around
from ergo_cli.report.text import printable

MOST_BYTES = 30_000_000
"""What the readers of CI systems take."""

_LONGEST_TEXT = 100_000
_LEAST_TEXT = 200
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def render(report: Report, around: Around) -> bytes:
    """The document; long texts are cut, so that it stays below ``MOST_BYTES``."""
    cases = cases_of(report, around)
    bare = "".join(_document(report, cases, 0)).encode()
    room = (MOST_BYTES - len(bare)) // max(1, sum(map(_has_text, cases)))
    return "".join(_document(report, cases, max(_LEAST_TEXT, min(_LONGEST_TEXT, room)))).encode()


def _has_text(case: Case) -> bool:
    return case.fails or bool(case.details or case.warnings)


def _document(report: Report, cases: Sequence[Case], room: int) -> Iterator[str]:
    name = f"ergo {report.command}" if report.command else "ergo"
    errors = sum(case.is_error for case in cases)
    failures = sum(case.fails for case in cases) - errors
    took = [case.seconds for case in cases if case.seconds is not None]
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}"{_time(sum(took) if took else None)}'
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="{name}" {counts}>\n'
    yield f'<testsuite name="{name}" {counts} skipped="0">\n'
    for case in cases:
        yield from _case(case, name.replace(" ", "."), room)
    if report.warnings:
        warnings = [f"warning: {one_line(each)}" for each in report.warnings]
        yield f"<system-out>{_escaped(_cut(warnings, room))}</system-out>\n"
    yield "</testsuite>\n</testsuites>\n"


def _case(case: Case, classname: str, room: int) -> Iterator[str]:
    place = f' file="{_escaped(printable(case.file))}"'
    yield f'<testcase classname="{classname}" name="{_escaped(case.name)}"{place}{_time(case.seconds)}>'
    if case.fails:
        tag = "error" if case.is_error else "failure"
        kind = _escaped(case.findings[0].rule) if case.findings else tag
        text = _cut((case.reproduce or "", case.verdict, "", *case.details, *_warnings(case)), room)
        yield f'\n<{tag} message="{_escaped(case.verdict)}" type="{kind}">{_escaped(text)}</{tag}>\n'
    elif case.details or case.warnings:
        text = _cut((case.verdict, *case.details, *_warnings(case)), room)
        yield f"\n<system-out>{_escaped(text)}</system-out>\n"
    yield "</testcase>\n"


def _warnings(case: Case) -> Iterator[str]:
    return (f"warning: {each}" for each in case.warnings)


def _cut(lines: Sequence[str], room: int) -> str:
    """Lines that take at most ``room`` bytes once they are escaped; what is left out is counted."""
    kept: list[str] = []
    for number, line in enumerate(lines):
        room -= len(_escaped(line).encode()) + 1
        if room < 0:
            kept.append(f"… {len(lines) - number:,} more lines are cut")
            break
        kept.append(line)
    return "\n".join(kept)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f' time="{seconds:.3f}"'


def _escaped(text: str) -> str:
    return text.translate(_ENTITIES)
