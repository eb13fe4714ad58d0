"""Render what ``runs gc`` removed (spec 50 §23, B-20)."""

from __future__ import annotations

from ergo_cli.core.diagnostics import counted
from ergo_cli.host.artifact_sweep import Amount, Sweep
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import AmountDocument, Report, SweepDocument
from ergo_cli.report.text import Line, Tone, fields

GC = "runs.gc"


def render_sweep(sweep: Sweep) -> CommandResult:
    """Render the amounts that were removed and kept."""
    document = SweepDocument(sweep.is_dry, _document(sweep.removed), _document(sweep.named), _document(sweep.young))
    headline = Line(f"{'would remove' if sweep.is_dry else 'removed'}: {_text(sweep.removed)}", Tone.GOOD)
    pairs = (("named by runs", _text(sweep.named)), ("too young", _text(sweep.young)))
    return CommandResult(
        Report(command=GC, outcome="ok", exit_code=0, swept=document), (headline, fields(pairs, indent=2))
    )


def _document(amount: Amount) -> AmountDocument:
    return AmountDocument(amount.artifacts, amount.size)


def _text(amount: Amount) -> str:
    return f"{counted(amount.artifacts, 'artifact')}, {amount.size:,} bytes"
