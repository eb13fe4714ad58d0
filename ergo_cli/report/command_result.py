"""The result of a command: its document, its text, what goes to standard error, its exit code (spec 00 §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.report.document import INTERRUPTED, ErrorDocument, Report, error_document, failure_outcome
from ergo_cli.report.text import Block

if TYPE_CHECKING:
    from ergo_cli.report.compared import Compared


class CommandResult(Struct, frozen=True):
    """The report document, the text blocks, and what goes to standard error.

    ``messages`` are lines for standard error, before the errors.
    ``document`` replaces the encoded report for commands that keep the original's JSON. ``seconds`` is how long each
    bundle or file took, where that was measured; ``files`` are those that the command read: no output may replace one.
    ``compared`` is what the bundles of the report were made of.
    """

    report: Report
    blocks: tuple[Block, ...] = ()
    errors: tuple[ErgoError, ...] = ()
    notices: tuple[Notice, ...] = ()
    document: bytes | None = None
    messages: tuple[str, ...] = ()
    seconds: tuple[float | None, ...] = ()
    files: tuple[str, ...] = ()
    compared: Compared | None = None


def refusal(command: str | None, error: ErgoError, exit_code: int) -> CommandResult:
    """The result of a command that ends with an error."""
    return CommandResult(_without_result(command, exit_code, error_document(error)), errors=(error,))


def interruption(command: str | None) -> CommandResult:
    """The result of a command that ends by a signal."""
    return CommandResult(_without_result(command, INTERRUPTED, None))


def _without_result(command: str | None, exit_code: int, error: ErrorDocument | None) -> Report:
    report = Report(command=command, outcome=failure_outcome(exit_code), exit_code=exit_code, error=error)
    match command:
        case "run" | "capture":
            return replace(report, run=None)
        case "inspect":
            return replace(report, inspect=None)
        case "export":
            return replace(report, exported=None)
        case "import":
            return replace(report, imported=None)
        case "validate":
            return replace(report, files=())
        case "recover":
            return replace(report, recovery=None)
        case "init":
            return replace(report, init=None)
        case "explain":
            return replace(report, episode=None)
        case "shrink":
            return replace(report, shrink=None)
        case "accept":
            return replace(report, accept=None)
        case "redact":
            return replace(report, redaction=None)
        case "bisect":
            return replace(report, bisection=None)
        case "graph":
            return replace(report, graph=None)
        case "runs.list":
            return replace(report, runs=())
        case "runs.show":
            return replace(report, run_summary=None)
        case "runs.timeline":
            return replace(report, run_timeline=None)
        case "runs.resume":
            return replace(report, run_resumed=None)
        case "runs.fork":
            return replace(report, run_fork=None)
        case "runs.export":
            return replace(report, run_exported=None)
        case "runs.import":
            return replace(report, runs_imported=None)
        case "runs.gc":
            return replace(report, swept=None)
        case "runs.cancel":
            return replace(report, run_cancelled=None)
        case _:
            return report
