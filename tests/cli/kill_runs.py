"""Drives runs of the mortal agent in processes of their own, kills these, and says what became of the runs.

``kill_runs.py STORE FOLDER``, with one job a line on standard input: ``RUN CUT …`` for a process that dies at the
CUT-th call of the agent's functions, and another for every further CUT; a CUT with a decimal point is the part of a
whole run's time after which the process is killed from outside. A last process drives the run to its end. For each job
one line of JSON tells the deaths, the log, the state and what was executed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import mortal_agent
from mortal_agent import Life, State, program

from ergo_cli.programs.kernel import Interrupted, Kernel, KernelError, Resume
from ergo_cli.programs.kernel.engine.events import RunCompleted, RunStatus
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import RunStore, open_store

PAYLOAD = {"from": "test"}
PATIENCE = 100
NEVER = "1000000"


def main(named: str, folder: str) -> None:
    Life.executed = Path(folder, "executed-timed")
    begin = time.monotonic()
    finish(named, folder, "timed")
    duration = time.monotonic() - begin
    for line in sys.stdin:
        run, *cuts = line.split()
        Life.executed = Path(folder, f"executed-{run}")
        Life.executed.touch()
        deaths = sum(is_killed(started(named, folder, run, cut), cut, duration) for cut in cuts)
        finish(named, folder, run)
        print(json.dumps({"deaths": deaths, **outcome(named, folder, run)}), flush=True)


def started(named: str, folder: str, run: str, cut: str) -> int:
    """The process that drives the run, and dies by itself where ``cut`` is the number of a call."""
    child = os.fork()
    if child == 0:
        Life.calls_left = None if "." in cut else int(cut)
        with open_store(named, Path(folder), lambda: 0, KERNEL_TABLES) as store:
            drive(store, run)
        os._exit(0)
    return child


def is_killed(child: int, cut: str, duration: float) -> bool:
    """Whether the process was killed before it came to the end."""
    if "." in cut:
        time.sleep(float(cut) * duration)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0


def finish(named: str, folder: str, run: str) -> None:
    """Let a process drive the run to its end."""
    assert not is_killed(started(named, folder, run, NEVER), NEVER, 0)


def drive(store: RunStore, run: str) -> None:
    """From wherever the log ends to its end, as often as it takes for a database to notice who has died."""
    for _ in range(PATIENCE):
        try:
            while not isinstance(go_on(kernel_in(store), run), RunCompleted):
                pass
            return
        except KernelError as error:
            if error.code != "kernel.seq_conflict":
                raise


def go_on(kernel: Kernel[State], run: str) -> RunStatus:
    initial = program.first_state(PAYLOAD)
    end = kernel.log_end(run)
    if end.is_completed:
        return RunCompleted()
    if isinstance(end.last, Interrupted):
        return kernel.resume(run, initial, Resume(f"answer to {end.last.value}"))
    return kernel.run_until_blocked(run, initial)


def outcome(named: str, folder: str, run: str) -> dict[str, object]:
    with open_store(named, Path(folder), lambda: 0, KERNEL_TABLES) as store:
        kernel = kernel_in(store)
        state = kernel.replay_from_snapshot(run, program.first_state(PAYLOAD))
        assert state == kernel.replay(run, program.first_state(PAYLOAD))
        log = [text.replace(run, "RUN") for _, text in store.journal.scan(run)]
    return {"log": log, "state": state, "executed": Life.executed.read_text().replace(run, "RUN").split()}


def kernel_in(store: RunStore) -> Kernel[State]:
    return program.kernel(store.journal, mortal_agent.execute, snapshots=store.snapshots)


if __name__ == "__main__":
    main(*sys.argv[1:])
