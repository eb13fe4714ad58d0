"""Spec 50 §24, domain events: C-80 to C-85."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from plan_lab import CONFIG_M1, NONE, Lab, World, calls, code_of

from ergo_cli.programs.plan.engine import Phase
from ergo_cli.programs.plan.errors import RunError, StateError
from ergo_cli.programs.plan.events import DomainEvent
from ergo_cli.programs.plan.manifest import Custom, EventProfile, Minimal, Normal, Verbose
from ergo_cli.programs.plan.states import Handler

SECRET = {"deep": [{"password": "hunter2"}]}


def lab_of(handle: Handler, profile: EventProfile = Normal(), world: World | None = None) -> Lab:
    return Lab(handle, config=replace(CONFIG_M1, event_profile=profile), world=world or World())


def emits(*events: tuple[str, Any]) -> Handler:
    """Emits each event by itself."""

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        for name, payload in events:
            rec.emit(name, payload)

    return handle


def refusal(act: Any) -> tuple[Lab, str]:
    """The error of ``act(rec)``, which the handler turns into one of its own."""
    seen: list[str] = []

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        try:
            act(rec)
        except RunError as error:
            seen.append(code_of(error))
            raise StateError.of("emit_failed", "emit failed") from error

    lab = lab_of(handle)
    assert lab.start().phase is Phase.FAILED
    assert lab.failure.code == "emit_failed"
    assert lab.events == "RS SE0 SF RC"
    return lab, seen[0]


def test_c50_80_an_event_with_a_secret_is_refused() -> None:
    lab, code = refusal(lambda rec: rec.emit("test", SECRET))
    assert code == "Other secrets_detected"
    assert not lab.kept("password")
    assert not lab.kept("hunter2")


def test_c50_81_the_profile_minimal_keeps_facts_alone() -> None:
    def handle(ctx: Any, io: Any, rec: Any) -> None:
        emits(("custom", 1), ("artifact_written", {}), ("custom", SECRET))(ctx, io, rec)
        io.call("test", {}, "k")

    lab = lab_of(handle, Minimal(), World({"n": 0}))
    assert lab.start().phase is Phase.COMPLETED
    assert lab.events == "RS SE0 FR SC RC"


@pytest.mark.parametrize("profile", [Normal(), Verbose(), Custom("audit")], ids=repr)
def test_c50_82_the_others_keep_all(profile: EventProfile) -> None:
    lab = lab_of(emits(("custom", 1), ("artifact_written", {})), profile)
    lab.start()
    assert lab.events == "RS SE0 custom artifact_written SC RC"


GOOD, BAD = DomainEvent("good", 1), DomainEvent("bad", SECRET)


@pytest.mark.parametrize("batch", [[GOOD, BAD], [BAD, GOOD]])
def test_c50_83_one_bad_event_refuses_all(batch: list[DomainEvent]) -> None:
    assert refusal(lambda rec: rec.emit_many(batch))[1] == "Other secrets_detected"


def test_c50_83_several_events_are_one_append() -> None:
    lab = lab_of(lambda ctx, io, rec: rec.emit_many([GOOD, DomainEvent("also", 2)]))
    lab.start()
    assert lab.events == "RS SE0 good also SC RC"
    assert lab.journal.sizes == [1, 1, 2, 1, 1]


def test_c50_83_no_event_is_no_append() -> None:
    lab = lab_of(lambda ctx, io, rec: rec.emit_many([]))
    lab.start()
    assert lab.journal.sizes == [1, 1, 1, 1]


def test_c50_84_a_name_with_a_secret_is_refused() -> None:
    lab, code = refusal(lambda rec: rec.emit("api_key hunter2", {}))
    assert code == "Other secrets_detected"
    assert not lab.kept("hunter2")


@pytest.mark.parametrize(
    ("name", "payload", "reference"),
    [
        ("fact_recorded", {"key": "k", "payload_id": NONE, "meta": {}}, None),
        ("call_failed", {}, None),
        ("custom", {"x": 1.5}, None),
        ("custom", {"x": 2**64}, None),
        ("custom", {"x": object()}, None),
        ("custom", 1, "no artifact"),
    ],
)
def test_c50_85_facts_are_not_forged_and_events_are_canonical(name: str, payload: Any, reference: str | None) -> None:
    assert refusal(lambda rec: rec.emit(name, payload, reference))[1] == "Other domain_event_invalid"


def test_c50_85_nor_are_facts_forged_under_the_profile_minimal() -> None:
    lab = lab_of(emits(("fact_recorded", {"key": "k", "payload_id": NONE, "meta": {}})), Minimal())
    assert lab.start().phase is Phase.FAILED
    assert lab.failure.code == "domain_event_invalid"


def test_calls_may_be_between_events() -> None:
    def handle(ctx: Any, io: Any, rec: Any) -> None:
        rec.emit("before", 1)
        calls()(ctx, io, rec)
        rec.emit("after", 1)

    lab = lab_of(handle, world=World({"n": 0}))
    lab.start()
    assert lab.events == "RS SE0 before FR after SC RC"
