"""The ``ergo.report/1`` document: one shape for every command, members in wire order (spec 00 §7, §12.8)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ergo_cli.bundle.inspection import DecisionCounts, Inspection
from ergo_cli.core.json import JsonValue
from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError

SCHEMA = "ergo.report/1"


class ErrorDocument(Struct, frozen=True):
    """An error as machines read it; ``causes`` have the same shape."""

    code: str
    rule: str | None
    message: str
    where: str | None
    fix: str | None
    details: tuple[str, ...]
    causes: tuple[ErrorDocument, ...]


class DivergenceDocument(Struct, frozen=True):
    """One difference (spec 00 §12.7)."""

    seq: int
    event_id: str | None
    episode_id: int | None
    occurrence: int
    kind: str
    code: str | None
    path: str
    expected: JsonValue
    actual: JsonValue
    node: str | None
    origin: str | None
    cause: str | None


class BundleDocument(Struct, frozen=True, kw_only=True):
    """What became of one bundle; ``base`` is written by ``diff`` alone."""

    path: str
    base: str | UnsetType = UNSET
    outcome: str
    error: ErrorDocument | None
    events: int | None
    decisions: DecisionCounts | None
    warnings: tuple[str, ...]
    divergence_count: int
    divergences: tuple[DivergenceDocument, ...]


class InterruptionDocument(Struct, frozen=True, omit_defaults=True):
    """Why a run was stopped (spec 30 §13.1)."""

    code: str


class RunDocument(Struct, frozen=True):
    """What a run came to; ``bundle`` is the path of the capture, if one was kept."""

    graph_id: str
    events: int
    episodes: int
    invoked: int
    deferred: int
    skipped: int
    failed: int
    interruption: InterruptionDocument | None
    bundle: str | None


class FileDocument(Struct, frozen=True):
    """What ``validate`` found out about one file."""

    path: str
    kind: str | None
    id: str | None
    outcome: str
    errors: tuple[ErrorDocument, ...]
    warnings: tuple[str, ...]


class Report(Struct, frozen=True, kw_only=True):
    """The document of one command; its own member (``run``, ``inspect``, ``files``) comes last."""

    schema: str = SCHEMA
    command: str | None
    outcome: str
    exit_code: int
    error: ErrorDocument | None = None
    bundles: tuple[BundleDocument, ...] = ()
    warnings: tuple[str, ...] = ()
    run: RunDocument | UnsetType | None = UNSET
    inspect: Inspection | UnsetType | None = UNSET
    files: tuple[FileDocument, ...] | UnsetType = UNSET


def error_document(error: ErgoError) -> ErrorDocument:
    """``error`` with everything behind it."""
    return ErrorDocument(
        code=error.code,
        rule=error.rule,
        message=unicode(error.message),
        where=None if error.where is None else unicode(error.where),
        fix=None if error.fix is None else unicode(error.fix),
        details=tuple(unicode(detail) for detail in error.details),
        causes=tuple(error_document(cause) for cause in error.causes),
    )


def warning_texts(notices: Iterable[Notice]) -> tuple[str, ...]:
    """Each warning as one string, its place in front."""
    return tuple(warning_text(notice) for notice in notices)


def warning_text(notice: Notice) -> str:
    """``<where>: <message>``, or the message alone."""
    return unicode(notice.message if notice.where is None else f"{notice.where}: {notice.message}")


def unicode(text: str) -> str:
    """``text`` with lone surrogates, which a file name may hold and JSON may not, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def encode_report(report: Report) -> bytes:
    """The document as one line of JSON, ended by a newline."""
    return msgspec.json.encode(report) + b"\n"
