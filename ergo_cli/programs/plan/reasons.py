"""Why each state of a run ran, ran again or changed nothing, read from its stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ergo_cli.programs.plan.engine import read_manifest
from ergo_cli.programs.plan.errors import PlanError
from ergo_cli.programs.plan.events import (
    Envelope,
    RunStarted,
    StateCompleted,
    StateEntered,
    StateFailed,
    fact_of,
)
from ergo_cli.programs.plan.stream import Artifacts

_OF_ONE_ATTEMPT = "mfm:"
"""How the keys of facts begin that only the attempt asks for that recorded them: time and randomness."""


def reasons_of(events: Iterable[Envelope], skip_tags: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Each state that was entered with one line about its attempts, in order of entry.

    ``skip_tags`` are those of the run's manifest. A stream does not hold the tags of its states: a skipped one looks
    like one whose handler left no trace, and the line says so.
    """
    states: dict[str, _Attempts] = {}
    current: _Attempts | None = None
    for envelope in events:
        match envelope.kernel:
            case StateEntered(state_id, number, base):
                current = states.setdefault(state_id, _Attempts(skip_tags))
                current.enter(number, base, envelope.seq)
            case StateCompleted(state_id, snapshot):
                states[state_id].complete(snapshot, envelope.seq)
            case StateFailed(state_id, error, _):
                states[state_id].fail(error.info.code, envelope.seq)
            case None if current is not None and envelope.domain is not None:
                fact = fact_of(envelope.domain)
                if fact is not None and not fact.key.startswith(_OF_ONE_ATTEMPT):
                    current.bind(fact.key, envelope.seq)
            case _:
                pass
    return [(state, attempts.line()) for state, attempts in states.items()]


def skip_tags_of(events: Iterable[Envelope], artifacts: Artifacts) -> tuple[str, ...]:
    """The tags of states that the run leaves out, by its manifest; none where that cannot be read."""
    started = next((each.kernel for each in events if isinstance(each.kernel, RunStarted)), None)
    try:
        return () if started is None else read_manifest(artifacts, started.manifest_id).run_config.skip_tags
    except PlanError:
        return ()


class _Attempts:
    """The attempts of one state so far."""

    def __init__(self, skip_tags: Sequence[str]) -> None:
        self._skip_tags = skip_tags
        self._parts: list[str] = []
        self._open: tuple[int, int] | None = None
        self._base = ""
        self._number = 0
        self._bound: list[tuple[str, int]] = []
        self._kept: list[tuple[str, int]] = []
        """The facts that the latest attempt found bound."""

    def enter(self, number: int, base: str, seq: int) -> None:
        if self._open is not None:
            self._parts.append(f"attempt {self._open[0]} cut off after seq {seq - 1}, resumed")
        self._open, self._number, self._base = (number, seq), number, base
        self._kept = list(self._bound)

    def bind(self, key: str, seq: int) -> None:
        self._bound.append((key, seq))

    def complete(self, snapshot: str, seq: int) -> None:
        assert self._open is not None, "a stream closes no attempt that is not open"
        if self._skip_tags and snapshot == self._base and seq == self._open[1] + 1:
            tags = ", ".join(self._skip_tags)
            self._end(f"skipped by skip_tags ({tags}) or completed without a trace at seq {seq}")
            return
        unchanged = " without a change" if snapshot == self._base else ""
        self._end(f"completed at seq {seq}{unchanged}")

    def fail(self, code: str, seq: int) -> None:
        self._end(f"failed with {code} at seq {seq}")

    def line(self) -> str:
        parts = list(self._parts)
        if self._open is not None:
            parts.append(f"attempt {self._open[0]} open since seq {self._open[1]}")
        parts += [f"fact '{key}' reused from seq {seq}" for key, seq in self._kept]
        return "; ".join(parts)

    def _end(self, how: str) -> None:
        self._parts.append(f"attempt {self._number} {how}")
        self._open = None
