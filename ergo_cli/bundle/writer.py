"""Write bundles record by record in constant memory (spec 11 §3, 00 §12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self, TypeVar

import msgspec

from ergo_cli.bundle.encoding import decision_block, encode_decision, encode_event, event_block
from ergo_cli.bundle.record_forms import WireConstraints
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, Header, ProgramRecord, TextDigest, Version
from ergo_cli.bundle.style import Style
from ergo_cli.errors import CaptureWriteError
from ergo_cli.stores.files import compressor_for
from ergo_cli.stores.standard_output import open_output
from ergo_cli.supervisor.seam import DecidedEffects

_encode = msgspec.json.Encoder().encode


class BundleLayout:
    """Passes the parts of a bundle's text to ``put`` as they become known, starting with the open list of events."""

    def __init__(self, put: Callable[[bytes], object], header: Header, program: ProgramRecord | None, style: Style):
        self._write = put
        self._header = header
        self._program = program
        self._style = style
        self._digest = None if program is None else TextDigest()
        self._before_member = b"{"
        self._before_item = b""
        self._member("capture_version", _encode((Version.V3 if program is None else Version.V4).value))
        self._member("graph_id", _encode(header.graph_id))
        self._member("config", _encode(WireConstraints.of(header.constraints)))
        self._open_list("events")

    def events(self, block: bytes) -> None:
        """Add event records: compact texts joined by the separator of the style."""
        self._items(block)

    def finish(
        self,
        decisions: Iterable[bytes],
        egress_provenance: str | None,
        journals: Iterable[bytes],
        artifacts: Mapping[str, bytes],
    ) -> None:
        """Write everything after the events: records in blocks as for ``events``, artifacts as compact texts by name.

        Only v4 has journals and artifacts.
        """
        self._close_list()
        self._list("decisions", decisions)
        self._member("adapter_provenance", _encode(self._header.adapter_provenance))
        self._member("runtime_provenance", _encode(self._header.runtime_provenance))
        if egress_provenance is not None:
            self._member("egress_provenance", _encode(egress_provenance))
        if self._program is not None:
            self._member("program", _encode(self._program))
            self._list("journals", journals)
            self._member("artifacts", _encode({name: msgspec.Raw(artifacts[name]) for name in sorted(artifacts)}))
        if self._digest is not None:
            self._member("digest", _encode(self._digest.text()))
        self._put(self._style.line(0) + b"}\n")

    def _put(self, text: bytes) -> None:
        if self._digest is not None:
            self._digest.update(text)
        self._write(text)

    def _member(self, name: str, value: bytes) -> None:
        self._put(self._name(name) + self._style.lay(value, 1))

    def _name(self, name: str) -> bytes:
        start = self._before_member + self._style.line(1) + _encode(name) + self._style.colon
        self._before_member = b","
        return start

    def _list(self, name: str, blocks: Iterable[bytes]) -> None:
        self._open_list(name)
        for block in blocks:
            self._items(block)
        self._close_list()

    def _open_list(self, name: str) -> None:
        self._put(self._name(name) + b"[")
        self._before_item = self._style.line(2)

    def _items(self, block: bytes) -> None:
        if block:
            self._put(self._before_item + self._style.lay_items(block, 2))
            self._before_item = b"," + self._style.line(2)

    def _close_list(self) -> None:
        empty = not self._before_item.startswith(b",")
        self._put(b"]" if empty else self._style.line(1) + b"]")


T = TypeVar("T")

_BLOCK = 1 << 16  # bytes passed on at once, small enough to stay in the processor's cache


