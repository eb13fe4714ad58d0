"""The public scripted invoker as the host sees it (spec 10 §17, HST-4)."""

from __future__ import annotations

from ergo_cli.core.values import Effect
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.supervisor.seam import EffectfulInvoker, ErrKind, Failed, Outcome, RunTermination
from ergo_cli.testing.scripted import ScriptedInvoker

EFFECT = Effect("set_context", [])


def run(invoker: EffectfulInvoker, event_id: str = "e", deadline: int | None = None) -> RunTermination:
    context = ExternalEvent.mechanical(event_id, EventKind.COMMAND, 0).context
    return invoker.run("g", event_id, context, deadline)


def test_effects_are_drained_once():
    invoker = ScriptedInvoker()
    invoker.give_effects("e", [EFFECT, EFFECT])
    assert run(invoker) is Outcome.COMPLETED
    assert invoker.pending == 2
    assert invoker.drain() == [EFFECT, EFFECT]
    assert (invoker.pending, invoker.drain()) == (0, [])


def test_a_later_attempt_replaces_the_effects_of_an_earlier_one():
    invoker = ScriptedInvoker()
    invoker.give_effects("e", [EFFECT])
    run(invoker)
    run(invoker)
    assert invoker.pending == 1


def test_only_completed_runs_have_effects():
    invoker = ScriptedInvoker()
    invoker.give_effects("e", [EFFECT])
    invoker.script("e", [Outcome.COMPLETED, Failed(ErrKind.RUNTIME_ERROR)])
    run(invoker)
    run(invoker)
    assert invoker.drain() == []
    run(invoker, deadline=0)
    assert invoker.drain() == []


def test_every_run_is_a_call():
    invoker = ScriptedInvoker()
    for event_id in ("a", "b", "a"):
        run(invoker, event_id, deadline=0)
    assert invoker.calls == ["a", "b", "a"]
    assert invoker.run_calls == 3
