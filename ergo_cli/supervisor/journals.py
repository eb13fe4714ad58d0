"""What the invoker of a stateful program recorded of an episode, call by call (spec 00 §13.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from ergo_cli.errors import ErgoError
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.supervisor.seam import EffectfulInvoker, RunTermination

_encode = msgspec.json.Encoder().encode
_NULL = Raw(b"null")


class Begin(Struct, frozen=True, forbid_unknown_fields=True):
    """What stood before a call: the run's ``head``, and artifact ids of its earlier records and its initial state."""

    attempt: int
    head: int = 0
    prior: str | None = None
    initial: str | None = None


class CallError(Struct, frozen=True, forbid_unknown_fields=True):
    """The error that ended a call; ``message`` is for people and never compared."""

    code: str
    message: str

    @classmethod
    def of(cls, error: ErgoError) -> CallError:
        """The error as it is recorded; characters that JSON cannot hold are escaped."""
        return cls(error.code, str(error).encode(errors="backslashreplace").decode())


class End(Struct, frozen=True, forbid_unknown_fields=True):
    """What a call came to. ``status`` is JSON in the form of the program's kind; ``state`` names the state after it."""

    termination: RunTermination
    status: Raw = _NULL
    state: str | None = None
    error: CallError | None = None


class BeginFrame(Struct, frozen=True, forbid_unknown_fields=True):
    """The first record of a call: ``{"begin":{…}}``."""

    begin: Begin


class EndFrame(Struct, frozen=True, forbid_unknown_fields=True):
    """The last record of a call: ``{"end":{…}}``."""

    end: End


class EpisodeJournal(Struct, frozen=True):
    """The records of all calls of one episode, as compact JSON, and the artifacts that they name, by id.

    ``failure`` is the error of a store that could not do what the last call needed: the run cannot go on.
    """

    run_id: str
    records: tuple[bytes, ...]
    artifacts: Mapping[str, bytes]
    failure: ErgoError | None = None


class StatefulInvoker(EffectfulInvoker, Protocol):
    """An invoker whose episodes leave records that a replay needs (spec 00 §13.1)."""

    def drain_journal(self) -> EpisodeJournal:
        """What was recorded since the last drain: all calls of one episode."""
        ...

    def close(self, interrupted: bool) -> None:
        """The last event is done; ``interrupted`` says that the run ended before its events did."""
        ...


class EpisodeLog:
    """Gathers the records of an episode, one call after the other, until they are drained."""

    def __init__(self) -> None:
        self._run_id = ""
        self._attempts = 0
        self._records: list[bytes] = []
        self._artifacts: dict[str, bytes] = {}
        self._failure: ErgoError | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no call was made since the last drain."""
        return not self._records

    def begin(self, run_id: str, head: int = 0, prior: bytes | None = None, initial: bytes | None = None) -> None:
        """A call begins; artifacts are given as they are, and kept."""
        self._run_id = run_id
        self._records.append(_encode(BeginFrame(Begin(self._attempts, head, self._kept(prior), self._kept(initial)))))
        self._attempts += 1

    def add(self, records: Iterable[bytes]) -> None:
        """The call appended these records to its run."""
        self._records += records

    def end(self, end: End, failure: ErgoError | None = None) -> None:
        """The call is over; ``failure`` is that of a store, if one brought it to its end."""
        self._records.append(_encode(EndFrame(end)))
        self._failure = failure

    def drain(self) -> EpisodeJournal:
        """Everything since the last drain; empties the log."""
        journal = EpisodeJournal(self._run_id, tuple(self._records), self._artifacts, self._failure)
        self._run_id, self._attempts, self._records, self._artifacts, self._failure = "", 0, [], {}, None
        return journal

    def _kept(self, data: bytes | None) -> str | None:
        if data is None:
            return None
        artifact = artifact_id(data)
        self._artifacts[artifact] = data
        return artifact
