"""What the formats are made of: cases, one a bundle or file, and their findings, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ergo_cli.report.text import printable, shorten

NOT_LISTED = "not_listed"
"""The rule of divergences that are only counted."""

EMPTY, INTERRUPTED = "empty", "interrupted"
"""The rules of a command that compared nothing, and of one that a signal ended."""

WARNING = "validate.warning"
"""The rule of what validation warns of."""

_LONGEST = 1000


class Gravity(IntEnum):
    """How much a finding weighs, the gravest first: what could not be compared, the levels of differences, warnings."""

    ERROR = 0
    DECISION = 1
    EVIDENCE = 2
    TIMING = 3
    WARNING = 4


class Finding(Struct, frozen=True, kw_only=True):
    """Differences of one bundle with one cause, node and path, or one error; texts are one printable line each.

    ``rule`` is the kind of the difference or the code of the error. ``reasons`` are the lines below the text: why, and
    what to do. ``file`` is relative to the top of the repository where it is below that, with ``/``; ``subject`` is
    the bundle or file that it is about. ``identity`` tells it from all others and holds no line number. ``fails``: it
    fails the command.
    """

    rule: str
    gravity: Gravity
    fails: bool
    text: str
    reasons: tuple[str, ...] = ()
    file: str
    line: int | None = None
    node: str | None = None
    subject: str
    reproduce: str | None = None
    count: int = 1
    identity: tuple[str, ...] = ()


class Case(Struct, frozen=True, kw_only=True):
    """One bundle or file: ``verdict`` in one line, ``details`` below it, empty where nothing is to be said.

    ``is_error``: it could not be compared.
    """

    name: str
    file: str
    verdict: str
    details: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reproduce: str | None = None
    findings: tuple[Finding, ...] = ()
    is_error: bool = False
    fails: bool = False
    seconds: float | None = None


def findings_of(cases: Iterable[Case]) -> list[Finding]:
    """All findings, the gravest first; equal ones are told apart by their number."""
    found = sorted((finding for case in cases for finding in case.findings), key=lambda each: each.gravity)
    seen: dict[tuple[str, ...], int] = {}
    numbered: list[Finding] = []
    for each in found:
        number = seen[each.identity] = seen.get(each.identity, -1) + 1
        numbered.append(replace(each, identity=(*each.identity, str(number))) if number else each)
    return numbered


def one_line(text: str, width: int = _LONGEST) -> str:
    """``text`` as one printable line of at most ``width`` characters."""
    return printable(shorten(text, width))


def text_or_none(text: str | UnsetType) -> str | None:
    """A text of the report as one printable line."""
    return None if text is UNSET else printable(text)
