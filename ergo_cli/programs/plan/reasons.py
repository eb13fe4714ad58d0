"""Why each state of a run ran, ran again or changed nothing, read from its stream."""

from __future__ import annotations

from collections.abc import Iterable

from ergo_cli.programs.plan.events import Envelope, StateCompleted, StateEntered, StateFailed, fact_of

_OF_ONE_ATTEMPT = "mfm:"
"""How the keys of facts begin that only the attempt asks for that recorded them: time and randomness."""


def reasons_of(events: Iterable[Envelope]) -> list[tuple[str, str]]:
    """Each state that was entered with one line about its attempts, in order of entry."""
    states: dict[str, _Attempts] = {}
    current: _Attempts | None = None
    for envelope in events:
        match envelope.kernel:
            case StateEntered(state_id, number, base):
                current = states.setdefault(state_id, _Attempts())
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


class _Attempts:
    """The attempts of one state so far."""

    def __init__(self) -> None:
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
