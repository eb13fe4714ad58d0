from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.channels.egress import EgressRuntime
from ergo_cli.channels.egress_config import EgressConfig, Route
from ergo_cli.channels.interruption import (
    EGRESS_ACK_TIMEOUT,
    EGRESS_IO,
    EGRESS_PROTOCOL_VIOLATION,
    DispatchFailure,
    Interruption,
)
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.errors import EgressError, StepError
from tests.channels.egress_channels import await_exit, intent, left_behind, outbox, read_frames, scripted

MS = 1_000_000
SLOW = 60_000 * MS
PATIENT = ChannelPolicy(startup=SLOW, shutdown=SLOW)
HASTY = ChannelPolicy(startup=SLOW, shutdown=2000 * MS)
SHORT = 300 * MS

Start = Callable[..., EgressRuntime]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts channels given by name, every kind ``<name>_order`` going to its channel; nothing may be left of them.

    ``ack_timeout`` is that of channel ``a``.
    """
    started: list[EgressRuntime] = []

    def run(policy: ChannelPolicy = PATIENT, ack_timeout: int = SLOW, **channels: list[str]) -> EgressRuntime:
        routes = {f"{name}_order": Route(name, ack_timeout if name == "a" else SLOW) for name in channels}
        commands = {name: tuple(command) for name, command in channels.items()}
        started.append(EgressRuntime(EgressConfig(SLOW, commands, routes), tmp_path, policy))
        started[-1].start()
        return started[-1]

    yield run
    for runtime in started:
        runtime.kill()
    assert left_behind(tmp_path) == []


def failed(runtime: EgressRuntime, kind: str = "a_order", intent_id: str = "i1") -> DispatchFailure:
    with pytest.raises(DispatchFailure) as caught:
        runtime.dispatch(kind, intent(kind, intent_id))
    return caught.value


def test_intents_go_out_one_at_a_time_and_acks_come_back(start: Start, tmp_path: Path) -> None:
    runtime = start(a=outbox(tmp_path / "a", "a_order"), b=outbox(tmp_path / "b", "b_order", "more"))
    acks = [runtime.dispatch(kind, intent(kind, name)) for kind, name in (("a_order", "i1"), ("b_order", "i2"))]
    acks.append(runtime.dispatch("a_order", intent("a_order", "i3", price=2.0)))
    assert acks == [
        IntentAck("i1", "a", "accepted", "durable", "outbox-1"),
        IntentAck("i2", "b", "accepted", "durable", "outbox-1"),
        IntentAck("i3", "a", "accepted", "durable", "outbox-2"),
    ]
    runtime.assert_settled(host_stop=False)
    runtime.shutdown()
    assert read_frames(tmp_path / "a") == [
        '{"type":"intent","intent_id":"i1","kind":"a_order","fields":{}}',
        '{"type":"intent","intent_id":"i3","kind":"a_order","fields":{"price":2.0}}',
        '{"type":"end"}',
    ]


def test_channels_start_in_the_order_of_their_ids(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "order"
    steps = {name: scripted(tmp_path / name, f"ready:{name}_order", "serve") for name in "ba"}
    commands = {name: ["sh", "-c", f'echo {name} >>"$0"; exec "$@"', str(log), *argv] for name, argv in steps.items()}
    start(**commands)
    assert log.read_text() == "a\nb\n"


def test_channels_work_in_the_folder_they_are_given(start: Start, tmp_path: Path) -> None:
    runtime = start(a=outbox(Path("kept-here"), "a_order"))
    runtime.dispatch("a_order", intent("a_order", "i1"))
    assert (tmp_path / "kept-here").exists()


def test_a_channel_that_fails_to_start_takes_the_others_with_it(start: Start, tmp_path: Path) -> None:
    good = scripted(tmp_path / "good", "ready:a_order", "child", "read", "sleep")
    with pytest.raises(EgressError) as caught:
        start(a=good, b=scripted(tmp_path / "bad", "err: no licence ", "exit:4"), c=outbox(tmp_path / "c", "c_order"))
    assert caught.value.code == "egress.start_failed"
    assert "'b'" in caught.value.message
    assert caught.value.details == ("stderr of the channel: no licence",)
    assert left_behind(tmp_path) == []
    assert read_frames(tmp_path / "good") == []
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("steps", "code", "text"),
    [
        (["sleep"], EGRESS_ACK_TIMEOUT, "ack timeout on channel 'a' for intent 'i1'"),
        (["half:{", "sleep"], EGRESS_ACK_TIMEOUT, "ack timeout on channel 'a' for intent 'i1'"),
        (
            ["ack:zzz"],
            EGRESS_PROTOCOL_VIOLATION,
            "protocol violation on channel 'a': ack intent_id mismatch: expected 'i1', got 'zzz'",
        ),
        (
            ["answer:rejected,durable"],
            EGRESS_PROTOCOL_VIOLATION,
            "protocol violation on channel 'a': ack must be accepted+durable, got status='rejected' "
            "acceptance='durable'",
        ),
        (
            ["answer:accepted,volatile"],
            EGRESS_PROTOCOL_VIOLATION,
            "protocol violation on channel 'a': ack must be accepted+durable, got status='accepted' "
            "acceptance='volatile'",
        ),
        (
            ["ready:a_order"],
            EGRESS_PROTOCOL_VIOLATION,
            "protocol violation on channel 'a': unexpected ready frame after startup",
        ),
        (["exit:0"], EGRESS_IO, "I/O failure on channel 'a': channel closed stdout while waiting for ack"),
        (["exit:9"], EGRESS_IO, "I/O failure on channel 'a': channel closed stdout while waiting for ack"),
    ],
)
def test_every_failure_of_a_dispatch_has_its_text(
    start: Start, tmp_path: Path, steps: list[str], code: str, text: str
) -> None:
    steps = ["ready:a_order", "read", *steps]
    failure = failed(start(ack_timeout=SHORT if "sleep" in steps else SLOW, a=scripted(tmp_path / "log", *steps)))
    assert failure.text == failure.message == f"egress dispatch failed: {text}"
    assert failure.name == "EgressDispatchFailure"
    assert failure.interruption == Interruption(code, "a", "i1" if code == EGRESS_ACK_TIMEOUT else None)


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ("say:{oops", EGRESS_PROTOCOL_VIOLATION, "invalid ack frame: "),
        ("say:", EGRESS_PROTOCOL_VIOLATION, "invalid ack frame: "),
        ('say:{"type":"ping"}', EGRESS_PROTOCOL_VIOLATION, "invalid ack frame: "),
        ('say:{"type":"intent_ack","intent_id":"i1"}', EGRESS_PROTOCOL_VIOLATION, "invalid ack frame: "),
        ('say:{"type":"ready"}', EGRESS_PROTOCOL_VIOLATION, "invalid ack frame: "),
        ("half:{", EGRESS_PROTOCOL_VIOLATION, "invalid ack frame: "),
        ("bytes:ff0a", EGRESS_IO, "UTF-8"),
        ("long:104857600", EGRESS_IO, "16"),
        ("flood:{}", EGRESS_PROTOCOL_VIOLATION, "invalid ack frame: "),
    ],
)
def test_what_is_no_ack_ends_the_dispatch(start: Start, tmp_path: Path, step: str, code: str, words: str) -> None:
    failure = failed(start(a=scripted(tmp_path / "log", "ready:a_order", "read", step)))
    assert failure.interruption == Interruption(code, "a")
    assert words in failure.text


def test_after_a_failure_no_channel_is_left_and_none_was_told_to_end(start: Start, tmp_path: Path) -> None:
    silent = scripted(tmp_path / "a", "stubborn", "ready:a_order", "child", "read", "sleep")
    runtime = start(ack_timeout=SHORT, a=silent, b=outbox(tmp_path / "b", "b_order"))
    runtime.dispatch("b_order", intent("b_order", "i0"))
    failed(runtime)
    assert left_behind(tmp_path) == []
    assert "end" not in read_frames(tmp_path / "a")[-1]
    assert read_frames(tmp_path / "b") == ['{"type":"intent","intent_id":"i0","kind":"b_order","fields":{}}']
    runtime.assert_settled(host_stop=False)
    runtime.shutdown()
    with pytest.raises(StepError, match="not running"):
        runtime.dispatch("b_order", intent("b_order", "i2"))


def test_a_failure_tells_what_the_channel_said_to_people(start: Start, tmp_path: Path) -> None:
    steps = ["ready:a_order", "read", "err:the broker sleeps", "exit:1"]
    assert failed(start(a=scripted(tmp_path / "log", *steps))).details == ("stderr of the channel: the broker sleeps",)


def test_a_flood_on_stderr_neither_blocks_nor_piles_up(start: Start, tmp_path: Path) -> None:
    steps = ["ready:a_order", "read", "errflood:50000", "ack", "read", "exit:1"]
    runtime = start(a=scripted(tmp_path / "log", *steps))
    assert runtime.dispatch("a_order", intent("a_order", "i1")).intent_id == "i1"
    (detail,) = failed(runtime, intent_id="i2").details
    assert detail.endswith("complaint 49999")
    assert len(detail) < 2**17


def test_acknowledging_twice_answers_the_next_intent_wrongly(start: Start, tmp_path: Path) -> None:
    runtime = start(a=scripted(tmp_path / "log", "ready:a_order", "read", "ack", "ack", "read", "sleep"))
    runtime.dispatch("a_order", intent("a_order", "i1"))
    assert failed(runtime, intent_id="i2").text.endswith("ack intent_id mismatch: expected 'i2', got 'i1'")


def test_a_channel_that_does_not_read_runs_into_the_timeout(start: Start, tmp_path: Path) -> None:
    runtime = start(ack_timeout=SHORT, a=scripted(tmp_path / "log", "ready:a_order", "sleep"))
    with pytest.raises(DispatchFailure) as caught:
        runtime.dispatch("a_order", intent("a_order", "i1", text="x" * 2**20))
    assert caught.value.interruption == Interruption(EGRESS_ACK_TIMEOUT, "a", "i1")
    assert caught.value.details == ("the channel does not read its input",)


def test_a_channel_that_is_gone_cannot_be_written_to(start: Start, tmp_path: Path) -> None:
    runtime = start(a=scripted(tmp_path / "log", "ready:a_order", "read", "ack", "exit:0"))
    runtime.dispatch("a_order", intent("a_order", "i1"))
    await_exit()
    failure = failed(runtime, intent_id="i2")
    assert failure.interruption == Interruption(EGRESS_IO, "a")
    assert failure.text.startswith("egress dispatch failed: I/O failure on channel 'a': ")


def test_no_time_at_all_is_enough_for_an_answer_that_is_there(start: Start, tmp_path: Path) -> None:
    command = scripted(tmp_path / "log", "ready:a_order", "read", "sleep")
    assert failed(start(ack_timeout=0, a=command)).interruption.code == EGRESS_ACK_TIMEOUT


def test_a_timeout_without_end_is_one(start: Start, tmp_path: Path) -> None:
    for_ever = (2**64 - 1) * 10**9
    runtime = start(ack_timeout=for_ever, a=outbox(tmp_path / "log", "a_order"))
    assert runtime.dispatch("a_order", intent("a_order", "i1")).intent_id == "i1"


def test_intents_without_a_route_are_refused(start: Start) -> None:
    with pytest.raises(StepError) as caught:
        start().dispatch("publish", intent("publish", "i1"))
    assert caught.value.name == "EgressProcess"
    assert "'publish'" in caught.value.message


def test_a_channel_that_ignores_the_end_is_killed(start: Start, tmp_path: Path) -> None:
    stubborn = scripted(tmp_path / "a", "stubborn", "ready:a_order", "child", "read", "sleep")
    runtime = start(HASTY, a=stubborn, b=outbox(tmp_path / "b", "b_order"))
    with pytest.raises(StepError, match="2000 ms") as caught:
        runtime.shutdown()
    assert caught.value.name == "EgressProcess"
    assert "'a'" in caught.value.message
    assert left_behind(tmp_path) == []
    assert read_frames(tmp_path / "b") == ['{"type":"end"}']


def test_all_that_fail_to_end_are_told(start: Start, tmp_path: Path) -> None:
    stubborn = {name: scripted(tmp_path / name, f"ready:{name}_order", "sleep") for name in "ba"}
    with pytest.raises(StepError, match="'a'") as caught:
        start(HASTY, **stubborn).shutdown()
    assert ["'b'" in cause.message for cause in caught.value.causes] == [True]


def test_input_is_closed_behind_the_end_and_the_status_does_not_count(start: Start, tmp_path: Path) -> None:
    reads_on = ["sh", "-c", """printf '%s\\n' "$1"; cat >"$0"; exit 3""", str(tmp_path / "read")]
    ready = '{"type":"ready","protocol":"ergo-egress.v1","handled_kinds":["a_order"]}'
    start(a=[*reads_on, ready]).shutdown()
    assert (tmp_path / "read").read_text() == '{"type":"end"}\n'


def test_stragglers_of_a_channel_go_with_it(start: Start, tmp_path: Path) -> None:
    start(a=scripted(tmp_path / "log", "child", "ready:a_order", "serve")).shutdown()
    assert left_behind(tmp_path) == []


def test_a_broken_pipe_at_the_end_is_no_failure(start: Start, tmp_path: Path) -> None:
    runtime = start(a=scripted(tmp_path / "log", "ready:a_order", "exit:7"))
    await_exit()
    runtime.assert_settled(host_stop=True)
    runtime.shutdown()
