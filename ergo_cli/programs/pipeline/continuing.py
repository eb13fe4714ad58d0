"""Go on with a flow of a store: repeat it from its first event, compare what it has, append what it lacks.

Ids are counted and the clock stands, so a flow that is repeated comes to the same records. One thread appends in one
order over all journals of a flow, so that what a store has of a flow is the beginning of that order. Repeating it takes
the memory of a page of each journal.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile

from ergo_cli.core.diagnostics import counted
from ergo_cli.errors import StoreError
from ergo_cli.programs.pipeline.build import data_label
from ergo_cli.programs.pipeline.effects import AttemptStarted, Cursor, Descriptor, EffectRecord
from ergo_cli.programs.pipeline.errors import FlowDiffers, JournalError
from ergo_cli.programs.pipeline.journal import damage_named
from ergo_cli.programs.pipeline.recorded import JournalRecord
from ergo_cli.programs.pipeline.stored_flows import journal_run, label_of
from ergo_cli.stores.journals import EventJournal, check_head

_PAGE = 64  # records
_SHOWN = 60  # characters of a record that differs, from a little before the first one that does


class KeptRecords:
    """The records of one journal that the store has and the flow has not come to yet."""

    def __init__(self, journal: EventJournal, run: str) -> None:
        self.left = journal.head(run)
        self._journal = journal
        self._run = run
        self._read = 0
        self._page: deque[str] = deque()

    def ahead(self) -> Iterator[str]:
        """The next ones, without coming to them. Raises StoreError."""
        for place in range(self.left):
            if place >= len(self._page):
                page = self._journal.scan(self._run, self._read + 1, self._read + _PAGE)
                self._page.extend(text for _, text in page)
                self._read = self._read + _PAGE
            if place >= len(self._page):
                return
            yield self._page[place]

    def pass_by(self) -> None:
        """Come to the next one."""
        self._page.popleft()
        self.left -= 1


class ContinuedJournal:
    """An EventJournal that shows a flow as if it had just begun.

    What is appended is compared with what the store has there, and written where it has nothing. ``behind`` is how many
    records the store has that the flow has not come to. After an append that failed, none is made any more: what a
    store has stays the beginning of the flow.
    """

    def __init__(self, journal: EventJournal, flow_id: str, labels: Iterable[str]) -> None:
        self._journal = journal
        self._flow_id = flow_id
        self._kept = {run: KeptRecords(journal, run) for run in (journal_run(flow_id, label) for label in labels)}
        self._heads: Counter[str] = Counter()
        self._failure: JournalError | StoreError | None = None
        self.behind = sum(kept.left for kept in self._kept.values())

    @property
    def has_failed(self) -> bool:
        """Whether an append failed, or was refused."""
        return self._failure is not None

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Append to the flow; raises FlowDiffers where the store has something else there, or nothing and yet more."""
        head = self._heads[run]
        check_head(run, head, expected_head)
        with self.failing():
            if self.behind:
                self._compare(run, head, texts)
            else:
                self._journal.append(run, texts, head)
        self._heads[run] += len(texts)
        return self._heads[run]

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """The records that the flow has come to."""
        head = self._heads[run]
        return self._journal.scan(run, start, head if to is None else min(to, head))

    def head(self, run: str) -> int:
        """How many records of a journal the flow has come to."""
        return self._heads[run]

    def runs(self) -> list[str]:
        """The journals in which the flow has come to records."""
        return sorted(run for run, head in self._heads.items() if head)

    def ahead(self, label: str) -> Iterator[JournalRecord]:
        """The next records of a journal that the store has, without coming to them. Raises JournalError, StoreError."""
        run = journal_run(self._flow_id, label)
        for seq, text in enumerate(self._kept[run].ahead(), self._heads[run] + 1):
            with damage_named(run, seq):
                record = JournalRecord.labelled(label, text)
            yield record

    def is_all_that_is_left(self, label: str) -> bool:
        """Whether all that the flow has not come to is in one journal."""
        return self._kept[journal_run(self._flow_id, label)].left == self.behind

    def differing(self, label: str, why: str) -> FlowDiffers:
        """The error of a flow that parts from what it has at the next record of a journal."""
        return FlowDiffers(self._flow_id, why, self._place(label, self._heads[journal_run(self._flow_id, label)] + 1))

    @contextmanager
    def failing(self) -> Generator[None]:
        """Let nothing be appended any more once the block has raised an error of the journal or of the store."""
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except (JournalError, StoreError) as error:
            self._failure = error
            raise

    def _compare(self, run: str, head: int, texts: Sequence[str]) -> None:
        kept = self._kept[run]
        for seq, text in enumerate(texts, head + 1):
            found = next(kept.ahead(), None)
            if found != text:
                raise FlowDiffers(self._flow_id, self._difference(found, text), self._place(label_of(run), seq))
            kept.pass_by()
            self.behind -= 1

    def _place(self, label: str, seq: int) -> str:
        return f"flow '{self._flow_id}' {label} record {seq}"

    def _difference(self, kept: str | None, text: str) -> str:
        if kept is None:
            more = counted(self.behind, "record")
            return f"it comes to a record that the store does not have, which has {more} more of it: {_shown(text, 0)}"
        place = next(
            (at for at, (one, other) in enumerate(zip(kept, text, strict=False)) if one != other),
            min(len(kept), len(text)),
        )
        return f"the store has {_shown(kept, place)}, now it comes to {_shown(text, place)}"


class KeptOutcomes:
    """What a store has of the effects of a flow that goes on: an outcome is the next record of its stage's journal.

    An effect without one is executed only where the flow has come to the end of what it has.
    """

    is_replay = False

    def __init__(self, journal: ContinuedJournal) -> None:
        self._journal = journal

    def at(self, cursor: Cursor, asked: Descriptor) -> Sequence[EffectRecord]:
        """The records of a call. Raises FlowDiffers where the store has another effect, or none and yet more."""
        journal = self._journal
        if not journal.behind:
            return ()
        label = data_label(cursor.stage_key)
        with journal.failing():
            effects = (record.effect for record in journal.ahead(label))
            found = [each for each in takewhile(lambda each: _is_of(each, cursor), effects) if each is not None]
            if any(record.descriptor != asked for record in found):
                raise journal.differing(label, f"the effect '{asked.label}' asks for something else than before")
            is_open = all(isinstance(record.outcome, AttemptStarted) for record in found)
            if is_open and journal.behind > len(found):
                raise journal.differing(label, f"the store has no outcome of the effect '{asked.label}', and yet more")
        return found


def _is_of(record: EffectRecord | None, cursor: Cursor) -> bool:
    return record is not None and record.cursor == cursor


def _shown(text: str, place: int) -> str:
    start = max(place - _SHOWN // 3, 0)
    part = text[start : start + _SHOWN]
    return f"{'…' if start else ''}{part}{'…' if start + _SHOWN < len(text) else ''}"
