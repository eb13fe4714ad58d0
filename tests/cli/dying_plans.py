"""Drives runs of small plans in processes of their own, each of which may kill itself at an append.

``dying_plans.py STORE FOLDER``, with one process a line on standard input: ``RUN PROGRAM APPEND``. The process starts
or resumes the run, and dies by SIGKILL when the run comes to the append of this number, before it is made; 0 is never.
One line of JSON tells what became of it: ``killed``, or the run's ``phase`` and ``snapshot``, or the ``code`` and
``where`` of the error. Every call that reaches the world is a line of the file ``asked``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ergo_cli.core.time import StandingClock
from ergo_cli.programs.plan import (
    Context,
    FactIo,
    IoCall,
    PlanProgram,
    Recorder,
    RunError,
    State,
    StateError,
    StateMeta,
    run_config,
)
from ergo_cli.programs.plan.engine import RunResult, StartRun
from ergo_cli.programs.plan.errors import invalid_plan
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.invoker import live_engine
from ergo_cli.programs.plan.manifest import RunManifest
from ergo_cli.programs.plan.states import ExecutionPlan, Handler
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.stores.backends import RunStore, memory_store, open_store
from ergo_cli.stores.journals import EventJournal, RememberingJournal


def ask(call: IoCall) -> Any:
    with Path("asked").open("a") as asked:
        asked.write(f"{call.fact_key}\n")
    return {"price": 5}


def write_x(ctx: Context, io: FactIo, rec: Recorder) -> None:
    assert "x" not in ctx
    ctx.write("x", 1)


def quote(ctx: Context, io: FactIo, rec: Recorder) -> None:
    ctx.write("price", io.call("quotes.get", {"of": "x"}, "quote").response["price"])


def flaky(ctx: Context, io: FactIo, rec: Recorder) -> None:
    if io.get_recorded_fact("tried") is None:
        io.record_value("tried", 1)
        raise StateError.of("try_again", "not yet", retryable=True)


def pay(ctx: Context, io: FactIo, rec: Recorder) -> None:
    ctx.write("paid", io.call("bank.pay", {"amount": ctx.read("price")}, "payment").response["queued"])


def fails(*, retryable: bool) -> Handler:
    def handle(ctx: Context, io: FactIo, rec: Recorder) -> None:
        raise StateError.of("flaky", "not yet", retryable=retryable)

    return handle


def plan_of(*states: State, max_attempts: int = 3) -> PlanProgram:
    return PlanProgram(
        "dying",
        "1",
        states,
        tuple(pairwise(state.id for state in states)),
        run_config=run_config(max_attempts=max_attempts, skip_tags=("left_out",)),
        transports={"quotes": ask, "bank": ask},
        effectful=("bank.pay",),
    )


class Refusing:
    """A resolver that has no plans."""

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        raise invalid_plan("op_not_found", "no such operation")


ONE = plan_of(State("dying.main.one", write_x))
PROGRAMS = {
    "one": ONE,
    "whole": plan_of(
        State("dying.main.quote", quote),
        State("dying.main.flaky", flaky),
        State("dying.main.skipped", fails(retryable=False), StateMeta(tags=("left_out",))),
        State("dying.main.pay", pay, StateMeta(idempotency="pay-1")),
    ),
    "always": plan_of(State("dying.main.one", fails(retryable=True))),
    "once": plan_of(State("dying.main.one", fails(retryable=True)), max_attempts=1),
    "hard": plan_of(State("dying.main.one", fails(retryable=False))),
    "empty": replace(ONE, states=()),
    "renamed": replace(ONE, states=(State("dying.main.other", write_x),)),
    "refusing": ONE,
    "foreign": ONE,
}


class Foreign:
    """A resolver that gives the plan of another operation."""

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        return replace(ONE.plan, op_id="other")


RESOLVERS = {"refusing": Refusing(), "foreign": Foreign()}


class MortalJournal(RememberingJournal):
    """A journal whose process dies when a run comes to an append."""

    def __init__(self, journal: EventJournal, last: int) -> None:
        super().__init__(journal)
        self._last = last

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        if self.head(run) + 1 == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().append(run, texts, expected_head)


def main(named: str, folder: str) -> None:
    os.chdir(folder)
    warm_up(named, folder)
    print("ready", flush=True)  # what it asked meanwhile is of no run
    for line in sys.stdin:
        run, program, last = line.split()
        child = os.fork()
        if child == 0:
            try:
                with open_store(named, Path(folder), lambda: 0, PLAN_TABLES) as store:
                    Path("outcome").write_text(json.dumps(driven(store, RunId(run), program, int(last))))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), status
        told = {"killed": True} if status else json.loads(Path("outcome").read_text())
        Path("outcome").unlink(missing_ok=True)
        print(json.dumps(told), flush=True)


def warm_up(named: str, folder: str) -> None:
    """Import and compute here, once, what every process needs."""
    with open_store(named, Path(folder), lambda: 0, PLAN_TABLES) as store:
        store.journal.runs()
    driven(memory_store(), RunId("00000000-0000-4000-8000-000000000000"), "whole", 0)


def driven(store: RunStore, run: RunId, name: str, last: int) -> dict[str, str | None]:
    program = PROGRAMS[name]
    journal = MortalJournal(store.journal, last)
    clock = StandingClock()
    engine = live_engine(program, journal, store.artifacts, store.attempts, clock, os.urandom, leases=store.leases)
    engine = replace(engine, resolver=RESOLVERS.get(name, program))

    def start() -> RunResult:
        manifest = program.manifest
        manifest_id = engine.artifacts.put(manifest.canonical())
        return engine.start(
            StartRun(
                manifest=manifest,
                manifest_id=manifest_id,
                plan=program.plan,
                run_config=manifest.run_config,
                initial_context={},
                run_id=run,
            )
        )

    try:
        result = engine.resume(run) if journal.head(run) else start()
    except RunError as error:
        return {"code": error.code, "where": error.where}
    return {"phase": result.phase.value, "snapshot": result.final_snapshot_id}


if __name__ == "__main__":
    main(*sys.argv[1:])
