"""Clock, randomness and threads behind the guard (spec 40 §8)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ergo_cli.core.time import StandingClock
from ergo_cli.host.timing import LiveClock
from ergo_cli.programs.kernel.companions.services import Services
from ergo_cli.programs.kernel.engine.errors import KernelError
from ergo_cli.programs.kernel.engine.options import KernelMode
from ergo_cli.testing.kernel import ScriptedClock


def services(mode: KernelMode, clock: ScriptedClock) -> Services:
    return Services(mode, clock=clock, draw=lambda size: b"x" * size, start=lambda work: work())


def test_a_live_run_gets_what_it_asks_for() -> None:
    clock, done = ScriptedClock(5_000_000), list[str]()
    live = services(KernelMode.NORMAL, clock)
    live.spawn(lambda: done.append("work"))
    live.clock.sleep_ns(7)
    assert (live.clock.wall_ms(), live.clock.monotonic_ns(), live.random(3), done) == (5, 5_000_007, b"xxx", ["work"])


def test_a_replay_gets_nothing() -> None:
    trapped = services(KernelMode.REPLAY, clock := ScriptedClock())
    attempts: list[Callable[[], object]] = [
        trapped.clock.wall_ms,
        trapped.clock.monotonic_ns,
        lambda: trapped.clock.sleep_ns(1),
        lambda: trapped.random(1),
        lambda: trapped.spawn(lambda: None),
    ]
    for attempt in attempts:
        with pytest.raises(KernelError, match="not allowed in Replay/Verify mode"):
            attempt()
    assert clock.sleeps == []


def test_a_standing_clock_stands() -> None:
    clock = StandingClock()
    clock.sleep_ns(10**18)
    assert (clock.wall_ms(), clock.monotonic_ns()) == (0, 0)


def test_a_live_clock_goes_on() -> None:
    clock = LiveClock()
    before = clock.monotonic_ns()
    clock.sleep_ns(1)
    assert clock.monotonic_ns() > before
    assert clock.wall_ms() > 1_700_000_000_000
