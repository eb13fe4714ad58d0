"""GitHub Actions: annotations as workflow commands, then the result as text in which no command is obeyed.

A runner reads commands in every line of its output: in front of it ``::name::``, and anywhere ``##[name]``. Texts of
bundles and programs therefore stand in annotations, escaped, and between ``::stop-commands::`` and its token alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from msgspec import UNSET

from ergo_cli.core.diagnostics import counted
from ergo_cli.report.document import Report
from ergo_cli.report.formats.cases import cases_of
from ergo_cli.report.formats.findings import Case, Finding, Gravity, findings_of, one_line
from ergo_cli.report.formats.registry import Around

MOST_ANNOTATIONS = 10
"""What a step may show of one severity."""

_MOST_LINES = 100
_BACKTICKS = "`"


def render(report: Report, around: Around) -> bytes:
    """The annotations, the gravest first, then the text of all cases."""
    cases = cases_of(report, around)
    found = _joined(findings_of(cases))
    lines = [_annotation(group) for group in found[:MOST_ANNOTATIONS]]
    text = "\n".join(_text(report, cases, len(found) - MOST_ANNOTATIONS))
    token = _token(text)
    return "\n".join([*lines, f"::stop-commands::{token}", text, f"::{token}::", ""]).encode()


def summary(report: Report, around: Around, room: int) -> bytes:
    """The result in Markdown; what does not fit ``room`` bytes is left out and counted."""
    cases = cases_of(report, around)
    blocks = list(_blocks(report, cases))
    written = b""
    for number, block in enumerate(blocks):
        rest = f"\n{counted(len(blocks) - number, 'more part')} left out: this summary is full.\n".encode()
        whole = f"{block}\n".encode()
        if len(written) + len(whole) + len(rest) > room:
            return written + rest if len(written) + len(rest) <= room else written
        written += whole
    return written


def _joined(findings: Sequence[Finding]) -> list[Sequence[Finding]]:
    """The findings that one annotation stands for: those of one rule, node, place and reason."""
    found: dict[tuple[object, ...], list[Finding]] = {}
    for each in findings:
        alone = each.text if each.gravity in (Gravity.ERROR, Gravity.WARNING) else None
        key = (each.rule, each.gravity, each.node, each.file, each.line, each.reasons, alone)
        found.setdefault(key, []).append(each)
    return list(found.values())


def _annotation(group: Sequence[Finding]) -> str:
    finding, bundles = group[0], len({each.subject for each in group})
    place = f"file={_property(finding.file)},line={finding.line or 1}," if _is_shown(finding.file) else ""
    more = [f"and {counted(len(group) - 1, 'more finding')} here, of {counted(bundles, 'bundle')}"] if group[1:] else []
    again = [] if finding.reproduce is None else [f"reproduce: {finding.reproduce}"]
    message = "\n".join([finding.text, *finding.reasons, *more, *again])
    title = _property(one_line(f"ergo: {finding.rule}"))
    return f"::{_severity(finding)} {place}title={title}::{_data(message)}"


def _is_shown(file: str) -> bool:
    """Whether an annotation may name a file: one of the repository that does not control the terminal of the log."""
    return file.isprintable() and not file.startswith("/")


def _severity(finding: Finding) -> str:
    if finding.fails:
        return "error"
    return "notice" if finding.gravity is Gravity.TIMING else "warning"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _token(text: str) -> str:
    """A word that does not occur in the text, and that no author of a part of it can know."""
    token = sha256(text.encode()).hexdigest()
    while token in text.lower():
        token = sha256(token.encode()).hexdigest()
    return token


def _text(report: Report, cases: Sequence[Case], unshown: int) -> Iterator[str]:
    yield _headline(report, cases)
    for warning in report.warnings:
        yield f"warning: {one_line(warning)}"
    for case in cases:
        if case.fails or case.details or case.warnings:
            yield ""
            yield from _lines(case)
    if unshown > 0:
        yield ""
        yield f"{counted(unshown, 'more finding')} without an annotation: a step shows {MOST_ANNOTATIONS}"


def _lines(case: Case) -> Iterator[str]:
    yield case.verdict
    yield from (f"  {line}" for line in case.details[:_MOST_LINES])
    if len(case.details) > _MOST_LINES:
        yield f"  and {len(case.details) - _MOST_LINES:,} more lines"
    yield from (f"  warning: {line}" for line in case.warnings)
    if case.reproduce is not None:
        yield f"  reproduce: {case.reproduce}"


def _headline(report: Report, cases: Sequence[Case]) -> str:
    command = f"ergo {report.command}" if report.command else "ergo"
    errors = sum(case.is_error for case in cases)
    failing = sum(case.fails for case in cases) - errors
    parts = ((len(cases) - failing - errors, "passed"), (failing, "failed"), (errors, "with errors"))
    shard = "" if report.shard is UNSET else f", shard {report.shard.index}/{report.shard.count}"
    return f"{command}{shard}: {', '.join(f'{number:,} {name}' for number, name in parts if number) or 'no bundle'}"


def _blocks(report: Report, cases: Sequence[Case]) -> Iterator[str]:
    """The parts of the summary; texts of others stand in code alone, where Markdown and HTML mean nothing."""
    yield f"### {_headline(report, cases)}\n"
    for case in cases:
        if case.fails or case.details:
            yield f"{_span(case.name)}\n\n{_fenced(_lines(case))}\n"
    if report.warnings:
        yield _fenced(f"warning: {one_line(each)}" for each in report.warnings)


def _span(text: str) -> str:
    ticks = _BACKTICKS * (_longest_run(text) + 1)
    return f"{ticks} {text} {ticks}"


def _fenced(lines: Iterator[str]) -> str:
    text = "\n".join(lines)
    fence = _BACKTICKS * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    """The length of the longest run of backticks."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == _BACKTICKS else 0
        longest = max(longest, run)
    return longest
