"""States as text: for snapshots, for hashes, for copies (spec 40 §3.9)."""

from __future__ import annotations

from copy import deepcopy
from hashlib import sha256
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from ergo_cli.core.canonical import NotCanonicalError, record_text
from ergo_cli.core.json import decode as decode_json
from ergo_cli.programs.kernel.errors import driver_error

S = TypeVar("S")


class StateCodec(Generic[S]):
    """Writes and reads the states of one program: values of a declared type, else plain JSON values."""

    def __init__(self, kind: Any = None, version: int = 0) -> None:
        self._kind = kind
        self.version = version
        """The version of the form that states have; snapshots carry it."""

    def encode(self, state: S) -> bytes:
        """The canonical text. Raises KernelError ``kernel.not_canonical`` naming the place."""
        try:
            return record_text(state)
        except NotCanonicalError as error:
            raise driver_error(f"state{error.place}: {error}", code="kernel.not_canonical") from error

    def decode(self, text: bytes) -> S:
        """The state of a text. Raises ValueError where it is none of this program's states."""
        return self.of_value(decode_json(text))

    def of_value(self, value: Any) -> S:
        """The state of a decoded JSON value. Raises ValueError (``msgspec.ValidationError``)."""
        return value if self._kind is None else msgspec.convert(value, self._kind)

    def copy(self, state: S) -> S:
        """A state that shares nothing with this one.

        Raises KernelError: ``kernel.not_canonical``, ``kernel.driver`` for a state that is not of the declared type.
        """
        if self._kind is None and isinstance(state, Struct):
            return deepcopy(state)
        text = self.encode(state)
        try:
            return self.decode(text)
        except ValueError as error:
            raise driver_error(f"the state is not of the type that the program declares: {error}") from error

    def digest(self, state: S) -> str:
        """Lower-case hex SHA-256 of the canonical text. Raises KernelError ``kernel.not_canonical``."""
        return sha256(self.encode(state)).hexdigest()
