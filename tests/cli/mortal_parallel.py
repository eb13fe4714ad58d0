"""The mortal plan with states that run at once."""

from __future__ import annotations

from mortal_plan import STATES, fetch, flaky, kid, parent, pay, quotes

from ergo_cli.programs.plan import FanOutJoin, PlanProgram, SideEffects, State, StateMeta, run_config

program = PlanProgram(
    "settle",
    "1",
    (
        State(STATES[0], fetch),
        State(STATES[1], flaky),
        State(STATES[2], parent),
        State(STATES[3], pay, StateMeta(idempotency="pay-1", side_effects=SideEffects.APPLY_SIDE_EFFECT)),
    ),
    ((STATES[0], STATES[3]), (STATES[1], STATES[3])),
    run_config=run_config(max_attempts=3, execution_mode=FanOutJoin(3)),
    transports={"quotes": quotes},
    effectful=("bank.pay",),
    children=(kid,),
    parallel=True,
)
