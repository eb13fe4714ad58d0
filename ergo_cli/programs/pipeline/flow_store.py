"""Where a flow that ergo drives is kept: in memory, for the run alone, or in a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ergo_cli.programs.pipeline.effects import EffectHistory, NoHistory
from ergo_cli.programs.pipeline.ids import FlowId
from ergo_cli.stores.journals import EventJournal


class FlowStore(Protocol):
    """One flow and what is recorded of it. Every method raises JournalError."""

    @property
    def flow_id(self) -> FlowId:
        """The id of the flow."""
        ...

    @property
    def journal(self) -> EventJournal:
        """What the flow appends to, and reads from."""
        ...

    @property
    def history(self) -> EffectHistory:
        """What is recorded of its effects."""
        ...

    def begin(self) -> None:
        """Take the flow, or begin it; called once, before all else."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether the flow repeats what was recorded before this process drove it."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether the store failed, or has something else: the flow is left as it is there, and may go on later."""
        ...

    @property
    def is_stopped_here(self) -> bool:
        """Whether the flow, which is at rest, is to be stopped: somebody asks for it, or it was stopped here before."""
        ...

    @property
    def is_timed_out_here(self) -> bool:
        """Whether the time of the call was over here before."""
        ...

    def effect_recorded(self) -> None:
        """Something was recorded of an effect."""
        ...

    def forget(self, run: str, count: int) -> None:
        """The first ``count`` records of a journal are read by nothing any more."""
        ...

    def episode_ended(self) -> None:
        """The flow is at rest."""
        ...

    def close(self, *, has_ended: bool) -> None:
        """Leave the flow, which has ended, or can go on later."""
        ...


class MemoryFlow:
    """A flow that ends with its process. ``forget`` is called as that of a FlowStore."""

    is_behind = False
    has_failed = False
    is_stopped_here = False
    is_timed_out_here = False

    def __init__(
        self,
        flow_id: FlowId,
        journal: EventJournal,
        history: EffectHistory = NoHistory(),
        *,
        forget: Callable[[str, int], object] = lambda _run, _count: None,
    ) -> None:
        self.flow_id = flow_id
        self.journal = journal
        self.history = history
        self._forget = forget

    def begin(self) -> None:
        """Take nothing."""

    def effect_recorded(self) -> None:
        """Sync nothing."""

    def forget(self, run: str, count: int) -> None:
        """Forget records that nothing reads."""
        self._forget(run, count)

    def episode_ended(self) -> None:
        """Sync nothing."""

    def close(self, *, has_ended: bool) -> None:
        """Leave nothing."""
