"""The text of one bundle, member by member in the order of writing (spec 11 §2.1, 00 §12.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from ergo_cli.bundle.digest import TextDigest
from ergo_cli.bundle.schema import Header, ProgramRecord, Version
from ergo_cli.bundle.style import Style
from ergo_cli.bundle.wire import WireConstraints

_encode = msgspec.json.Encoder().encode


class BundleLayout:
    """Gives the parts of a bundle's text to ``put`` as they become known; the list of events is open at first."""

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
        """Add event records: compact texts, between them the separator of the style."""
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
