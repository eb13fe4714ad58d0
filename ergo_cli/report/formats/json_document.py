"""The report document itself."""

from __future__ import annotations

from ergo_cli.report.document import Report, encode_report
from ergo_cli.report.formats.registry import Around


def render(report: Report, around: Around) -> bytes:
    """The document as one line."""
    return encode_report(report)
