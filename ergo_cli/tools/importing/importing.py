"""``ergo import``: write the rows of a source as a stream of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.json import JsonError, JsonValue, check_nesting, without_controls
from ergo_cli.core.time import NANOS
from ergo_cli.errors import CaptureWriteError, ErgoError, EventError
from ergo_cli.events.stream import LINE_LIMIT
from ergo_cli.host.event_input import source_label
from ergo_cli.host.files_read import Read, refuse_replacing
from ergo_cli.stores.files import Compressor, compressor_for
from ergo_cli.stores.standard_output import Output, open_output
from ergo_cli.tools.conditions import Condition, unmet
from ergo_cli.tools.importing.batches import Batch, Row
from ergo_cli.tools.importing.cells import Notation
from ergo_cli.tools.importing.columns import Column, Columns, Missing
from ergo_cli.tools.importing.faults import quoted, source_fault, value_fault
from ergo_cli.tools.importing.passed_over import PassedOver
from ergo_cli.tools.importing.sorting import TimeSort
from ergo_cli.tools.importing.sources import SourceForm, open_batches
from ergo_cli.tools.importing.times import Times, Unit

_encode = msgspec.json.Encoder().encode


class ImportRequest(Struct, frozen=True, kw_only=True):
    """Which rows of ``source`` become events of ``output``, a file or ``-``, and how."""

    source: str
    output: str
    form: SourceForm
    columns: Columns = Columns()
    notation: Notation = Notation()
    conditions: tuple[Condition, ...] = ()
    semantic_kind: str | None = None
    missing: Missing = Missing.NULL
    zone: tzinfo | None = None
    unit: Unit | None = None
    is_sorted: bool = False
    episode: str = "E1"


class Imported(Struct, frozen=True):
    """What was written, and what was not."""

    rows: int
    events: int
    passed_over: PassedOver
    unit: Unit | None
    notices: tuple[Notice, ...] = ()


def import_events(request: ImportRequest, on_row: Callable[[], None] | None = None) -> Imported:
    """Write the events of a source; at an error nothing is written.

    Raises EventError ``import.…`` for the first fault of the source, UsageError for an output that is the source,
    ErgoError ``cli.import_write_failed``.
    """
    refuse_replacing(request.output, [Read(request.source, "the source of the events")])
    passed_over = PassedOver()
    try:
        with (
            open_batches(request.source, request.form, request.notation, passed_over.note, _unread(request)) as batches,
            open_output(request.output) as file,
        ):
            events = _Events(request, passed_over, on_row)
            _write(request, events, batches, file)
            file.commit()
    except CaptureWriteError as error:
        raise ErgoError("cli.import_write_failed", error.message, where=error.where, fix=error.fix) from error
    rows = events.rows + passed_over.rows_of_source
    return Imported(
        rows, events.written, passed_over, events.times.unit, (*unmet(request.conditions), *events.notices())
    )


def _unread(request: ImportRequest) -> frozenset[str]:
    """The columns of which no event has anything."""
    columns = request.columns
    needed = {each.name for each in (*columns.ids, *columns.times, *(each.column for each in columns.renamed))}
    return frozenset(each.name for each in columns.dropped) - needed


def _write(request: ImportRequest, events: _Events, batches: Iterator[Batch], file: Output) -> None:
    write = _writer(file.write, compressor := compressor_for(request.output))
    write(b'{"kind":"episode_start","id":%b}\n' % without_controls(_encode(request.episode)))
    if request.is_sorted:
        with TimeSort() as sort:
            for at, line in events.lines(batches):
                sort.add(at, line)
            for line in sort.lines():
                write(line)
    else:
        for _, line in events.lines(batches):
            write(line)
    events.check_whole()
    if compressor is not None:
        file.write(compressor.flush())


def _writer(write: Callable[[bytes], object], compressor: Compressor | None) -> Callable[[bytes], object]:
    return write if compressor is None else lambda data: write(compressor.compress(data))


class _Events:
    """Makes the lines of events of rows."""

    def __init__(self, request: ImportRequest, passed_over: PassedOver, on_row: Callable[[], None] | None) -> None:
        self._request = request
        self._label = source_label(request.source)
        self._passed_over = passed_over
        self._on_row = on_row
        self._ids = DigestSet()
        self._back: str | None = None  # the first row that is earlier than the one before it
        self._last = 0
        self.times = Times(request.zone, request.unit)
        self.rows = 0
        self.written = 0
        kind = request.semantic_kind
        self._kind = b"" if kind is None else b',"semantic_kind":' + without_controls(_encode(kind))

    def lines(self, batches: Iterator[Batch]) -> Iterator[tuple[int, bytes]]:
        """The line of each event with its time, zero where no column has it."""
        for batch in batches:
            ids: list[str] = []
            made: list[tuple[int, bytes]] = []
            places: list[int] = []
            for index, row in enumerate(batch.rows):
                self.rows += 1
                if self._is_wanted(row, batch, index):
                    event_id, at, line = self._event(row, batch, index)
                    ids.append(event_id)
                    places.append(index)
                    made.append((at, line))
                if self._on_row is not None:
                    self._on_row()
            self._check_ids(ids, places, batch)
            self.written += len(made)
            yield from made

    def check_whole(self) -> None:
        """Raise EventError for a source without events, and for a column that no row had."""
        if self.rows == 0:
            raise source_fault("there are no rows", self._label, "give it at least one row")
        column = next((each for each in self._request.columns.all if not each.is_met), None)
        if column is not None and self.written:
            raise source_fault(
                f"no row has a column {quoted(column.text)}", self._label, "correct the name of the column"
            )
        if self.written == 0:
            message = f"none of the {self.rows:,} rows is an event: {self._passed_over.sentence()}"
            raise source_fault(message, self._label, "change --where or --missing so that a row is left")

    def notices(self) -> Iterator[Notice]:
        """What there is to say of the events."""
        if self._back is not None and not self._request.is_sorted:
            yield Notice(f"{self._back}: the times go back; --sort-by at puts the events in the order of their times")

    def _is_wanted(self, row: Row, batch: Batch, index: int) -> bool:
        """Whether the row becomes an event; if not, it is noted why."""
        held = [condition.holds(row) for condition in self._request.conditions]  # each looks at every row
        if not all(held):
            unheld = self._request.conditions[held.index(False)]
            self._passed_over.note(f"--where {unheld.text}", batch.place(index), is_row=True)
            return False
        if self._request.missing is Missing.NULL:
            return True
        lacking = self._lacking(row)
        if lacking is None:
            return True
        if self._request.missing is Missing.REFUSE:
            message, fix = f"column {quoted(lacking)} has no value", "give it one, or say --missing drop or null"
            raise value_fault(message, batch.place(index), fix)
        self._passed_over.note(f"no value in column {quoted(lacking)}", batch.place(index), is_row=True)
        return False

    def _lacking(self, row: Row) -> str | None:
        """The first column that is used and has no value."""
        columns = self._request.columns
        for name, value in self._request.columns.payload(row).items():
            if value is None:
                return name
        named = (*columns.ids, *columns.times)
        return next((each.text for each in named if each.value(row) is None), None)

    def _event(self, row: Row, batch: Batch, index: int) -> tuple[str, int, bytes]:
        columns = self._request.columns
        event_id, at, time = f"row-{self.rows}", 0, b""
        if columns.ids:
            event_id = ":".join([_text(self._needed(each, row, batch, index)) for each in columns.ids])
        if columns.times:
            values = [self._needed(each, row, batch, index) for each in columns.times]
            joined = values[0] if len(values) == 1 else " ".join(map(_text, values))
            at = self.times.instant(joined, batch.place(index))
            time = b',"at":{"secs":%d,"nanos":%d}' % divmod(at, NANOS)
            if at < self._last and self._back is None:
                self._back = batch.place(index)
            self._last = at
        parts = (_encode(event_id), time, self._kind, _encode(columns.payload(row)))
        line = b'{"kind":"event","event":{"type":"DataAvailable","id":%b%b%b,"payload":%b}}\n' % parts
        line = without_controls(line)
        try:
            check_nesting(line)
        except JsonError as error:
            raise source_fault(f"the event has {error}", batch.place(index), "drop the column with --drop") from error
        if len(line) > LINE_LIMIT:
            message = f"the event is longer than {LINE_LIMIT // 2**20} MiB"
            raise source_fault(message, batch.place(index), "drop the large column with --drop")
        return event_id, at, line

    def _needed(self, column: Column, row: Row, batch: Batch, index: int) -> JsonValue:
        value = column.value(row)
        if value is None or value == "":
            what = "no value" if column.is_met else "no such column"
            message = f"{quoted(column.text)}: the row has {what}, and the event needs it for its id or time"
            fix = (
                f"the row has {', '.join(map(quoted, row))}"
                if not column.is_met
                else "give the row a value, or --missing drop"
            )
            raise value_fault(message, batch.place(index), fix)
        if isinstance(value, list | dict):
            message = f"{quoted(column.text)} holds an array or an object, which is no id and no time"
            raise value_fault(message, batch.place(index), "name a place inside it, such as data.id")
        return value

    def _check_ids(self, ids: Sequence[str], places: Sequence[int], batch: Batch) -> None:
        if not self._request.columns.ids:
            return  # numbers of rows do not repeat
        new = self._ids.add_all(ids)
        if new < len(ids):
            message = f"the id {quoted(ids[new])} was used by a row before"
            fix = "name columns that tell the rows apart, joined as in --id source,id"
            raise EventError("import.duplicate_id", message, where=batch.place(places[new]), fix=fix)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else _encode(value).decode()
