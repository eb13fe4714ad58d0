"""Spec 50 §24, recorded IO live (C-86 to C-98) and in replay (C-99 to C-104), the fact index, the router (to C-109)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from plan_lab import (
    CONFIG_M1,
    EMPTY,
    N0,
    RUN,
    S1,
    Lab,
    World,
    calls,
    code_of,
    fact,
)

from ergo_cli.programs.plan.engine import Phase
from ergo_cli.programs.plan.errors import (
    ErrorCategory,
    ErrorInfo,
    Failure,
    IoError,
    MissingFact,
    RateLimited,
    RunError,
    StateError,
)
from ergo_cli.programs.plan.events import DomainEvent, StateEntered, StateFailed
from ergo_cli.programs.plan.facts import IoCall
from ergo_cli.programs.plan.failpoints import Failpoint
from ergo_cli.programs.plan.manifest import IoMode, Minimal, Normal
from ergo_cli.programs.plan.states import Handler
from ergo_cli.programs.plan.transports import Router, TransportEnv

N_ZERO = {"n": 0}
Act = Callable[[Any], Any]


def handler(*acts: Act) -> tuple[Handler, list[Any]]:
    """A handler that does ``acts(io)`` in every attempt, and what came of each: a value, or the error's code."""
    seen: list[Any] = []

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        for act in acts:
            try:
                seen.append(act(io))
            except IoError as error:
                seen.append(code_of(error))

    return handle, seen


def fails_once() -> Callable[[], None]:
    left = [1]

    def fail() -> None:
        if left:
            left.pop()
            raise StateError.of("flaky", "not yet", retryable=True)

    return fail


def ask(io: Any) -> Any:
    result = io.call("test", {"q": 1}, "k")
    return result.response, result.recorded_payload_id


# --- live


@pytest.mark.parametrize("profile", [Minimal(), Normal()], ids=repr)
def test_c50_86_an_answer_is_recorded(profile: Any) -> None:
    handle, seen = handler(ask)
    lab = Lab(handle, world=World(N_ZERO), config=replace(CONFIG_M1, event_profile=profile))
    assert lab.start().phase is Phase.COMPLETED
    assert seen == [(N_ZERO, N0)]
    assert lab.events == "RS SE0 FR SC RC"
    assert [(bound.key, bound.payload_id) for bound in lab.facts] == [("k", N0)]
    assert lab.artifacts.get(N0) == b'{"n":0}'


def test_c50_87_a_retry_is_answered_from_the_record() -> None:
    world = World(lambda call: {"n": len(world.calls) - 1})
    lab = Lab(calls(then=fails_once()), world=world)
    assert lab.start().phase is Phase.COMPLETED
    assert lab.events == "RS SE0 FR SF SE1 SC RC"
    assert len(world.calls) == 1


def test_c50_88_an_answer_with_a_secret_is_not_recorded() -> None:
    lab = Lab(calls(), world=World({"password": "hunter2"}))
    assert lab.start().phase is Phase.FAILED
    assert lab.failure.code == "secrets_detected"
    assert lab.events == "RS SE0 SF RC"
    assert not lab.kept("password")
    assert not lab.kept("hunter2")


def test_c50_89_an_answer_with_a_float_is_not_recorded() -> None:
    lab = Lab(calls(), world=World({"n": 1.0}))
    assert lab.start().phase is Phase.FAILED
    assert (lab.failure.code, lab.failure.category) == ("fact_payload_not_canonical", ErrorCategory.PARSING_INPUT)
    assert lab.facts == []


def test_c50_90_a_call_without_a_key_is_not_recorded() -> None:
    results: list[Any] = []

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        results.append(io.call("test", {}).recorded_payload_id)
        fail()

    fail, world = fails_once(), World(N_ZERO)
    lab = Lab(handle, world=world)
    lab.start()
    assert lab.events == "RS SE0 SF SE1 SC RC"
    assert (results, len(world.calls)) == ([None, None], 2)


def test_c50_91_the_first_answer_stands_whatever_is_asked() -> None:
    world = World(lambda call: {"n": len(world.calls) - 1})
    handle, seen = handler(ask, lambda io: io.call("other", {"q": 2}, "k").response)
    Lab(handle, world=world).start()
    assert seen == [(N_ZERO, N0), N_ZERO]
    assert [call.request for call in world.calls] == [{"q": 1}]


def test_c50_92_a_key_with_a_secret_binds_nothing() -> None:
    key, world = "the api_key of x", World(N_ZERO)
    handle, seen = handler(*[lambda io: io.call("test", {}, key)] * 2, lambda io: io.get_recorded_fact(key))
    lab = Lab(handle, world=world)
    lab.start()
    assert seen == ["Other secrets_detected", "Other secrets_detected", None]
    assert len(world.calls) == 2
    assert lab.facts == []


def test_c50_93_a_binding_that_cannot_be_kept_is_taken_back() -> None:
    world = World(N_ZERO)
    handle, seen = handler(ask, lambda io: io.get_recorded_fact("k"), ask)
    lab = Lab(handle, world=world)
    lab.journal.full_at = 3
    lab.start()
    assert seen == ["Other fact_binding_append_failed", None, (N_ZERO, N0)]
    assert len(world.calls) == 2
    assert lab.events == "RS SE0 FR SC RC"


