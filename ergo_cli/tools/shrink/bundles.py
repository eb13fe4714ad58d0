"""Shrink a bundle: the smallest one in which today's program and the recording still part in the same way."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from time import monotonic_ns

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import Adapter, context_rule
from ergo_cli.host.timing import call_within
from ergo_cli.programs.program import AnyProgram
from ergo_cli.programs.seat import DeadlinePassed
from ergo_cli.project.finding import FoundProgram
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.engine import IN_MEMORY, Assignment, no_changes, replay
from ergo_cli.replay.results import BundleResult, DivergenceKind, as_shown
from ergo_cli.replay.session import ReplayRequest, ReplaySession, find_for_bundle
from ergo_cli.stores.files import STANDARD_INPUT
from ergo_cli.tools.shrink.recording import Part, Recording, are_paired, indivisible, is_independent
from ergo_cli.tools.shrink.search import Found, shrink
from ergo_cli.tools.shrink.tries import Limits, Tries, TryHung

_INDEX = re.compile(r"\[\d+\]")
_NOT_READ_AGAIN = (STANDARD_INPUT, IN_MEMORY)

OnTry = Callable[[Tries[Part]], None]


class Way(Struct, frozen=True):
    """In which way two programs part: what differs, at which node, at which path, whatever its places in lists."""

    kind: DivergenceKind
    node: str | None
    path: str

    @classmethod
    def of(cls, result: BundleResult) -> Way | None:
        """The way of the first divergence, as text reports show it; None where there is none."""
        first = next(iter(as_shown(result.divergences)), None)
        return None if first is None else cls(first.kind, first.node, _INDEX.sub("[*]", first.path))


class ShrunkBundle(Struct, frozen=True):
    """The smallest bundle, what a replay of it gives, and how the search went; ``events`` are those of the whole."""

    bundle: CaptureBundle
    result: BundleResult
    found: Found[Part]
    events: int
    notices: tuple[Notice, ...] = ()


def shrink_bundle(
    path: str,
    request: ReplayRequest,
    store: ProgramStore,
    limits: Limits,
    on_try: OnTry = lambda tries: None,
    check: Callable[[FoundProgram], None] = lambda found: None,
) -> ShrunkBundle | None:
    """The smallest bundle that parts as the one at ``path`` does first; None where that matches.

    ``check`` is called once today's program is found, before anything runs, and may raise.

    Raises ErgoError: what refuses the bundle, and as ``shrink_replayed``.
    """
    with open_bundle(path) as reader:
        check(find_for_bundle(reader, request.flags, store))
        assigned = ReplaySession(request, store).assign(request.flags, reader)
        code = store.find_capture(reader.fingerprint())

        def keep_code(found: BundleReader) -> None:
            if code is not None:
                store.keep_capture(found.fingerprint(), code)

        return shrink_replayed(reader, assigned, limits, on_try, keep_code)


def shrink_replayed(
    reader: BundleReader,
    assignment: Assignment,
    limits: Limits = Limits(),
    on_try: OnTry = lambda tries: None,
    on_found: Callable[[BundleReader], None] = lambda found: None,
) -> ShrunkBundle | None:
    """The smallest bundle that parts as ``reader``'s does first when it is replayed as assigned; None where it matches.

    ``on_found`` gets it before the replay whose result is returned.

    Raises ErgoError: that of the replay, ``shrink.indivisible``, ``shrink.try_hung``, ``shrink.flaky``.
    """
    assigned = _remembering(assignment)
    trial = replace(assigned, changes=no_changes)
    bundle = reader.load() if reader.path in _NOT_READ_AGAIN else reader.path
    began = monotonic_ns()
    try:
        whole = call_within(limits.whole, lambda: replay(bundle, lambda _: trial), "ergo-shrink")
    except DeadlinePassed:
        raise _hung(reader.path) from None
    patience = limits.patience(monotonic_ns() - began)
    if whole.error is not None:
        raise whole.error
    way = Way.of(whole)
    if way is None:
        return None
    subject = BundleSubject(_recording(reader, whole, trial), trial, way, patience)
    found = shrink(subject, limits, on_try)
    bundle = subject.recording.bundle_of(found.stream)

    def assign(small: BundleReader) -> Assignment:
        on_found(small)
        return assigned

    result = replay(bundle, assign)
    return ShrunkBundle(bundle, result, found, reader.event_count, tuple(subject.notices))


def _hung(path: str) -> ErgoError:
    message = f"today's program does not come to the end of '{path}'"
    fix = f"see where it hangs: timeout 60 ergo replay {shlex.quote(path)}, or give it more time with --max-seconds"
    return ErgoError("shrink.try_hung", message, where=path, fix=fix)


def _remembering(assignment: Assignment) -> Assignment:
    """The assignment of every try: what it takes is read once, and one divergence is enough."""
    recorded = assignment.recall()
    options = replace(assignment.options, max_divergences=1)
    return replace(assignment, options=options, recall=lambda: recorded)


def _recording(reader: BundleReader, whole: BundleResult, assignment: Assignment) -> Recording:
    """The recording up to the first divergence. Raises ErgoError ``shrink.indivisible``."""
    path, first = reader.path, whole.divergences[0]
    if first.event_id is None:
        raise indivisible(path, "what differs first belongs to none of its events", f"compare it: ergo replay {path}")
    if not are_paired(reader):
        why = "its events and decisions do not belong together one by one"
        raise indivisible(path, why, "capture the events again")
    independent, decides = is_independent(reader), None
    if not independent:
        decides = assignment.recall()
        if decides is None or decides.kind.computing is None:
            raise _dependent(path, assignment.target.program)
    rule = context_rule(assignment.target.adapter)
    recording = Recording(reader, first.seq, decides, assignment.options.numbers, rule)
    if 1 < len(recording.parts[0].steps) == reader.event_count:
        raise indivisible(path, "all of them belong to one run, whose last event differs", _WITH_COMMAND)
    return recording


_WITH_COMMAND = "shrink the events instead, with a command that fails on them: ergo shrink EVENTS --run CMD"


def _dependent(path: str, program: AnyProgram) -> ErgoError:
    if program.kind.computing is None:
        why = "what its program recorded of an event or of the end depends on the events before"
        return indivisible(path, why, _WITH_COMMAND)
    why = "limits deferred some events, and the program of the capture, which would decide anew, is not known"
    fix = "capture where the program store can be written, or with --embed; or ergo shrink EVENTS --run CMD"
    return indivisible(path, why, fix)


class BundleSubject:
    """Parts of a recording, of which those fail that differ first in one way; a try may take ``patience`` ns."""

    def __init__(self, recording: Recording, assignment: Assignment, way: Way, patience: int) -> None:
        self.recording = recording
        self.items = recording.parts
        self.notices: list[Notice] = []
        self._assignment = assignment
        self._way = way
        self._patience = patience
        self._accepts = _Accepting(assignment.target.adapter, self.items)

    def fails(self, stream: Sequence[Part]) -> bool:
        """Whether today's program differs from the recording of these parts in the way looked for. Raises TryHung."""
        try:
            return call_within(self._patience, lambda: self._differs(stream), "ergo-shrink")
        except DeadlinePassed:
            raise TryHung from None

    def opens_payloads(self, stream: Sequence[Part]) -> bool:
        """Whether the program of the capture is known, can decide anew, and decides as it was recorded."""
        if self.recording.program is not None:
            return True
        recorded = self._assignment.recall()
        if recorded is not None and recorded.kind.computing is not None:
            self.recording.program = recorded
            if self.fails(stream):
                return True
            self.recording.program = None
        self.notices.append(Notice(f"payloads are left as they are: {self._why_closed(recorded)}"))
        return False

    def _why_closed(self, recorded: AnyProgram | None) -> str:
        if self._assignment.target.program.kind.computing is None:
            return "what the program recorded belongs to them"
        if recorded is None:
            return "the program of the capture, which would decide for other ones, is not known"
        return "the program of the capture does not decide as it was recorded"

    def _differs(self, stream: Sequence[Part]) -> bool:
        if not all(map(self._accepts, stream)):
            return False
        try:
            bundle = self.recording.bundle_of(stream)
        except ErgoError:
            return False
        result = replay(bundle, lambda _: self._assignment)
        return result.error is None and Way.of(result) == self._way


class _Accepting:
    """Whether a part fits the adapter: a payload that was changed fits an event kind that the original one fits."""

    def __init__(self, adapter: Adapter | None, parts: Sequence[Part]) -> None:
        self._kinds = () if adapter is None else tuple(adapter.kinds.values())
        self._originals = {part.steps[0].place: part for part in parts}

    def __call__(self, part: Part) -> bool:
        original = self._originals[part.steps[0].place]
        if part is original:
            return True
        kinds = [kind for kind in self._kinds if kind.accepts(original.payload)]
        return not kinds or any(kind.accepts(part.payload) for kind in kinds)
