"""Bundles held in memory, for the library and for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from ergo_cli.bundle.encoding import encode_decision, encode_event
from ergo_cli.bundle.schema import (
    DecisionRecord,
    EventRecord,
    Header,
    JournalEntry,
    ProgramRecord,
    Version,
    artifact_text,
)
from ergo_cli.bundle.style import Style


class CaptureBundle(Struct, frozen=True):
    """A whole bundle. ``journals`` and the values of ``artifacts`` are compact JSON texts; only v4 has them."""

    header: Header
    events: tuple[EventRecord, ...]
    decisions: tuple[DecisionRecord, ...]
    egress_provenance: str | None = None
    program: ProgramRecord | None = None
    journals: tuple[bytes, ...] = ()
    artifacts: Mapping[str, bytes] = {}
    capture_version: str = "v3"
    """The version that was read; ``encode`` writes v4 if the bundle has a program, else v3."""

    def encode(self, *, pretty: bool = False) -> bytes:
        """The text of the bundle, the same as ``BundleWriter`` writes. Raises ValueError for invalid Unicode."""
        from ergo_cli.bundle.writer import BundleLayout  # imported here: readers do not need it

        parts: list[bytes] = []
        version = Version.V3 if self.program is None else Version.V4
        style = Style.PRETTY if pretty else Style.COMPACT
        block = style.separator.join
        layout = BundleLayout(parts.append, self.header, self.program, style)
        layout.events(block([encode_event(event, version) for event in self.events]))
        decisions = block(map(encode_decision, self.decisions))
        layout.finish((decisions,), self.egress_provenance, (block(self.journals),), self.artifacts)
        return b"".join(parts)


class InMemoryBundle:
    """A sink that keeps the records of one run as values."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._events: list[EventRecord] = []
        self._decisions: list[DecisionRecord] = []
        self._journals: list[bytes] = []
        self._artifacts: dict[str, bytes] = {}

    def event(self, record: EventRecord) -> None:
        """Keep one event record."""
        self._events.append(record)

    def decision(self, record: DecisionRecord) -> None:
        """Keep one decision record."""
        self._decisions.append(record)

    def episode(self, entries: Sequence[JournalEntry], artifacts: Mapping[str, bytes]) -> None:
        """Keep the entries of an episode, or of closing the program, and the artifacts that they name."""
        self._journals += (entry.encode() for entry in entries)
        self._artifacts.update({name: artifact_text(data) for name, data in artifacts.items()})

    def commit(self, egress_provenance: str | None = None, program: ProgramRecord | None = None) -> CaptureBundle:
        """The bundle of everything kept so far: v4 if a program record is given, else v3."""
        return CaptureBundle(
            self._header,
            tuple(self._events),
            tuple(self._decisions),
            egress_provenance,
            program,
            tuple(self._journals),
            self._artifacts,
            (Version.V3 if program is None else Version.V4).value,
        )