def test_c50_94_time_and_randomness_are_recorded() -> None:
    handle, seen = handler(*[lambda io: io.now_millis()] * 2, lambda io: io.random_bytes(8))
    lab = Lab(handle)
    lab.clock = [1_700_000_000_000, 1_700_000_000_001]
    lab.start()
    place = f"run:{RUN}|state:{S1}|attempt:0"
    assert [bound.key for bound in lab.facts] == [
        f"mfm:now_millis|{place}|ord:0",
        f"mfm:now_millis|{place}|ord:1",
        f"mfm:random_bytes|{place}|ord:2",
    ]
    assert seen == [1_700_000_000_000, 1_700_000_000_001, bytes(range(8))]
    # vectors V12 and V13
    assert lab.facts[0].payload_id == "bc99b4bf100ad96cc4db80d1f6b724f9d17d0a1c19f011d908ee810fffda7484"
    assert lab.facts[2].payload_id == "8a851ff82ee7048ad09ec3847f1ddf44944104d2cbd17ef4e3db22c6785a0d45"
    assert [lab.artifacts.get(bound.payload_id) for bound in lab.facts] == [
        b"1700000000000",
        b"1700000000001",
        bytes(range(8)),
    ]


def test_c50_95_a_retry_has_a_time_of_its_own() -> None:
    def handle(ctx: Any, io: Any, rec: Any) -> None:
        io.random_bytes(1)
        io.now_millis()
        fail()

    fail, lab = fails_once(), Lab(handle)
    lab.clock = [1, 2]
    lab.start()
    assert [bound.key.partition("|attempt:")[2] for bound in lab.facts] == ["0|ord:0", "0|ord:1", "1|ord:0", "1|ord:1"]


def test_c50_96_a_value_is_recorded_once() -> None:
    handle, seen = handler(lambda io: io.record_value("k", N_ZERO), lambda io: io.record_value("k", {"n": 1}))
    lab = Lab(handle)
    lab.start()
    assert seen == [N0, N0]
    assert len(lab.facts) == 1


def test_c50_97_a_program_without_transports() -> None:
    lab = Lab(calls())
    assert lab.start().phase is Phase.FAILED
    assert lab.failure.code == "io_unimplemented"


def test_c50_98_the_error_of_a_transport_passes_unchanged() -> None:
    info = ErrorInfo("slow_down", ErrorCategory.OFF_CHAIN, True, "again later", {"in": 5})
    caught: list[IoError] = []

    def refuse(call: IoCall) -> Any:
        raise IoError(RateLimited(info))

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        try:
            io.call("test", {}, "k")
        except IoError as error:
            caught.append(error)
            raise

    lab = Lab(handle, world=World(refuse))
    lab.start()
    assert caught[0].form == RateLimited(info)
    assert lab.failure == replace(info, details=None)
    assert lab.events == "RS SE0 SF SE1 SF SE2 SF RC"


# --- replay

REPLAY = replace(CONFIG_M1, io_mode=IoMode.REPLAY)


def replayed(handle: Handler, *facts: tuple[str, bytes], config: Any = REPLAY) -> tuple[Lab, World]:
    """A run that is resumed in the mode Replay, with facts that stand outside of any attempt."""
    world = World({"n": 999})
    lab = Lab(handle, config=config, world=world)
    lab.seed(*(fact(key, lab.artifacts.put(data)) for key, data in facts))
    return lab, world


def test_c50_99_a_replay_is_answered_from_the_record() -> None:
    handle, seen = handler(ask)
    lab, world = replayed(handle, ("k", b'{"n":0}'))
    assert lab.resume().phase is Phase.COMPLETED
    assert seen == [(N_ZERO, N0)]
    assert (world.makes, world.calls) == ([], [])
    assert lab.events == "RS FR SE0 SC RC"


def test_c50_100_a_fact_that_is_missing() -> None:
    lab, world = replayed(calls())
    assert lab.resume().phase is Phase.FAILED
    assert (lab.failure.code, lab.failure.category) == ("missing_fact", ErrorCategory.RPC)
    assert (world.makes, world.calls) == ([], [])


def test_c50_101_a_call_without_a_key_in_replay() -> None:
    handle, seen = handler(lambda io: io.call("test", {}))
    replayed(handle)[0].resume()
    assert seen == ["MissingFactKey missing_fact_key"]


@pytest.mark.parametrize(("retryable", "events"), [(True, "RS SE0 SF SE1 SF SE2 SF RC"), (False, "RS SE0 SF RC")])
def test_c50_102_whether_a_missing_fact_is_asked_for_again(retryable: bool, events: str) -> None:
    caught: list[Any] = []

    def handle(ctx: Any, io: Any, rec: Any) -> None:
        try:
            ask(io)
        except IoError as error:
            caught.append(error.form)
            raise

    lab, _ = replayed(handle, config=replace(REPLAY, replay_missing_fact_retryable=retryable))
    lab.resume()
    assert lab.events == events
    assert isinstance(caught[0], MissingFact)
    assert (caught[0].key, caught[0].info.retryable) == ("k", retryable)


