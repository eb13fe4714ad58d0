"""Bundles as values: for the library, for tests, and for whatever fits into memory."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.bundle.codec import encode_decision, encode_event
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
        layout = BundleLayout(parts.append, self.header, self.program, Style.PRETTY if pretty else Style.COMPACT)
        layout.events(b"\n".join([encode_event(event, version) for event in self.events]))
        decisions = b"\n".join(map(encode_decision, self.decisions))
        layout.finish((decisions,), self.egress_provenance, (b"\n".join(self.journals),), self.artifacts)
        return b"".join(parts)


class InMemoryBundle:
    """A sink that keeps the records of one run as values."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._events: list[EventRecord] = []
        self._decisions: list[DecisionRecord] = []

    def event(self, record: EventRecord) -> None:
        """Keep one event record."""
        self._events.append(record)

    def decision(self, record: DecisionRecord) -> None:
        """Keep one decision record."""
        self._decisions.append(record)

    def commit(self, egress_provenance: str | None = None) -> CaptureBundle:
        """The v3 bundle of everything kept so far."""
        return CaptureBundle(self._header, tuple(self._events), tuple(self._decisions), egress_provenance)
