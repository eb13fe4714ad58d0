"""The seven events of a run, the only truth about it (spec 40 §3.2–3.3)."""

from __future__ import annotations

from typing import Annotated, get_args

from msgspec import Meta, Struct

from ergo_cli.core.canonical import NotCanonicalError
from ergo_cli.core.json import JsonError
from ergo_cli.core.json import decode as decode_json
from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.errors import Category, KernelError, at, driver_error
from ergo_cli.programs.kernel.wire import FreeValue, Variant

Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A position in a run: 1, 2, 3 …; 0 stands for "no events"."""


class StateUpdated(Variant, frozen=True):
    """A new state, or a change of it: the reducer decides. What a step function emits."""

    step_id: str | None
    payload: FreeValue


class ActionRequested(Variant, frozen=True):
    """An action is about to be executed; ``payload`` is the action as a free value."""

    action_id: str
    payload: FreeValue


class ActionSucceeded(Variant, frozen=True):
    """An action's result."""

    action_id: str
    output: FreeValue


class ActionFailed(Variant, frozen=True):
    """An action failed for good; ``error`` is the text of the last error."""

    action_id: str
    error: str


class Interrupted(Variant, frozen=True):
    """The run waits for somebody to resume it."""

    value: FreeValue


class Resumed(Variant, frozen=True):
    """The run goes on with this value."""

    value: FreeValue


class Completed(Variant, frozen=True):
    """The run is done."""


Event = StateUpdated | ActionRequested | ActionSucceeded | ActionFailed | Interrupted | Resumed | Completed


class SequencedEvent(Struct, frozen=True):
    """An event and its place in the run; in text ``{"seq":1,"event":"Completed"}``."""

    seq: Seq
    event: Event

    @property
    def kind(self) -> str:
        """The event's tag."""
        return type(self.event).__name__


_KINDS = get_args(Event)


def encode_event(event: object, where: str | None = None) -> bytes:
    """The canonical text of an event, without its seq. Raises KernelError ``kernel.not_canonical`` with the place."""
    if not isinstance(event, _KINDS):
        raise driver_error(f"{event!r:.100} is no event", where=where)
    try:
        return wire.encode(event)
    except NotCanonicalError as error:
        raise driver_error(
            f"{type(event).__name__}{error.place}: {error}", code="kernel.not_canonical", where=where
        ) from error


def decode_event(text: bytes, run_id: str, seq: int) -> Event:
    """The event that a text holds; lenient as spec 40 §3.2 has it.

    Raises KernelError ``kernel.unknown_event`` for a tag that is none of the seven, else ``kernel.corrupt_log``.
    """
    try:
        return wire.read(decode_json(text), Event)
    except (wire.WireError, JsonError) as error:
        unknown = isinstance(error, wire.WireError) and error.tag is not None
        code = "kernel.unknown_event" if unknown else "kernel.corrupt_log"
        message = f"row decode: {error}"
        raise KernelError(Category.EVENT_STORE, message, code=code, where=at(run_id, seq)) from error
