"""The context of a run: a map of JSON values, changed in a stage and kept as whole snapshots (spec 50 §8)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Protocol, cast

import msgspec

from ergo_cli.core.json import JsonError, NotCanonicalError, decode, free_text
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.canonical import SecretsNotAllowed, canonical_json, plain, refusal
from ergo_cli.programs.plan.errors import (
    ContextError,
    ErrorCategory,
    ErrorInfo,
    Other,
    not_readable,
)
from ergo_cli.programs.plan.stream import Artifacts


class Context(Protocol):
    """What a handler sees of the run's values. Values handed in and out are copies."""

    def __contains__(self, key: str) -> bool:
        """Whether there is a value of this key; a stored null is one."""
        ...

    def read(self, key: str, default: FreeValue = None) -> FreeValue:
        """The value of a key, ``default`` if there is none."""
        ...

    def read_typed(self, key: str, kind: Any) -> Any:
        """The value of a key as ``kind``, None if there is none.

        Raises ContextError ``plan.context_deserialize_failed`` if the value does not fit.
        """
        ...

    def write(self, key: str, value: FreeValue) -> None:
        """Set a value; a set is kept as a sorted array, a struct as an object.

        Raises ContextError ``plan.context_serialize_failed`` for what is not JSON.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove a value; nothing happens if there is none."""
        ...

    def dump(self) -> dict[str, FreeValue]:
        """All values."""
        ...


class StagedContext:
    """The context of one attempt: an immutable base, and what the attempt has changed so far."""

    def __init__(self, base: Mapping[str, FreeValue]) -> None:
        self._base = base
        self._written: dict[str, FreeValue] = {}
        self._deleted: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._written or (key in self._base and key not in self._deleted)

    def read(self, key: str, default: FreeValue = None) -> FreeValue:
        """A copy of the value of a key, ``default`` if there is none."""
        if key not in self:
            return default
        return copied(self._written[key] if key in self._written else self._base[key])

    def read_typed(self, key: str, kind: Any) -> Any:
        """The value of a key as ``kind``, None if there is none.

        Raises ContextError ``plan.context_deserialize_failed`` if the value does not fit.
        """
        if key not in self:
            return None
        try:
            return msgspec.convert(self.read(key), kind)
        except msgspec.ValidationError as error:
            raise not_readable("context_deserialize_failed", f"the value of '{key}': {error}") from error

    def write(self, key: str, value: FreeValue) -> None:
        """Set the value of a key to a copy of ``value``, made plain JSON.

        Raises ContextError ``plan.context_serialize_failed``. Floats and secrets are refused when the context is kept.
        """
        self._written[key] = _plain(key, value)
        self._deleted.discard(key)

    def delete(self, key: str) -> None:
        """Remove a value; nothing happens if there is none."""
        self._written.pop(key, None)
        self._deleted.add(key)

    def dump(self) -> dict[str, FreeValue]:
        """A copy of the base with all changes applied."""
        kept = {key: value for key, value in self._base.items() if key not in self._deleted}
        return cast("dict[str, FreeValue]", copied({**kept, **self._written}))


def copied(value: FreeValue) -> FreeValue:
    """A copy of plain JSON that shares no container with it; tuples become lists."""
    if isinstance(value, dict):
        return {name: copied(member) for name, member in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [copied(item) for item in cast("list[object]", value)]
    return value


def changed_keys(before: Mapping[str, FreeValue], after: Mapping[str, FreeValue]) -> list[str]:
    """The keys whose value differs between two contexts, or which only one of them has, ascending."""
    return sorted(key for key in before.keys() | after.keys() if not _is_same(before, after, key))


def _is_same(before: Mapping[str, FreeValue], after: Mapping[str, FreeValue], key: str) -> bool:
    return key in before and key in after and free_text(before[key]) == free_text(after[key])


def snapshot_text(values: Mapping[str, FreeValue], allowed: Set[str] = frozenset()) -> bytes:
    """The text of a whole context, in which equal contexts are equal.

    Raises ContextError ``plan.secrets_detected`` and ``plan.context_snapshot_not_canonical``, with the place.
    """
    try:
        return canonical_json(values, allowed)
    except SecretsNotAllowed as error:
        message = f"the context is not kept: {refusal(error)}"
        raise ContextError(Other(ErrorInfo("secrets_detected", ErrorCategory.CONTEXT, False, message))) from error
    except NotCanonicalError as error:
        message = f"the context is not kept: {refusal(error)}"
        raise not_readable("context_snapshot_not_canonical", message) from error


def read_snapshot(artifacts: Artifacts, snapshot: str) -> dict[str, FreeValue]:
    """The context of a snapshot.

    Raises StorageError, ContextError ``plan.context_snapshot_decode_failed`` and ``plan.context_snapshot_not_object``.
    """
    where = f"artifact {snapshot}"
    try:
        value: Any = decode(artifacts.get(snapshot))
    except JsonError as error:
        message = f"the snapshot {snapshot} is not JSON: {error}"
        raise not_readable("context_snapshot_decode_failed", message, where) from error
    if not isinstance(value, dict):
        raise not_readable("context_snapshot_not_object", f"the snapshot {snapshot} is not an object", where)
    return cast("dict[str, FreeValue]", value)


def _plain(key: str, value: FreeValue) -> FreeValue:
    try:
        return copied(plain(value))
    except NotCanonicalError as error:
        message = f"the value of '{key}' is not JSON: {refusal(error)}"
        raise not_readable("context_serialize_failed", message) from error
