"""Bundles written as they happen, with memory that does not grow (spec 00 §5, §12.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self, TypeVar

from ergo_cli.bundle.codec import decision_block, encode_decision, encode_event, event_block
from ergo_cli.bundle.layout import BundleLayout
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, Header, ProgramRecord, Version
from ergo_cli.bundle.style import Style
from ergo_cli.errors import CaptureWriteError
from ergo_cli.stores.atomic import AtomicFile
from ergo_cli.stores.compression import compressor_for
from ergo_cli.supervisor.log import DecidedEffects

T = TypeVar("T")

_BLOCK = 1 << 16  # what is passed on while it is still in the processor's cache


class BundleWriter:
    """Writes one bundle: v3, or v4 where a program record is given; compressed by the destination's suffix.

    Folder, destination and temporary file are made at once; events go to that file, decisions and journals to unnamed
    spools beside it. Nothing stands at the destination before ``commit``; without it, nothing is left behind. Every
    method raises CaptureWriteError with the stage of spec 11 §9.2.
    """

    def __init__(
        self, destination: str, header: Header, *, pretty: bool = False, program: ProgramRecord | None = None
    ) -> None:
        self._style = Style.PRETTY if pretty else Style.COMPACT
        self._version = Version.V3 if program is None else Version.V4
        self._file = AtomicFile(destination)
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
        """Append the events of decisions, and the decisions with the effects of each."""
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

    def commit(self, egress_provenance: str | None = None, artifacts: Mapping[str, bytes] | None = None) -> None:
        """Write the rest and move the bundle into place. ``artifacts`` are compact JSON by their digest (v4)."""
        self._hand_on()
        decisions, journals = self._decision_spool.blocks(), self._journal_spool.blocks()
        self._serialized(lambda: self._layout.finish(decisions, egress_provenance, journals, artifacts or {}))
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
        self._close_spools()
        self._file.commit()

    def abort(self) -> None:
        """Leave nothing behind; nothing happens after a commit."""
        self._close_spools()
        self._file.abort()

    def _hand_on(self) -> None:
        """Pass on what is held, many records at once: writing one by one would cost as much as encoding."""
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
