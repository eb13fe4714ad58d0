"""Fast path of a replay: walk a bundle once, decide its events again and compare the decisions as bytes.

It can only confirm that everything is as recorded. Anything else ends it without a result: the full path
(``preflight``, ``comparison``) then starts over and reports the differences in the order of spec 11.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from ergo_cli.bundle.checking import has_plain_form
from ergo_cli.bundle.encoding import decision_block
from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import EventRecord, rehydrate_together
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import adapter_provenance, context_rule
from ergo_cli.events.external import ContextRule, ExternalEvent
from ergo_cli.host.effects import ApplyEffects, replay_owned_kinds
from ergo_cli.host.step import decide_all
from ergo_cli.replay.preflight import check_fit, check_version
from ergo_cli.replay.results import BundleResult, DecisionCounts, Outcome, ReplayOptions, Target
from ergo_cli.supervisor.seam import DecidedEffects, Decision
from ergo_cli.supervisor.supervisor import Decider


def match_bytes(
    reader: BundleReader, target: Target, options: ReplayOptions, on_event: Callable[[], None] | None = None
) -> BundleResult | None:
    """The result of a replay that matches in every byte; None where the full path must decide.

    ``reader`` may come from ``skim_bundle``. ``on_event`` is called after each event. Returns None for stateful
    programs: their journals cannot be compared through the bytes of decisions.
    """
    if options.ignore or target.program.kind.computing is None or not _is_of(reader, target):
        return None
    try:
        check_version(reader.capture_version)
        check_fit(target.program, target.adapter)
        BundleJournals(reader).check()
        if options.strict and not has_plain_form(reader):
            return None
        counts = _matching(reader, target, options, on_event)
    except (ErgoError, ValueError):  # the full path reports the fault
        return None
    if counts is None:
        return None
    decisions = DecisionCounts(*counts.values())
    return BundleResult(reader.path, Outcome.MATCH, None, sum(counts.values()), decisions, graph_id=reader.graph_id)


def _is_of(reader: BundleReader, target: Target) -> bool:
    """Whether the bundle was captured from exactly this program and adapter."""
    header, program = reader.header, target.program
    return (
        reader.kind_name == program.kind.name
        and header.graph_id == program.graph_id
        and header.runtime_provenance == program.provenance
        and header.adapter_provenance == adapter_provenance(target.adapter)
    )


def _matching(
    reader: BundleReader, target: Target, options: ReplayOptions, on_event: Callable[[], None] | None
) -> dict[Decision, int] | None:
    """The counts of decisions by kind if their texts equal the recorded ones, else None."""
    computing, value = target.program.kind.computing, target.program.value
    assert computing is not None, "only programs that compute come here"
    counts = dict.fromkeys(Decision, 0)
    effects = ApplyEffects(target.adapter, replay_owned_kinds(computing.emits(value), target.adapter))
    decider = Decider(reader.graph_id, reader.header.constraints, computing.invoker(value))
    rule = context_rule(target.adapter)
    recorded, ids, separator = _Recorded(reader.decision_blocks()), DigestSet(), b""
    for records in reader.plain_event_batches() if options.strict else reader.event_batches():
        decided: list[DecidedEffects] = []
        decide_all(decider, effects, _sound(records, ids, options.numbers, rule), decided, on_event)
        if not recorded.goes_on(separator + decision_block(decided, b",")):
            return None
        separator = b","
        for decision, count in Counter([entry.decision for entry, _ in decided]).items():
            counts[decision] += count
    return counts if recorded.is_at_end() else None


class _Recorded:
    """The text of the recorded decisions, consumed while they are decided again."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._ahead = b""

    def goes_on(self, text: bytes) -> bool:
        """Whether ``text`` comes next; consumes it."""
        while len(self._ahead) < len(text):
            block = next(self._blocks, b"")
            if not block:
                return False
            self._ahead += block
        found = self._ahead.startswith(text)
        self._ahead = self._ahead[len(text) :]
        return found

    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return not self._ahead and not any(self._blocks)


def _sound(
    records: Sequence[EventRecord], ids: DigestSet, numbers: Numbers, rule: ContextRule
) -> Iterable[ExternalEvent]:
    """Yield the events, checking payload hashes and unique ids. Raises ErgoError or ValueError."""
    if ids.add_all([record.event_id for record in records]) < len(records):
        raise ValueError("an event id that was used before")
    return rehydrate_together(records, numbers, rule)
