"""Bundles as values: for the library, for tests, and for whatever fits into memory."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.bundle.codec import encode_decision, encode_event
from ergo_cli.bundle.entries import JournalEntry, artifact_text
from ergo_cli.bundle.layout import BundleLayout
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, Header, ProgramRecord, Version
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
    """What was read; writing gives v4 to a bundle with a program, v3 to any other."""

    def encode(self, *, pretty: bool = False) -> bytes:
        """The text of the bundle, as a writer would put it into a file. Raises ValueError for invalid Unicode."""
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

    def episode(self, entry: JournalEntry, artifacts: Mapping[str, bytes]) -> None:
        """Keep what an episode of a stateful program recorded, and the artifacts that it names."""
        self._journals.append(entry.encode())
        self._artifacts.update({name: artifact_text(data) for name, data in artifacts.items()})

    def commit(self, egress_provenance: str | None = None, program: ProgramRecord | None = None) -> CaptureBundle:
        """The bundle of everything kept so far: v3, or v4 where a program record is given."""
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
