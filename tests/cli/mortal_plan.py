"""A plan that is to be killed: it counts the calls of its functions and dies at the one that is its last.

The number of that call is read from the file ``cut`` beside it, once. Every call of a transport leaves its fact key in
the file ``asked``.
"""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

from ergo_cli.programs.plan import (
    Context,
    FactIo,
    IoCall,
    PlanProgram,
    Recorder,
    SideEffects,
    State,
    StateError,
    StateMeta,
    await_child,
    run_config,
    spawn_child,
)

FOLDER = Path(__file__).parent


class Life:
    """How many more calls there are; without a number there is no end."""

    calls_left: int | None = None

    @classmethod
    def call(cls) -> None:
        if cls.calls_left is not None:
            cls.calls_left -= 1
            if cls.calls_left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def quotes(call: IoCall) -> Any:
    Life.call()
    with (FOLDER / "asked").open("a") as asked:
        asked.write(f"{call.fact_key}\n")
    Life.call()
    return {"price": 5, "of": call.request}


def fetch(ctx: Context, io: FactIo, rec: Recorder) -> None:
    Life.call()
    ctx.write("price", io.call("quotes.get", ctx.read("symbol"), "quote").response["price"])
    io.now_millis()
    io.random_bytes(4)
    ctx.write("twice", io.call("quotes.get", "again", "second").response["of"])
    Life.call()


def flaky(ctx: Context, io: FactIo, rec: Recorder) -> None:
    Life.call()
    if io.get_recorded_fact("tried") is None:
        io.record_value("tried", 1)
        raise StateError.of("try_again", "not yet", retryable=True)
    rec.emit("steady", {"n": 1})


def parent(ctx: Context, io: FactIo, rec: Recorder) -> None:
    Life.call()
    spawned = spawn_child(
        io, rec, "kid", op_id="kid", op_version="1", run_config=run_config(), initial_context={"a": 1}
    )
    Life.call()
    ended = await_child(io, rec, "kid_end", spawned).response
    ctx.write("kid", [ended["status"], ended["final_snapshot"]])
    Life.call()


def pay(ctx: Context, io: FactIo, rec: Recorder) -> None:
    Life.call()
    io.call("bank.pay", {"amount": ctx.read("price")}, "pay")
    Life.call()


def begin(ctx: Context, io: FactIo, rec: Recorder) -> None:
    Life.call()
    ctx.write("rate", io.call("quotes.get", "rate", "rate").response["price"])


def end(ctx: Context, io: FactIo, rec: Recorder) -> None:
    Life.call()
    ctx.write("b", ctx.read("a") + ctx.read("rate"))


kid = PlanProgram(
    "kid", "1", (State("kid.main.begin", begin), State("kid.main.end", end)), (("kid.main.begin", "kid.main.end"),)
)
MAX_ATTEMPTS = 5
"""More than kills and failures of one state together: an attempt that is cut off counts."""
STATES = ("settle.main.fetch", "settle.main.flaky", "settle.main.parent", "settle.main.pay")
program = PlanProgram(
    "settle",
    "1",
    (
        State(STATES[0], fetch),
        State(STATES[1], flaky),
        State(STATES[2], parent),
        State(STATES[3], pay, StateMeta(idempotency="pay-1", side_effects=SideEffects.APPLY_SIDE_EFFECT)),
    ),
    tuple(pairwise(STATES)),
    run_config=run_config(max_attempts=MAX_ATTEMPTS),
    transports={"quotes": quotes},
    effectful=("bank.pay",),
    children=(kid,),
)

_cut = FOLDER / "cut"
if _cut.exists():
    Life.calls_left = int(_cut.read_text())
    _cut.unlink()