class BundleWriter:
    """Writes one bundle: v3, or v4 where a program record is given; compressed by the destination's suffix.

    ``-`` is standard output. ``copy`` is given the same text, never compressed; its OSErrors are passed on.

    The folder and a temporary file are created on construction; events go to that file, decisions and journals to
    unnamed spools beside it. Only ``commit`` creates the destination; without it, nothing is left behind. Every method
    raises CaptureWriteError with the stage of spec 11 §9.2.
    """

    def __init__(
        self,
        destination: str,
        header: Header,
        *,
        pretty: bool = False,
        program: ProgramRecord | None = None,
        copy: Callable[[bytes], object] | None = None,
    ) -> None:
        self._style = Style.PRETTY if pretty else Style.COMPACT
        self._version = Version.V3 if program is None else Version.V4
        self._copy = copy
        self._file = open_output(destination)
        try:
            self._compressor = compressor_for(destination)
            self._layout = self._serialized(lambda: BundleLayout(self._put, header, program, self._style))
            self._decision_spool = self._file.spool()
            self._journal_spool = self._file.spool()
        except BaseException:
            self._file.abort()
            raise
        self._join = self._style.separator.join
        self._events: list[bytes] = []
        self._decisions: list[bytes] = []
        self._journals: list[bytes] = []
        self._held = 0

    @property
    def destination(self) -> str:
        """The path that the writer was given."""
        return self._file.destination

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def event(self, record: EventRecord) -> None:
        """Append an event record."""
        try:
            text = encode_event(record, self._version)
        except ValueError as error:
            raise self._refusal(error) from error
        self._events.append(text)
        self._held += len(text)
        if self._held >= _BLOCK:
            self._hand_on()

    def decision(self, record: DecisionRecord) -> None:
        """Append a decision record."""
        try:
            text = encode_decision(record)
        except ValueError as error:
            raise self._refusal(error) from error
        self._decisions.append(text)
        self._held += len(text)

    def steps(self, decided: Sequence[DecidedEffects]) -> None:
        """Append the event, the decision and the effects of each step."""
        if not decided:
            return
        separator = self._style.separator
        try:
            events = event_block([entry.event for entry, _ in decided], self._version, separator)
            decisions = decision_block(decided, separator)
        except ValueError as error:
            raise self._refusal(error) from error
        self._events.append(events)
        self._decisions.append(decisions)
        self._held += len(events) + len(decisions)
        if self._held >= _BLOCK:
            self._hand_on()

    def journal(self, text: bytes) -> None:
        """Append one entry of ``journals``, as compact JSON (v4)."""
        self._journals.append(text)
        self._held += len(text)

    def commit(
        self,
        egress_provenance: str | None = None,
        artifacts: Mapping[str, bytes] | None = None,
        *,
        is_partial: bool = False,
        is_beside: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> str:
        """Write the rest, call ``check``, which may raise, and move the bundle into place; returns its path.

        ``artifacts`` are compact JSON by their digest (v4). A bundle that ``is_partial`` goes beside one that is at the
        destination already, one that ``is_beside`` in any case (``AtomicFile.commit``).
        """
        self._hand_on()
        decisions, journals = self._decision_spool.blocks(), self._journal_spool.blocks()
        self._serialized(lambda: self._layout.finish(decisions, egress_provenance, journals, artifacts or {}))
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
        self._close_spools()
        check()
        return self._file.commit(is_partial=is_partial, is_beside=is_beside)

    def abort(self) -> None:
        """Remove everything written; does nothing after a commit."""
        self._close_spools()
        self._file.abort()

    def _hand_on(self) -> None:
        """Pass on the buffered records together: writing one by one would cost as much as encoding."""
        self._layout.events(self._join(self._events))
        for texts, spool in ((self._decisions, self._decision_spool), (self._journals, self._journal_spool)):
            if texts:
                spool.append(self._join(texts))
        for texts in (self._events, self._decisions, self._journals):
            texts.clear()
        self._held = 0

    def _close_spools(self) -> None:
        self._decision_spool.close()
        self._journal_spool.close()

    def _put(self, text: bytes) -> None:
        if self._copy is not None:
            self._copy(text)
        self._file.write(text if self._compressor is None else self._compressor.compress(text))

    def _serialized(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except ValueError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: ValueError) -> CaptureWriteError:
        self._file.abort()
        place = self._file.destination
        message = f"cannot write '{place}': it cannot be serialized ({self._style.value}): {error}"
        return CaptureWriteError("Serialize", message, where=place, fix="leave out what JSON cannot hold")
