"""Domain events of handlers: filtered by the run's profile, guarded, appended (spec 50 §10.3–10.4)."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

from ergo_cli.core.json import NotCanonicalError
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, canonical_json, refusal
from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, Other, RunError, Storage, StorageError
from ergo_cli.programs.plan.events import CALL_FAILED, FACT_RECORDED, DomainEvent
from ergo_cli.programs.plan.ids import ArtifactId
from ergo_cli.programs.plan.manifest import EventProfile, Minimal
from ergo_cli.programs.plan.secrets import is_suspicious
from ergo_cli.programs.plan.stream import Appender
from ergo_cli.stores.artifacts import is_artifact_id

_ENGINES = (FACT_RECORDED, CALL_FAILED)


class Recorder(Protocol):
    """Takes the domain events of a handler. Every method raises RunError."""

    def emit(self, name: str, payload: FreeValue, payload_ref: ArtifactId | None = None) -> None:
        """Append one event."""
        ...

    def emit_many(self, events: Sequence[DomainEvent]) -> None:
        """Append events, all or none, in order."""
        ...


class FilteredRecorder:
    """A recorder that keeps what the profile of the run keeps."""

    def __init__(self, profile: EventProfile, appender: Appender, allowed: Set[str] = frozenset()) -> None:
        self._keeps_all = not isinstance(profile, Minimal)
        self._appender = appender
        self._allowed = allowed

    def emit(self, name: str, payload: FreeValue, payload_ref: ArtifactId | None = None) -> None:
        """Append one event, if the profile keeps it."""
        self.emit_many((DomainEvent(name, payload, payload_ref),))

    def emit_many(self, events: Sequence[DomainEvent]) -> None:
        """Append the events that the profile keeps.

        Raises RunError ``plan.secrets_detected``, and ``plan.domain_event_invalid`` for an event of the engine's name,
        a payload that is not canonical JSON, and a reference that is not an artifact's id.
        """
        for event in events:
            if event.name in _ENGINES:
                raise _refused("domain_event_invalid", f"only the engine writes '{event.name}' events")
        kept = [event for event in events if self._keeps_all]
        for event in kept:
            self._check(event)
        try:
            self._appender.append(*kept)
        except StorageError as error:
            raise RunError(Storage(error.form), where=error.where) from error

    def _check(self, event: DomainEvent) -> None:
        if event.name not in self._allowed and is_suspicious(event.name):
            raise _secret("its name looks like a secret")
        try:
            canonical_json(event.payload, self._allowed)
        except SecretsNotAllowed as error:
            raise _secret(refusal(error)) from error
        except NotCanonicalError as error:
            message = f"the event '{event.name}' is not recorded: {refusal(error)}"
            raise _refused("domain_event_invalid", message) from error
        if event.payload_ref is not None and not is_artifact_id(event.payload_ref):
            raise _refused("domain_event_invalid", f"the event '{event.name}' names no artifact: {event.payload_ref!r}")


def _secret(why: str) -> RunError:
    return RunError(
        Other(ErrorInfo("secrets_detected", ErrorCategory.UNKNOWN, False, f"the event is not recorded: {why}"))
    )


def _refused(code: str, message: str) -> RunError:
    return RunError(Other(ErrorInfo(code, ErrorCategory.PARSING_INPUT, False, message)))
