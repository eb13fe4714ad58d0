"""One decision of a bundle, and the event whose work it is about."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.core.nearest import did_you_mean, nearest_few
from ergo_cli.errors import UsageError
from ergo_cli.supervisor.log import Decision
from ergo_cli.supervisor.seam import Outcome

_CANDIDATES = 10_000
"""Among how many ids of a bundle the nearest is looked for."""


class Decided(Struct, frozen=True):
    """A decision; ``origin`` is the event whose work it is about: for a Pump the one that was deferred.

    ``remark`` says why nothing ran, or for which deferred event it did; None where there is nothing to say.
    """

    seq: int
    event: EventRecord
    record: DecisionRecord
    origin: EventRecord
    remark: str | None = None

    @property
    def has_run(self) -> bool:
        """Whether an episode ran for it."""
        return self.record.decision is Decision.INVOKE and self.record.termination is not Outcome.ABORTED


def find_decision(reader: BundleReader, event_id: str, occurrence: int) -> Decided:
    """The decision for an event; ``occurrence`` counts earlier events of the same id, from 0.

    Raises UsageError ``cli.invalid_option_value`` for an event that the bundle does not have, BundleError.
    """
    walk = _walk(reader)
    matching = (decided for decided in walk if decided.event.event_id == event_id)
    found = next(islice(matching, occurrence, None), None)
    if found is None:
        raise _no_such_event(reader, event_id, occurrence)
    return replace(found, remark=_remark(found, walk))


def _walk(reader: BundleReader) -> Iterator[Decided]:
    """The decisions in order; what is deferred is held until its episode has run (spec 10 §19.4)."""
    deferred: dict[int, EventRecord] = {}
    for seq, (event, record) in enumerate(zip(reader.events(), reader.decisions(), strict=False)):
        if record.decision is Decision.DEFER and record.schedule_at is not None:
            origin = deferred.setdefault(record.episode_id, event)
        else:
            origin = deferred.pop(record.episode_id, event)
        yield Decided(seq, event, record, origin)


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
    """Who served the deferred work, as the decisions after it tell."""
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


def _no_such_event(reader: BundleReader, event_id: str, occurrence: int) -> UsageError:
    code, where = "cli.invalid_option_value", "option --event"
    count = sum(1 for event in reader.events() if event.event_id == event_id)
    if count:
        message = f"'{reader.path}' has event '{event_id}' {count} times, there is no occurrence {occurrence}"
        fix = f"give --occurrence 0 to {count - 1}" if count > 1 else "leave --occurrence out"
        return UsageError(code, message, where="option --occurrence", fix=fix)
    known = list(dict.fromkeys(event.event_id for event in islice(reader.events(), _CANDIDATES)))
    close = nearest_few(event_id, known)
    fix = did_you_mean(event_id, known) or "give the id of an event of the bundle"
    details = (f"nearest: {', '.join(close)}",) if close else ()
    return UsageError(code, f"'{reader.path}' has no event '{event_id}'", where=where, fix=fix, details=details)
