"""The plan: a parcel is priced, then booked. Handlers compute and ask; ``carrier`` answers."""

from __future__ import annotations

from ergo_cli.programs.plan import (
    Context,
    FactIo,
    PlanProgram,
    Recorder,
    SideEffects,
    State,
    StateMeta,
    run_config,
)

LIMIT = 5000
"""What a parcel may cost, in cents."""


def quote(ctx: Context, io: FactIo, rec: Recorder) -> None:
    """Ask for the price; the answer is recorded as the fact ``price``."""
    answer = io.call("carrier.price", {"grams": ctx.read("grams")}, "price")
    ctx.write("cents", answer.response["cents"])


def book(ctx: Context, io: FactIo, rec: Recorder) -> None:
    """Book the parcel. The call is effectful: it is queued, and an effect once the run has completed."""
    if ctx.read("cents") > LIMIT:
        rec.emit("too_dear", {"cents": ctx.read("cents")})
        return
    io.call("carrier.book", {"parcel": ctx.read("parcel")}, "booking")
    ctx.write("booked", True)


program = PlanProgram(
    "parcels",
    "1",
    states=(
        State("parcels.main.quote", quote),
        State(
            "parcels.main.book",
            book,
            StateMeta(side_effects=SideEffects.APPLY_SIDE_EFFECT, idempotency="parcels-booking"),
        ),
    ),
    edges=(("parcels.main.quote", "parcels.main.book"),),
    run_config=run_config(max_attempts=3),
    transports={"carrier": "carrier:answer"},  # imported by live runs only: a replay asks nothing
    effectful=("carrier.book",),
)