PLACE = f"run:{RUN}|state:{S1}|attempt:0|ord:0"


@pytest.mark.parametrize(
    ("kind", "data", "act"),
    [
        ("random_bytes", b"abcd", lambda io: io.random_bytes(8)),
        ("now_millis", b'"x"', lambda io: io.now_millis()),
        ("now_millis", b"-1", lambda io: io.now_millis()),
    ],
)
def test_c50_103_a_record_of_another_shape(kind: str, data: bytes, act: Act) -> None:
    handle, seen = handler(act)
    replayed(handle, (f"mfm:{kind}|{PLACE}", data))[0].resume()
    assert seen == ["Other fact_payload_invalid"]


def test_c50_104_values_are_not_recorded_in_replay() -> None:
    handle, seen = handler(lambda io: io.record_value("k", "other"), lambda io: io.record_value("absent", 1))
    lab, _ = replayed(handle, ("k", b'{"n":0}'))
    lab.resume()
    assert seen == [N0, "MissingFact missing_fact"]
    assert len(lab.facts) == 1


# --- the fact index


def test_c50_105_the_first_binding_stands() -> None:
    handle, seen = handler(ask)
    lab, _ = replayed(handle, ("k", b'{"n":0}'), ("k", b'{"n":0}'))
    assert lab.resume().phase is Phase.COMPLETED
    assert seen == [(N_ZERO, N0)]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"key": "k", "payload_id": EMPTY, "meta": {}}, "fact_recorded_conflict"),
        ({"key": "k"}, "fact_recorded_malformed"),
        ({"key": "k", "payload_id": "no id", "meta": {}}, "fact_recorded_malformed"),
    ],
)
def test_c50_105_bindings_that_contradict(payload: Any, code: str) -> None:
    handle, seen = handler(ask)
    lab, _ = replayed(handle, ("k", b'{"n":0}'))
    lab.append(DomainEvent("fact_recorded", payload))
    with pytest.raises(RunError) as refused:
        lab.resume()
    assert code_of(refused.value) == f"InvalidPlan {code}"
    assert refused.value.where == f"run '{RUN}' seq 3"
    assert (seen, lab.head) == ([], 3)


FAILED = StateFailed(S1, Failure(S1, ErrorInfo("flaky", ErrorCategory.UNKNOWN, True, "")), None)


@pytest.mark.parametrize(
    "attempts",
    [
        [StateEntered(S1, 0, EMPTY), fact("k", N0), FAILED],
        [StateEntered(S1, 0, EMPTY), fact("k", N0)],
        [StateEntered(S1, 0, EMPTY), fact("k", N0), StateEntered(S1, 1, EMPTY)],
    ],
    ids=["failed", "cut off", "superseded"],
)
def test_c50_106_facts_of_any_attempt_are_served(attempts: list[Any]) -> None:
    handle, seen = handler(ask)
    world = World({"n": 999})
    lab = Lab(handle, world=world)
    lab.artifacts.put(b'{"n":0}')
    lab.seed(*attempts)
    assert lab.resume().phase is Phase.COMPLETED
    assert (seen, world.calls) == ([(N_ZERO, N0)], [])


def test_facts_of_a_run_that_was_stopped_are_served() -> None:
    world = World(lambda call: {"n": len(world.calls) - 1})
    lab = Lab(calls(), world=world, failpoints=[Failpoint.AFTER_HANDLER])
    assert lab.start().phase is Phase.RUNNING
    assert lab.resume().phase is Phase.COMPLETED
    assert len(world.calls) == 1


# --- the router

ENV = TransportEnv(RUN, S1, 0)


@pytest.mark.parametrize(
    ("groups", "namespace", "group"),
    [
        (("proof", "evm"), "proof.read", "proof"),
        (("proof", "evm"), "evm", "evm"),
        (("local", "local.fs"), "local.fs.read_text", "local.fs"),
        (("local", "local.fs"), "local.fsx", "local"),
        (("local", "local.fs"), "localx", None),
    ],
)
def test_c50_107_the_longest_group_answers(groups: tuple[str, ...], namespace: str, group: str | None) -> None:
    route = Router({name: World(name) for name in groups}).make(ENV)
    if group is None:
        with pytest.raises(IoError):
            route(IoCall(namespace, {}))
    else:
        assert route(IoCall(namespace, {})) == group


def test_c50_108_an_unknown_namespace() -> None:
    route = Router({"local": World()}).make(ENV)
    with pytest.raises(IoError) as refused:
        route(IoCall("other", {"token": "hunter2"}))
    assert code_of(refused.value) == "Other io_unknown_namespace"
    assert "hunter2" not in str(refused.value)


def test_c50_109_groups_are_registered_once() -> None:
    router = Router({"local.fs": World()})
    with pytest.raises(ValueError, match=r"^duplicate transport namespace group: local\.fs$"):
        router.register(" local.fs ", World())
    for blank in ("", " "):
        with pytest.raises(ValueError, match="must not be empty"):
            router.register(blank, World())
