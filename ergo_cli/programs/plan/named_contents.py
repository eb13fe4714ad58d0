"""What stands behind the ids of artifacts in which two events of plans differ: contexts, manifests, answers."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.json import JsonError, JsonValue
from ergo_cli.core.tree_differences import differing_members
from ergo_cli.core.wire import WireError
from ergo_cli.programs.plan.events import (
    Envelope,
    FactRecorded,
    RunCompleted,
    RunStarted,
    StateCompleted,
    StateEntered,
    fact_of,
)
from ergo_cli.stores.artifacts import ArtifactStore

MemberPair = tuple[str, JsonValue, JsonValue]
"""The path of a member, and its value on both sides."""


def differing_contents(
    expected: Envelope | None, actual: Envelope | None, artifacts: ArtifactStore
) -> tuple[MemberPair, ...]:
    """The members in which the artifacts that two events name differ, where those of both sides are known.

    Members of a context have their own paths, those of a manifest begin with ``manifest``, those of an answer with the
    key of its fact.
    """
    if expected is None or actual is None:
        return ()
    pairs = zip(_named(expected), _named(actual), strict=False)
    return tuple(
        member
        for (name, one), (other_name, other) in pairs
        if name == other_name and one != other
        for member in _differing(name, _text(artifacts, one), _text(artifacts, other))
    )


def bound_fact(envelope: Envelope) -> FactRecorded | None:
    """The fact that an event binds; None of another event, and of a question of today whose answer is not known."""
    try:
        return None if envelope.domain is None else fact_of(envelope.domain)
    except WireError:
        return None


def _named(envelope: Envelope) -> Iterator[tuple[str, str | None]]:
    """The artifacts that an event names, each with the beginning of the paths of its members; contexts have none."""
    match envelope.kernel:
        case RunStarted(_, manifest, initial):
            yield "manifest", manifest
            yield "", initial
        case StateEntered(_, _, context) | StateCompleted(_, context) | RunCompleted(_, context):
            yield "", context
        case _:
            fact = bound_fact(envelope)
            if fact is not None:
                yield fact.key, fact.payload_id


def _differing(name: str, expected: bytes | None, actual: bytes | None) -> Iterator[MemberPair]:
    try:
        found = differing_members(expected, actual, whole="")
    except JsonError:  # random bytes are no JSON
        return
    for path, one, other in found:
        yield ".".join(filter(None, (name, path))) or "state", one, other


def _text(artifacts: ArtifactStore, name: str | None) -> bytes | None:
    return artifacts.get(name) if name is not None and artifacts.exists(name) else None
