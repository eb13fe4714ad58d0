"""The decisions of one bundle that a replay compares, where it does not compare all of them."""

from __future__ import annotations

from ergo_cli.core.diagnostics import counted
from ergo_cli.errors import UsageError
from ergo_cli.replay.explaining import find_decision
from ergo_cli.replay.preflight import Scan
from ergo_cli.replay.results import Window


def window_in(scan: Scan, asked: Window) -> Window | UsageError:
    """The window in this bundle, an event in it by its place; an error where the bundle has none of its decisions."""
    if asked.event is not None:
        try:
            seq = find_decision(scan.reader, asked.event, 0).seq
        except UsageError as error:
            return error
        return Window(seq, seq, asked.event)
    if asked.first is not None and asked.first >= scan.decisions:
        message = f"'{scan.reader.path}' has {counted(scan.decisions, 'decision')}, none from {asked.first} on"
        fix = f"give --from 0 to {scan.decisions - 1}" if scan.decisions else "leave --from out"
        return UsageError("cli.invalid_option_value", message, where="option --from", fix=fix)
    return asked
