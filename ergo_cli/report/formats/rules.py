"""What each kind of difference is called where a format wants a list of rules."""

from __future__ import annotations

from collections.abc import Mapping

from ergo_cli.replay.results import DivergenceKind
from ergo_cli.report.formats.findings import EMPTY, INTERRUPTED, NOT_LISTED, WARNING

RULES: Mapping[str, str] = {
    DivergenceKind.DECISION.value: "A decision of the supervisor is another than the recorded one.",
    DivergenceKind.TERMINATION.value: "An episode ends otherwise than it was recorded.",
    DivergenceKind.DECISION_MISSING.value: "A recorded decision is not made.",
    DivergenceKind.DECISION_EXTRA.value: "A decision is made that was not recorded.",
    DivergenceKind.EFFECT_CHANGED.value: "An effect is another than the recorded one.",
    DivergenceKind.EFFECT_MISSING.value: "A recorded effect is not made.",
    DivergenceKind.EFFECT_EXTRA.value: "An effect is made that was not recorded.",
    DivergenceKind.EFFECT_ORDER.value: "Effects are made in another order than recorded.",
    DivergenceKind.JOURNAL.value: "A record of the program is another than the recorded one.",
    DivergenceKind.PROGRAM.value: "The program stops, so that the rest is not compared.",
    DivergenceKind.EVENT_MISSING.value: "An event of the first bundle is not in the second.",
    DivergenceKind.EVENT_EXTRA.value: "An event of the second bundle is not in the first.",
    DivergenceKind.EVENT_MOVED.value: "An event stands elsewhere in the stream.",
    DivergenceKind.EVENT_CHANGED.value: "An event is another in the second bundle.",
    DivergenceKind.HEADER.value: "The headers of two bundles differ.",
    DivergenceKind.EVIDENCE.value: "An acknowledgement or an interruption is another.",
    NOT_LISTED: "More divergences than --max-divergences lists.",
    EMPTY: "No bundle matched, so that nothing was compared.",
    INTERRUPTED: "The command was interrupted, so that not everything was compared.",
    WARNING: "A file is valid, but something in it is doubtful.",
}
"""By the rule of a finding; the other rules are codes of errors."""


def described(rule: str) -> str:
    """A sentence about a rule."""
    return RULES.get(rule) or f"The error {rule}: something cannot be read, run or compared."
