"""A program of any kind (spec 00 §13.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, Self, TypeVar, runtime_checkable

from msgspec import Struct

from ergo_cli.programs.kind import Kind

P = TypeVar("P")


class Program(Struct, Generic[P], frozen=True):
    """A program: its kind, the name it is referred to by, the id and fingerprint that bundles record, and its value.

    ``value`` is opaque to everything but the kind. ``has_own_code`` says whether it runs code that the fingerprint does
    not cover; None for a kind whose fingerprints cover all. ``newer_provenance`` gives the fingerprint as originals
    with a newer serde_json record it, for a kind of theirs.
    """

    kind: Kind[P]
    ref: str
    graph_id: str
    provenance: str
    value: P
    newer_provenance: Callable[[], str] | None = None
    has_own_code: Callable[[], bool] | None = None


AnyProgram = Program[Any]


class AuthoredProgram(Protocol):
    """The attributes of every program written in Python, besides those that its kind reads."""

    @property
    def graph_id(self) -> str:
        """The name that bundles record as their graph id."""
        ...

    @property
    def version(self) -> str:
        """The version that enters the fingerprint."""
        ...


@runtime_checkable
class Guarded(Protocol):
    """A program written in Python that keeps nothing that looks like a secret."""

    def allowing(self, names: Iterable[str]) -> Self:
        """The same program, for which ``names`` are none."""
        ...
