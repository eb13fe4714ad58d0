"""The effects of an episode: what its states wrote, and the intents of a run that completed (spec 00 §13.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

from ergo_cli.core.json import free_text
from ergo_cli.core.values import Effect, Intent, IntentField, ProducedEffect, Value, Write, derive_intent_id
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.children import SPAWN
from ergo_cli.programs.plan.context import changed_keys, read_snapshot
from ergo_cli.programs.plan.events import (
    Envelope,
    RunCompleted,
    RunStatus,
    StateCompleted,
    StateEntered,
    fact_of,
)
from ergo_cli.programs.plan.ids import RunId, child_run
from ergo_cli.programs.plan.stream import Artifacts

IO = "io"
"""The kind of the intents of plans, and of the effects that hold them."""


StreamOf = Callable[[RunId], Sequence[Envelope]]
"""The stream of a run, empty if there is none."""


def run_effects(
    graph_id: str,
    event_id: str,
    events: Iterable[Envelope],
    stream: Sequence[Envelope],
    artifacts: Artifacts,
    child_stream: StreamOf,
) -> list[ProducedEffect]:
    """The effects of one call: ``events`` are those that it appended, ``stream`` is the run from its beginning.

    Intents are read from the facts of the whole run, the first of each key, once it is completed: also by a call that
    finds it so, since the process that completed it may have been killed before it sent them. Those of a child that
    completed stand where it was spawned.
    Raises PlanError where a snapshot cannot be read.
    """
    effects: list[Effect] = []
    base = ""
    for envelope in events:
        match envelope.kernel:
            case StateEntered(_, _, snapshot):
                base = snapshot
            case StateCompleted(_, snapshot) if snapshot != base:
                effects.append(state_write(read_snapshot(artifacts, base), read_snapshot(artifacts, snapshot)))
            case _:
                pass
    if _is_completed(stream):
        effects += _intents(graph_id, event_id, queued_calls(stream, child_stream))
    return [ProducedEffect.of(effect) for effect in effects]


def state_write(before: Mapping[str, FreeValue], after: Mapping[str, FreeValue]) -> Effect:
    """One write for each key that a state changed, ascending; a deleted key gets an empty text."""
    changed = changed_keys(before, after)
    return Effect("state_write", [Write(key, Value(String=_text(after, key))) for key in changed])


def _text(context: Mapping[str, FreeValue], key: str) -> str:
    return free_text(context[key]).decode() if key in context else ""


def _is_completed(stream: Sequence[Envelope]) -> bool:
    last = stream[-1].kernel if stream else None
    return isinstance(last, RunCompleted) and last.status is RunStatus.COMPLETED


def _intents(graph_id: str, event_id: str, queued: Iterable[QueuedCall]) -> Iterator[Effect]:
    ordinals: Counter[str] = Counter()
    for state, asked in queued:
        intent_id = derive_intent_id(graph_id, event_id, state, IO, ordinals[state])
        ordinals[state] += 1
        fields = {
            "namespace": cast(str, asked["namespace"]),
            "request": free_text(asked["request"]).decode(),
            "idempotency_key": cast(str, asked["idempotency_key"]),
        }
        named = [IntentField(name, Value(String=text)) for name, text in fields.items()]
        yield Effect(IO, [], [Intent(IO, intent_id, named)])


QueuedCall = tuple[str, dict[str, FreeValue]]
"""A state, and what it asked of an effectful namespace."""


def queued_calls(stream: Iterable[Envelope], child_stream: StreamOf = lambda run: ()) -> Iterator[QueuedCall]:
    """The calls to effectful namespaces of a run and of its completed children, the first of each fact key of a run."""
    state, seen = "", set[str]()
    for envelope in stream:
        entered = envelope.kernel
        if isinstance(entered, StateEntered):
            state = entered.state_id
        fact = None if envelope.domain is None else fact_of(envelope.domain)
        if fact is None or fact.key in seen:
            continue
        seen.add(fact.key)
        kept: object = fact.meta
        meta = cast("dict[str, FreeValue]", kept) if isinstance(kept, dict) else {}
        if "effect" in meta:
            yield state, cast("dict[str, FreeValue]", meta["effect"])
        elif meta.get("namespace") == SPAWN:
            child = child_stream(child_run(envelope.run_id, fact.key))
            if _is_completed(child):
                yield from queued_calls(child)
