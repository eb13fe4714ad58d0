"""The members of a bundle at its top level: which there are, in which order, and where their values lie."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ergo_cli.bundle.schema import Version
from ergo_cli.bundle.slices import Chunk, cut_list
from ergo_cli.bundle.window import TextFault, Window
from ergo_cli.core.json import JsonError, decode

_V3 = (
    "capture_version",
    "graph_id",
    "config",
    "events",
    "decisions",
    "adapter_provenance",
    "runtime_provenance",
    "egress_provenance",
)
_V4 = (*_V3, "program", "journals", "artifacts", "digest")
_OPTIONAL = "egress_provenance"
_LISTS = {"events": b'"decisions"', "decisions": b'"adapter_provenance"', "journals": b'"artifacts"'}
"""The members that are lists of records, each with the member that usually follows."""


class RecordList(Struct, frozen=True):
    """A list of records: its chunks, and how many records they have together."""

    chunks: tuple[Chunk, ...] = ()
    count: int = 0


class Members:
    """What stands at the top of a bundle: decoded values, lists of records, and where each of them begins."""

    def __init__(self) -> None:
        self.version = Version.V3
        self.values: dict[str, Any] = {}
        self.lists: dict[str, RecordList] = {}
        self.offsets: dict[str, int] = {}
        self.repeated: list[str] = []


def scan_members(window: Window, *, proven: bool = True) -> Members:
    """Walk through a whole bundle once. The last of duplicate members counts; ``proven`` as ``cut_list`` has it.

    Raises TextFault for text that is no JSON object, an unknown member, a missing one, and in v4 for one out of order.
    """
    if not window.next():
        raise window.fault("the file is empty")
    members = Members()
    window.expect(b"{")
    while True:
        _scan_member(window, members, proven)
        if window.next() != b",":
            break
        window.at += 1
    window.expect(b"}")
    if window.next():
        raise window.fault("unexpected text behind the closing brace")
    _check_complete(window, members)
    return members


def _scan_member(window: Window, members: Members, proven: bool) -> None:
    name = _name(window)
    known = _V4 if members.version is Version.V4 else _V3
    if name not in known:
        allowed = ", ".join(f"`{member}`" for member in known)
        raise window.fault(f"unknown field `{name}`, expected one of {allowed}")
    if name in members.offsets:
        members.repeated.append(name)
    window.expect(b":")
    window.next()
    members.offsets[name] = window.offset
    if name in _LISTS:
        members.lists[name] = _record_list(window, _LISTS[name], proven)
        return
    members.values[name] = _decoded(window)
    if name == "capture_version" and members.values[name] == Version.V4.value:
        members.version = Version.V4


def _name(window: Window) -> str:
    if window.next() != b'"':
        raise window.unexpected("a member name in quotes")
    return _decoded(window)


def _decoded(window: Window) -> Any:
    start = window.offset
    text = window.value()
    try:
        return decode(text)
    except JsonError as error:
        raise TextFault(str(error), start + (error.offset or 0)) from error


def _record_list(window: Window, follower: bytes, proven: bool) -> RecordList:
    chunks: list[Chunk] = []
    total = 0
    for chunk, count in cut_list(window, follower, proven=proven):
        chunks.append(chunk)
        total += count
    return RecordList(tuple(chunks), total)


def _check_complete(window: Window, members: Members) -> None:
    present = list(members.offsets)
    expected = _V4 if members.version is Version.V4 else _V3
    missing = [name for name in expected if name not in present and name != _OPTIONAL]
    if missing:
        raise window.fault(f"missing field `{missing[0]}`")
    if members.version is Version.V4:
        _check_order(members, [name for name in expected if name in present])


def _check_order(members: Members, expected: list[str]) -> None:
    """A v4 bundle has its members in one order, so that its digest covers all but itself."""
    for name, wanted in zip(members.offsets, expected, strict=True):
        if name != wanted:
            raise TextFault(f"field `{name}` stands where `{wanted}` belongs", members.offsets[name])
