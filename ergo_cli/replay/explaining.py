"""One episode of a bundle explained: what today's program does for it, or what its journal holds (spec 00 §12.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, rehydrate_for_replay
from ergo_cli.core.diagnostics import Notice, counted, did_you_mean, nearest_few
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import UsageError
from ergo_cli.events.adapter import Adapter, context_rule
from ergo_cli.events.external import ContextRule
from ergo_cli.programs.kind import Line
from ergo_cli.programs.program import AnyProgram
from ergo_cli.programs.recorded import Episode, Reasoned
from ergo_cli.replay.preflight import check_kind, check_version
from ergo_cli.supervisor.journals import End
from ergo_cli.supervisor.seam import Decision, Outcome

_CANDIDATES = 10_000
_NAMED = 3
"""The most ids of a bundle that are searched for the nearest one."""


class Assigned(Struct, frozen=True):
    """Today's program for a bundle, and how its payloads are read and become contexts.

    ``recorded`` is the program of the capture where it is another and known; ``notices`` are what finding them said,
    ``rule`` is the rule that found today's (spec 00 §3), ``files`` are those that it was made of.
    """

    program: AnyProgram
    numbers: Numbers = Numbers.EXACT
    recorded: AnyProgram | None = None
    notices: tuple[Notice, ...] = ()
    rule: str | None = None
    files: tuple[str, ...] = ()
    adapter: Adapter | None = None

    @property
    def context_rule(self) -> ContextRule:
        """How payloads become contexts."""
        return context_rule(self.adapter)


class Part(Struct, frozen=True):
    """Lines that belong together: the nodes of a pass, or the records of one call with its ``attempt`` and ``end``.

    ``run_id`` is the run that the call drove, or that it spawned: the records of such a run have no ``end``.
    ``reasons`` says of each state of the run why it ran; the first part of a run has them. ``recorded`` are the lines
    of the capture's program, by their paths, where it is another and known.
    """

    lines: tuple[Line, ...]
    run_id: str | None = None
    attempt: int = 0
    end: End | None = None
    reasons: Sequence[tuple[str, str]] = ()
    recorded: Mapping[str, Line] | None = None


class Explanation(Struct, frozen=True):
    """A decision, and what happened for it; no parts where no episode ran.

    ``kind`` and ``graph_id`` name the program. ``remark`` says what the parts do not: why there are none, or for which
    deferred event they are. ``is_traced``: today's program was run again for them, else they are what was recorded.
    """

    seq: int
    record: DecisionRecord
    kind: str
    graph_id: str
    parts: tuple[Part, ...]
    remark: str | None
    notices: tuple[Notice, ...] = ()
    is_traced: bool = False


def explain_event(
    reader: BundleReader, find: Callable[[BundleReader], Assigned], event_id: str, occurrence: int = 0
) -> Explanation:
    """The decision for an event and its episode; ``occurrence`` counts earlier events of the same id, from 0.

    ``find`` is asked for today's program where the bundle does not hold what happened itself. Raises UsageError
    ``cli.invalid_option_value`` for an event that the bundle does not have, ReplayError
    (``replay.unsupported_capture_version``, ``replay.hash_mismatch``, ``replay.event_rehydrate_failed``), ProgramError
    ``program.wrong_kind``, BundleError.
    """
    if reader.kind.acting is not None:
        found = find_decision(reader, event_id, occurrence)
        parts = _recorded(reader, found.seq)
        return Explanation(found.seq, found.record, reader.kind_name, reader.graph_id, parts, found.remark)
    today = find(reader)
    check_kind(reader, today.program)
    check_version(reader.capture_version)
    BundleJournals(reader).check()
    found = find_decision(reader, event_id, occurrence)
    parts = _traced(found, today) if found.has_run else ()
    remark = found.remark
    if found.has_run and not parts:
        remark = f"{today.program.graph_id} has no nodes: only the decision counts"
    notices = _changed(reader, today.program)
    return Explanation(
        found.seq, found.record, today.program.kind.name, today.program.graph_id, parts, remark, notices, is_traced=True
    )


def _traced(found: Decided, today: Assigned) -> tuple[Part, ...]:
    program = today.program
    assert program.kind.computing is not None, "a kind computes or acts"
    context = rehydrate_for_replay(found.origin, today.numbers, today.context_rule).context
    lines = tuple(program.kind.computing.trace(program.value, found.origin.event_id, context))
    if today.recorded is None:
        return (Part(lines),) if lines else ()
    recorded = program.kind.computing.trace(today.recorded.value, found.origin.event_id, context)
    return (Part(lines, recorded={line.path: line for line in recorded}),)


def _recorded(reader: BundleReader, seq: int) -> tuple[Part, ...]:
    recorded = next(islice(BundleJournals(reader).episodes(), seq, None))
    return () if recorded.episode is None else tuple(_parts(reader, recorded.episode))


def _parts(reader: BundleReader, episode: Episode) -> Iterator[Part]:
    acting = reader.kind.acting
    assert acting is not None, "only programs that act record journals"
    reasons = dict(episode.reasons()) if isinstance(episode, Reasoned) else {}
    for entry in episode.entries:
        for call in entry.calls:
            lines = tuple(_numbered(map(acting.line, call.records), call.begin.head))
            yield Part(lines, entry.run_id, call.begin.attempt, call.end, reasons.pop(entry.run_id, ()))
        if not entry.calls:
            lines = tuple(_numbered(map(acting.line, entry.records), 0))
            yield Part(lines, entry.run_id, reasons=reasons.pop(entry.run_id, ()))


def _numbered(lines: Iterable[Line], head: int) -> Iterator[Line]:
    """Lines of records of a run, behind ``head`` others, each with a number."""
    return (line if line.id else replace(line, id=str(number)) for number, line in enumerate(lines, head + 1))


def _changed(reader: BundleReader, program: AnyProgram) -> tuple[Notice, ...]:
    newer = program.newer_provenance
    if reader.runtime_provenance in (program.provenance, newer and newer()):
        return ()
    sides = f"recorded '{reader.runtime_provenance}', current '{program.provenance}'"
    return (Notice(f"the program changed: the nodes show what today's does ({sides})"),)


class Decided(Struct, frozen=True):
    """A decision; ``origin`` is the event whose work it is about: for a Pump the one that was deferred.

    ``arrived`` is the place of that event, where its context was made. ``remark`` says why nothing ran, or for which
    deferred event it did; None where there is nothing to say.
    """

    seq: int
    event: EventRecord
    record: DecisionRecord
    origin: EventRecord
    arrived: int
    remark: str | None = None

    @property
    def has_run(self) -> bool:
        """Whether an episode ran for it."""
        return self.record.decision is Decision.INVOKE and self.record.termination is not Outcome.ABORTED


def find_decision(reader: BundleReader, event_id: str, occurrence: int, named_by: str = "option --event") -> Decided:
    """The decision for an event; ``occurrence`` counts earlier events of the same id, from 0.

    ``named_by`` is the word of the command line that names the event, for errors. Raises UsageError
    ``cli.invalid_option_value`` for an event that the bundle does not have, BundleError.
    """
    walk = decided_in(reader)
    matching = (each for each in walk if each.event.event_id == event_id)
    found = next(islice(matching, occurrence, None), None)
    if found is None:
        raise _no_such_event(reader, event_id, occurrence, named_by)
    return replace(found, remark=_remark(found, walk))


def decided_in(reader: BundleReader) -> Iterator[Decided]:
    """The decisions in order; what is deferred is held until its episode has run (spec 10 §19.4)."""
    deferred: dict[int, tuple[int, EventRecord]] = {}
    for seq, (event, record) in enumerate(zip(reader.events(), reader.decisions(), strict=False)):
        if record.decision is Decision.DEFER and record.schedule_at is not None:
            arrived, origin = deferred.setdefault(record.episode_id, (seq, event))
        else:
            arrived, origin = deferred.pop(record.episode_id, (seq, event))
        yield Decided(seq, event, record, origin, arrived)


def _remark(decided: Decided, later: Iterator[Decided]) -> str | None:
    match decided.record.decision:
        case Decision.SKIP:
            return "nothing ran: the event was skipped"
        case Decision.DEFER if decided.record.schedule_at is None:
            return "nothing ran: no deferred work was due"
        case Decision.DEFER:
            return _served(decided, later)
        case Decision.INVOKE:
            return _ran(decided)


def _served(decided: Decided, later: Iterator[Decided]) -> str:
    """Say which later decision served the deferred work."""
    episode = decided.record.episode_id
    served = next((each for each in later if _serves(each.record, episode)), None)
    work = "the event" if decided.origin is decided.event else f"event '{decided.origin.event_id}'"
    if served is None:
        return f"nothing ran: {work} was deferred, and no later event of the bundle served it"
    return f"nothing ran: {work} was deferred; event '{served.event.event_id}' served it (decision {served.seq})"


def _serves(record: DecisionRecord, episode: int) -> bool:
    return record.decision is Decision.INVOKE and record.episode_id == episode


def _ran(decided: Decided) -> str | None:
    if decided.record.termination is Outcome.ABORTED:
        return "nothing ran: the deadline is zero"
    if decided.origin is decided.event:
        return None
    return f"what ran is event '{decided.origin.event_id}', which was deferred"


def _no_such_event(reader: BundleReader, event_id: str, occurrence: int, named_by: str) -> UsageError:
    code = "cli.invalid_option_value"
    count = sum(1 for event in reader.events() if event.event_id == event_id)
    if count:
        times = counted(count, "time")
        message = f"'{reader.path}' has event '{event_id}' {times}, there is no occurrence {occurrence}"
        fix = f"give --occurrence 0 to {count - 1}" if count > 1 else "leave --occurrence out"
        return UsageError(code, message, where="option --occurrence", fix=fix)
    known = list(dict.fromkeys(event.event_id for event in islice(reader.events(), _CANDIDATES)))
    close = nearest_few(event_id, known)
    details = (f"nearest: {', '.join(close)}",) if close else ()
    fix = did_you_mean(event_id, known) or "give the id of an event of the bundle"
    if known and not close:
        some = ", ".join(known[:_NAMED]) + (", …" if len(known) > _NAMED else "")
        details = (f"its events: {some}",)
    return UsageError(code, f"'{reader.path}' has no event '{event_id}'", where=named_by, fix=fix, details=details)
