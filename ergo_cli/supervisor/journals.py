"""The journal that a stateful program's invoker records of an episode, call by call (spec 00 §13.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec
from msgspec import Raw, Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, text_of
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.supervisor.seam import EffectfulInvoker, RunTermination

_encode = msgspec.json.Encoder().encode
_NULL = Raw(b"null")


class Begin(Struct, frozen=True, forbid_unknown_fields=True):
    """The run before a call: its ``head``, and the artifact ids of its earlier records and its initial state."""

    attempt: int
    head: int = 0
    prior: str | None = None
    initial: str | None = None


class CallError(Struct, frozen=True, forbid_unknown_fields=True):
    """The error that ended a call; ``message`` is for readers and never compared."""

    code: str
    message: str

    @classmethod
    def of(cls, error: ErgoError) -> CallError:
        """The recorded form of an error; characters that JSON cannot hold are escaped."""
        return cls(error.code, text_of(error))


class End(Struct, frozen=True, forbid_unknown_fields=True):
    """The result of a call. ``status`` is JSON of the program's kind; ``state`` is the digest of the state after it."""

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
    """The records of one run for an episode, as compact JSON, and the artifacts that they name, by id.

    ``failure`` is a store's error in the last call, after which the run cannot continue.
    """

    run_id: str
    records: tuple[bytes, ...]
    artifacts: Mapping[str, bytes]
    failure: ErgoError | None = None


def ended_as(journal: EpisodeJournal) -> RunTermination:
    """How the last call of a journal ended."""
    return msgspec.json.decode(journal.records[-1], type=EndFrame).end.termination


class StatefulInvoker(EffectfulInvoker, Protocol):
    """An invoker whose episodes leave records that a replay needs (spec 00 §13.1)."""

    def drain_journals(self) -> Sequence[EpisodeJournal]:
        """The records since the last drain, all of one episode: its own run first, then the runs that it spawned."""
        ...

    def close(self, interrupted: bool) -> Sequence[EpisodeJournal]:
        """Close the program, once, after the last event; returns what closing recorded.

        ``interrupted``: the run ended before its events did.
        """
        ...


class WaitingRun(Struct, frozen=True):
    """A run that waits: for an answer to its ``question`` (JSON text), or for a signal."""

    run_id: str
    question: bytes | None = None
    signal: str | None = None


class WaitingRuns(Struct, frozen=True):
    """The runs that wait, the first of them that are known; ``others`` counts the rest."""

    first: tuple[WaitingRun, ...] = ()
    others: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.first) + self.others


@runtime_checkable
class Waits(Protocol):
    """An invoker whose runs may wait at the end of an episode."""

    def waiting(self) -> WaitingRuns:
        """The runs that wait now."""
        ...


@runtime_checkable
class Warns(Protocol):
    """An invoker that may have warnings at the end of a run."""

    def notices(self) -> Sequence[Notice]:
        """The warnings so far."""
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
        """Begin a call; ``prior`` and ``initial`` are kept as artifacts."""
        self._run_id = run_id
        self._records.append(_encode(BeginFrame(Begin(self._attempts, head, self._kept(prior), self._kept(initial)))))
        self._attempts += 1

    def add(self, records: Iterable[bytes]) -> None:
        """Add records that the call appended to its run."""
        self._records += records

    def keep(self, artifacts: Iterable[tuple[str, bytes]]) -> None:
        """Keep artifacts that the records name, by id."""
        self._artifacts.update(artifacts)

    def end(self, end: End, failure: ErgoError | None = None) -> None:
        """End the call; ``failure`` is a store's error, if one ended it."""
        self._records.append(_encode(EndFrame(end)))
        self._failure = failure

    def drain(self) -> EpisodeJournal:
        """Return everything since the last drain and empty the log."""
        journal = EpisodeJournal(self._run_id, tuple(self._records), self._artifacts, self._failure)
        self._run_id, self._attempts, self._records, self._artifacts, self._failure = "", 0, [], {}, None
        return journal

    def _kept(self, data: bytes | None) -> str | None:
        if data is None:
            return None
        artifact = artifact_id(data)
        self._artifacts[artifact] = data
        return artifact
