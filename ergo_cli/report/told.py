"""A command's result on its way to whoever reads it."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.report.blocks import Block
from ergo_cli.report.document import ErrorDocument, Report, error_document
from ergo_cli.report.exit_codes import INTERRUPTED, failure_outcome


class Told(Struct, frozen=True):
    """The document for machines, the text for people, and what goes to standard error.

    ``document`` is printed for machines instead of the report by the commands that keep a form of their own.
    """

    report: Report
    blocks: tuple[Block, ...] = ()
    errors: tuple[ErgoError, ...] = ()
    notices: tuple[Notice, ...] = ()
    document: bytes | None = None


def refusal(command: str | None, error: ErgoError, exit_code: int) -> Told:
    """The result of a command that an error ended before it had one."""
    return Told(_without_result(command, exit_code, error_document(error)), errors=(error,))


def interruption(command: str | None) -> Told:
    """The result of a command that a signal ended before it had one."""
    return Told(_without_result(command, INTERRUPTED, None))


def _without_result(command: str | None, exit_code: int, error: ErrorDocument | None) -> Report:
    report = Report(command=command, outcome=failure_outcome(exit_code), exit_code=exit_code, error=error)
    match command:
        case "run" | "capture":
            return replace(report, run=None)
        case "inspect":
            return replace(report, inspect=None)
        case "validate":
            return replace(report, files=())
        case "recover":
            return replace(report, recovery=None)
        case "init":
            return replace(report, init=None)
        case "explain":
            return replace(report, episode=None)
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
        case _:
            return report
