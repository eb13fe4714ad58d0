"""Which chain is asked for: that behind a part of an event's episode, or behind the first divergence of a bundle."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.core.diagnostics import Notice
from ergo_cli.programs.changes import Change
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.code_marks import with_code_marks
from ergo_cli.replay.explaining import Assigned, find_decision
from ergo_cli.replay.reasons import Why, why_event
from ergo_cli.replay.record_reasons import why_closing, why_recorded
from ergo_cli.replay.results import BundleResult, as_shown
from ergo_cli.replay.session import ReplayRequest, compared, one_decision, programs_and_changes


class Question(Struct, frozen=True):
    """Why ``part`` of the episode of ``event`` is what it is; ``occurrence`` says of which of several events of an id.

    Without an event the first divergence of ``bundle`` is asked about, without a part what differs first.
    """

    bundle: str
    event: str | None = None
    part: str | None = None
    occurrence: int = 0


class Reply(Struct, frozen=True):
    """The chain, None where nothing differs and no part was named; ``nothing`` then says of what.

    ``notices`` are those of finding the program, ``changes`` what changed in it, ``files`` what was read.
    ``without_chain`` is what differs of the event where no chain leads to it, such as a termination alone.
    """

    why: Why | None
    nothing: str
    notices: tuple[Notice, ...] = ()
    changes: tuple[Change, ...] = ()
    files: tuple[str, ...] = ()
    without_chain: BundleResult | None = None


def reply_to(question: Question, request: ReplayRequest, store: ProgramStore) -> Reply:
    """Look for the chain with today's program, found as ``request`` says.

    Raises what refuses the bundle, and as ``why_event`` and ``why_recorded``.
    """
    return _Search(question, request, store).reply()


class _Search:
    def __init__(self, question: Question, request: ReplayRequest, store: ProgramStore) -> None:
        self._question = question
        self._request = request
        self._store = store
        self._notices: tuple[Notice, ...] = ()
        self._changes: tuple[Change, ...] = ()
        self._files = (question.bundle,)

    def reply(self) -> Reply:
        if self._question.event is not None:
            return self._of_event(self._question)
        bundle = self._question.bundle
        first = next(iter(as_shown(compared(bundle, self._request, self._store).divergences)), None)
        if first is None:
            with open_bundle(bundle) as reader:
                self._find(reader)
            return Reply(None, f"nothing of {bundle} differs; name an event", (), self._changes, self._files)
        if first.event_id is None:
            return self._of_closing()
        part = None if first.journal else first.node
        return self._of_event(Question(bundle, first.event_id, part, first.occurrence))

    def _of_closing(self) -> Reply:
        with open_bundle(self._question.bundle) as reader:
            found = why_closing(reader, self._find, lambda: compared(self._question.bundle, self._request, self._store))
        return self._replied(found, "of the end")

    def _of_event(self, question: Question) -> Reply:
        event, at = question.event, question.occurrence
        assert event is not None
        with open_bundle(question.bundle) as reader:
            if reader.kind.computing is not None:
                found = why_event(reader, self._find, event, question.part, at)
            else:
                found = why_recorded(
                    reader,
                    self._find,
                    self._compare,
                    event,
                    question.part,
                    at,
                )
            if found is None:
                return self._without_chain(event, find_decision(reader, event, at, "argument EVENT").seq)
        return self._replied(found, f"of event '{event}'")

    def _without_chain(self, event: str, seq: int) -> Reply:
        reply, result = self._replied(None, f"of event '{event}'"), self._compare(seq)
        if not result.divergences:
            return reply
        return replace(reply, nothing=f"no chain leads to what differs of event '{event}'", without_chain=result)

    def _compare(self, seq: int) -> BundleResult:
        return one_decision(self._question.bundle, self._request, self._store, seq)

    def _replied(self, found: Why | None, of: str) -> Reply:
        why = None if found is None else replace(found, changes=self._changes)
        if why is not None and not why.is_recorded:
            why = replace(why, cause=with_code_marks(why.cause, self._changes))
        nothing = f"nothing {of} differs; name a part of it"
        return Reply(why, nothing, self._notices, self._changes, self._files)

    def _find(self, reader: BundleReader) -> Assigned:
        request = self._request
        found, changes = programs_and_changes(reader, request.flags, self._store, request.numbers)
        self._notices, self._changes = found.notices, changes.found
        self._files = (self._question.bundle, *found.files)
        return found
