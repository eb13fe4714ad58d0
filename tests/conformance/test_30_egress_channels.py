"""Spec 30, checklist lines of the egress protocol that one channel shows: C-72 to C-75, C-77, C-79, C-81 to C-83."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.channels.egress import EgressRuntime
from ergo_cli.channels.egress_config import EgressConfig, Route
from ergo_cli.channels.interruption import EGRESS_IO, EGRESS_PROTOCOL_VIOLATION, DispatchFailure
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.errors import EgressError, StepError
from tests.channels.egress_channels import (
    await_exit,
    intent,
    left_behind,
    outbox,
    read_frames,
    scripted,
    shell_outbox,
)

MS = 1_000_000
PATIENT = ChannelPolicy(startup=60_000 * MS, shutdown=60_000 * MS)
ALL_EARS = ChannelPolicy(startup=60_000 * MS, shutdown=60_000 * MS, settle=60_000 * MS)
"""For channels that do something after their last acknowledgement, however long they take to come to it."""
KINDS = ("cancel_order", "place_order")
READY = "ready:place_order,cancel_order"
FIELDS = {"symbol": "EURUSD", "price": 101.5, "levels": [1.0, 2.5], "active": True}

Broker = Callable[..., EgressRuntime]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """Starts one channel, ``broker``, with two kinds routed to it; nothing may be left of it."""
    started: list[EgressRuntime] = []

    def start(command: list[str], policy: ChannelPolicy = PATIENT) -> EgressRuntime:
        config = EgressConfig(60_000 * MS, {"broker": tuple(command)}, dict.fromkeys(KINDS, Route("broker")))
        started.append(EgressRuntime(config, None, policy))
        started[-1].start()
        return started[-1]

    yield start
    for runtime in started:
        runtime.kill()
    assert left_behind(tmp_path) == []


def refused(broker: Broker, *command: str, grace: int = 60_000 * MS) -> str:
    with pytest.raises(EgressError) as caught:
        broker(list(command), ChannelPolicy(startup=grace))
    assert caught.value.code == "egress.start_failed"
    assert "'broker'" in caught.value.message
    return caught.value.message


def ready(*kinds: str, protocol: str = "ergo-egress.v1", **more: object) -> str:
    return "say:" + json.dumps({"type": "ready", "protocol": protocol, "handled_kinds": kinds, **more})


def test_c30_72_host_frames_byte_for_byte(broker: Broker, tmp_path: Path) -> None:
    runtime = broker(outbox(tmp_path / "log", *KINDS))
    runtime.dispatch("place_order", intent("place_order", "eid1:sha256:00", **FIELDS))
    runtime.dispatch("cancel_order", intent("cancel_order", "eid1:sha256:01", qty=10.0, small=1e-7, large=1e20))
    runtime.shutdown()
    assert (tmp_path / "log").read_text() == (
        '{"type":"intent","intent_id":"eid1:sha256:00","kind":"place_order",'
        '"fields":{"active":true,"levels":[1.0,2.5],"price":101.5,"symbol":"EURUSD"}}\n'
        '{"type":"intent","intent_id":"eid1:sha256:01","kind":"cancel_order",'
        '"fields":{"large":1e20,"qty":10.0,"small":1e-7}}\n'
        '{"type":"end"}\n'
    )


def test_c30_73_an_ack_with_reference(broker: Broker, tmp_path: Path) -> None:
    ack = broker(outbox(tmp_path / "log", *KINDS)).dispatch("place_order", intent("place_order", "i1"))
    assert ack == IntentAck("i1", "broker", "accepted", "durable", "outbox-1")


def test_c30_73_an_ack_without_reference_from_a_shell_script(tmp_path: Path) -> None:
    command = tuple(shell_outbox(tmp_path / "log", "place_order"))
    config = EgressConfig(60_000 * MS, {"broker": command}, {"place_order": Route("broker")})
    runtime = EgressRuntime(config, None, PATIENT)
    runtime.start()
    ack = runtime.dispatch("place_order", intent("place_order", "i1", **FIELDS))
    runtime.assert_settled(host_stop=False)
    runtime.shutdown()
    assert ack == IntentAck("i1", "broker", "accepted", "durable")
    assert len(read_frames(tmp_path / "log")) == 2
    assert left_behind(tmp_path) == []


def test_c30_74_silence(broker: Broker, tmp_path: Path) -> None:
    assert "300 ms" in refused(broker, *scripted(tmp_path / "log", "sleep"), grace=300 * MS)


def test_c30_74_a_program_that_cannot_be_run(broker: Broker, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert f'["{missing}", "-v"]' in refused(broker, missing, "-v")
    (tmp_path / "plain").write_text("no program")
    assert "Permission denied" in refused(broker, str(tmp_path / "plain"))
    assert "null byte" in refused(broker, "a\0b")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("exit:0", "closed stdout"),
        ("exit:3", "closed stdout"),
        ("say:{oops", "invalid start-up frame"),
        ("say:", "invalid start-up frame"),
        ('say:{"type":"hello"}', "invalid start-up frame"),
        ('say:{"type":"ready","protocol":"ergo-egress.v1"}', "handled_kinds"),
        (ready(*KINDS, protocol="ergo-egress.v9"), "'ergo-egress.v1', got 'ergo-egress.v9'"),
        (ready(*KINDS, "place_order"), "repeats 'place_order'"),
        (ready("place_order", "place_order"), "repeats 'place_order'"),
        (ready("place_order"), "'cancel_order'"),
        (ready(), "'cancel_order'"),
        ("bytes:ff0a", "UTF-8"),
    ],
)
def test_c30_74_what_is_no_start(broker: Broker, tmp_path: Path, step: str, words: str) -> None:
    message = refused(broker, *scripted(tmp_path / "log", step))
    assert words in message


@pytest.mark.parametrize("step", [ready(*KINDS, "amend_order"), ready(*KINDS, version=7), ready(*KINDS) + "\r"])
def test_c30_74_what_is_more_than_asked_passes(broker: Broker, tmp_path: Path, step: str) -> None:
    runtime = broker(scripted(tmp_path / "log", step, "serve"))
    assert runtime.dispatch("place_order", intent("place_order", "i1")).intent_id == "i1"


def test_c30_75_frames_at_the_wrong_time_and_malformed_ones_differ(broker: Broker, tmp_path: Path) -> None:
    command = scripted(tmp_path / "log", "ack:i1")
    early = refused(broker, *command)
    malformed = refused(broker, *scripted(tmp_path / "log", 'say:{"type":"intent_ack"}'))
    assert "protocol violation: expected a ready frame first, got an intent_ack" in early
    assert "protocol violation: invalid start-up frame: " in malformed
    late = failure(broker, tmp_path, READY, "read", READY)
    garbled = failure(broker, tmp_path, READY, "read", 'say:{"type":"ready"}')
    assert late.text.endswith("unexpected ready frame after startup")
    assert "invalid ack frame: " in garbled.text


def failure(broker: Broker, tmp_path: Path, *steps: str) -> DispatchFailure:
    runtime = broker(scripted(tmp_path / "log", *steps))
    with pytest.raises(DispatchFailure) as caught:
        runtime.dispatch("place_order", intent("place_order", "eid1:sha256:00"))
    return caught.value


def test_c30_77_a_wrong_id(broker: Broker, tmp_path: Path) -> None:
    wrong = failure(broker, tmp_path, READY, "read", "ack:zzz")
    assert wrong.interruption.code == EGRESS_PROTOCOL_VIOLATION
    assert wrong.text == (
        "egress dispatch failed: protocol violation on channel 'broker': "
        "ack intent_id mismatch: expected 'eid1:sha256:00', got 'zzz'"
    )


def test_c30_77_a_refusal(broker: Broker, tmp_path: Path) -> None:
    refusal = failure(broker, tmp_path, READY, "read", "answer:rejected,durable")
    assert refusal.interruption.code == EGRESS_PROTOCOL_VIOLATION
    assert refusal.text == (
        "egress dispatch failed: protocol violation on channel 'broker': "
        "ack must be accepted+durable, got status='rejected' acceptance='durable'"
    )


def test_c30_77_an_exit(broker: Broker, tmp_path: Path) -> None:
    gone = failure(broker, tmp_path, READY, "read", "exit:0")
    assert gone.interruption.code == EGRESS_IO
    assert gone.text == (
        "egress dispatch failed: I/O failure on channel 'broker': channel closed stdout while waiting for ack"
    )


def test_c30_79_after_a_failure_every_channel_is_gone_untold(tmp_path: Path) -> None:
    channels = {
        "bad": tuple(scripted(tmp_path / "bad", "ready:place_order", "child", "read", "ack:zzz", "sleep")),
        "good": tuple(outbox(tmp_path / "good", "cancel_order")),
    }
    routes = {"place_order": Route("bad"), "cancel_order": Route("good")}
    runtime = EgressRuntime(EgressConfig(60_000 * MS, channels, routes), None, PATIENT)
    runtime.start()
    with pytest.raises(DispatchFailure):
        runtime.dispatch("place_order", intent("place_order", "i1"))
    assert left_behind(tmp_path) == []
    assert read_frames(tmp_path / "good") == []
    assert len(read_frames(tmp_path / "bad")) == 1


def test_c30_81_a_line_after_the_last_ack(broker: Broker, tmp_path: Path) -> None:
    runtime = broker(scripted(tmp_path / "log", READY, "read", "ack", "say:by the way", "read"), ALL_EARS)
    runtime.dispatch("place_order", intent("place_order", "i1"))
    with pytest.raises(StepError, match="by the way") as caught:
        runtime.assert_settled(host_stop=False)
    assert caught.value.name == "EgressProcess"


@pytest.mark.parametrize("host_stop", [False, True])
def test_c30_81_a_channel_that_leaves_untold(broker: Broker, tmp_path: Path, host_stop: bool) -> None:
    runtime = broker(scripted(tmp_path / "log", READY, "read", "ack", "exit:0"), ALL_EARS)
    runtime.dispatch("place_order", intent("place_order", "i1"))
    await_exit()
    if host_stop:
        runtime.assert_settled(host_stop=True)
    else:
        with pytest.raises(StepError, match="closed stdout before the end frame"):
            runtime.assert_settled(host_stop=False)
    runtime.shutdown()


def test_c30_82_a_channel_that_ignores_the_end(broker: Broker, tmp_path: Path) -> None:
    assert ChannelPolicy().shutdown == 5000 * MS
    runtime = broker(
        scripted(tmp_path / "log", READY, "read", "sleep"), ChannelPolicy(startup=60_000 * MS, shutdown=2000 * MS)
    )
    with pytest.raises(StepError, match="within 2000 ms") as caught:
        runtime.shutdown()
    assert caught.value.name == "EgressProcess"
    assert read_frames(tmp_path / "log") == ['{"type":"end"}']


def test_c30_83_a_channel_has_a_process_group_of_its_own(broker: Broker, tmp_path: Path) -> None:
    group = tmp_path / "group"
    command = scripted(tmp_path / "log", READY, "serve")
    broker(["sh", "-c", 'echo $$ >"$0"; exec "$@"', str(group), *command])
    channel = int(group.read_text())
    assert os.getpgid(channel) == channel != os.getpgid(0)
