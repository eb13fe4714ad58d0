"""What stands before a call for a run: its head, its initial state, and what a bundle does not know of it yet."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.errors import KernelError
from ergo_cli.programs.kernel.initial_states import InitialStates
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.programs.kernel.state import StateCodec
from ergo_cli.programs.kernel.wire import FreeValue
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.snapshots import SnapshotStore

S = TypeVar("S")


class RunStart(Struct, frozen=True):
    """How a call begins (spec 00 §13.4); ``error`` is why it cannot be made.

    ``prior`` are the records up to ``head`` as a JSON array where a bundle does not hold them yet, ``initial`` is the
    text of the initial state at the first call of a run.
    """

    head: int = 0
    prior: bytes | None = None
    initial: bytes | None = None
    error: KernelError | None = None


class RunStarts(Generic[S]):
    """Remembers the runs that calls were made for: their initial states, and how far their records are known.

    With ``snapshots`` initial states are kept, so that a later process can go on with a run.
    """

    def __init__(self, program: KernelProgram[S], journal: EventJournal, snapshots: SnapshotStore | None) -> None:
        self._program = program
        self._journal = journal
        self._codec: StateCodec[S] = program.codec
        self._kept = None if snapshots is None else InitialStates(snapshots, self._codec)
        self._initials: dict[str, S] = {}
        self._heads: dict[str, int] = {}

    def start(self, run_id: str, payload: FreeValue) -> RunStart:
        """What stands before the next call of a run; ``payload`` makes the initial state of one that is new."""
        log, head, prior = RunLog(self._journal, run_id), 0, None
        try:
            head = log.head()
            prior = self._prior(log, head)
            return RunStart(head, prior, self._begun(run_id, head, payload))
        except KernelError as error:
            return RunStart(head, prior, error=error)

    def initial(self, run_id: str) -> S:
        """The initial state of a run that was started: a copy, which a careless reducer may spoil."""
        return self._codec.copy(self._initials[run_id])

    def advanced(self, run_id: str, head: int) -> None:
        """The records of a run are known up to ``head``."""
        self._heads[run_id] = head

    def forget(self) -> None:
        """No further call will be made for the runs so far."""
        self._initials.clear()
        self._heads.clear()

    def _prior(self, log: RunLog, head: int) -> bytes | None:
        if head == self._heads.get(log.run_id, 0):
            return None
        return b"[" + b",".join(map(wire.encode, log.scan(1, head))) + b"]"

    def _begun(self, run_id: str, head: int, payload: FreeValue) -> bytes | None:
        """The text of the initial state of a run that is met for the first time."""
        if run_id in self._initials:
            return None
        state = self._known(run_id, head, payload)
        text = self._codec.encode(state)
        self._initials[run_id] = state
        return text

    def _known(self, run_id: str, head: int, payload: FreeValue) -> S:
        """The initial state: what was kept of a run that goes on, else what the payload makes it."""
        found = None if self._kept is None or head == 0 else self._kept.find(run_id)
        if found is not None:
            return found
        state = self._program.first_state(payload)
        if self._kept is not None and head == 0:
            self._kept.keep(run_id, state)
        return state
