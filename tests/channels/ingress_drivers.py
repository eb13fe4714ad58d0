"""Drivers for tests: command lines of the programs beside this module, and what comes of listening to them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ergo_cli.channels.ingress import ProcessArrivals
from ergo_cli.channels.interruption import End, IngressFailure
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.core.numbers import Numbers
from ergo_cli.events.external import HostedEvent

PROGRAMS = Path(__file__).parent / "programs"
MS = 1_000_000
PATIENT = ChannelPolicy(startup=60_000 * MS, termination=60_000 * MS)
"""For drivers that do of themselves what a test waits for, however busy the machine is."""
SHORT_TERMINATION = ChannelPolicy(startup=60_000 * MS, termination=300 * MS)
"""For drivers that overstay."""
GUARD_SECONDS = 60

ShouldStop = Callable[[], bool]


def scripted(file: Path, *steps: str) -> list[str]:
    """A driver that writes its pid to ``file`` and takes ``steps`` one after the other."""
    return [sys.executable, "-I", "-S", str(PROGRAMS / "ingress_scripted.py"), str(file), *steps]


@contextmanager
def driver(folder: Path, *steps: str, policy: ChannelPolicy = PATIENT) -> Iterator[ProcessArrivals]:
    """The events of a scripted driver, past its hello; its pid is in ``folder/pid``."""
    with ProcessArrivals.start(scripted(folder / "pid", *steps), None, policy, Numbers.EXACT) as arrivals:
        yield arrivals


def go_on() -> bool:
    """A run that nobody stops."""
    return False


def heard(arrivals: ProcessArrivals, should_stop: ShouldStop = go_on) -> tuple[list[str], End]:
    """The ids of all events, and why there are no more."""
    ids: list[str] = []
    while isinstance(event := arrivals.next(should_stop), HostedEvent):
        ids.append(event.event_id)
    return ids, event


def failure(folder: Path, *steps: str, events: int, policy: ChannelPolicy = PATIENT) -> IngressFailure:
    """The failure of a scripted driver after so many events; whatever it was, it leaves no process."""
    with pytest.raises(IngressFailure) as failed:
        _listen(folder, steps, events, policy)
    assert not started(folder) or left_of(pid_in(folder)) == []
    assert failed.value.error.where
    assert failed.value.error.fix
    return failed.value


def _listen(folder: Path, steps: tuple[str, ...], events: int, policy: ChannelPolicy) -> None:
    with driver(folder, *steps, policy=policy) as arrivals:
        for _ in range(events):
            assert isinstance(arrivals.next(go_on), HostedEvent)
        arrivals.next(go_on)


def codes(failed: IngressFailure) -> tuple[str, str]:
    """The code of the error, for before the first committed step, and of the interruption, for after it."""
    return failed.error.code, failed.interruption.code


def started(folder: Path) -> bool:
    """Whether a driver came so far as to write its pid; one that is stopped at once does not."""
    return (folder / "pid").exists()


def pid_in(folder: Path) -> int:
    """The pid, and process group, of the driver that was started in ``folder``."""
    return int((folder / "pid").read_text())


def members(group: int) -> list[str]:
    """The processes of a group that are alive, or that this process has not reaped."""
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and _lives_in(entry, group)]


def left_of(group: int) -> list[str]:
    """What stays of a group: a process that was killed may take a moment to go."""
    deadline = time.monotonic() + GUARD_SECONDS
    while (left := members(group)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def _lives_in(entry: Path, group: int) -> bool:
    try:
        state, parent, its_group, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return its_group == str(group) and (state != "Z" or parent == str(os.getpid()))
