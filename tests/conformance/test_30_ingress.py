"""Spec 30 §30, ingress protocol and stop, as far as the driver's side decides them: C-41 to C-54, C-59 to C-62."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from ergo_cli.channels.group import ProcessGroup
from ergo_cli.channels.ingress import ProcessArrivals, check_command
from ergo_cli.channels.interruption import End, IngressFailure
from ergo_cli.channels.process import ChannelProcess
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import EventError
from ergo_cli.events.external import EventKind, HostedEvent
from ergo_cli.host.timing import RunControl, StopHandle
from tests.channels.ingress_drivers import (
    MS,
    PROGRAMS,
    SHORT_TERMINATION,
    codes,
    driver,
    failure,
    go_on,
    heard,
    left_of,
    members,
    pid_in,
    scripted,
)

PROTOCOL = ("driver.protocol_invalid", "protocol_violation")
TERMINATED = ("driver.start_failed", "driver_terminated")
DEAF = ChannelPolicy(startup=60_000 * MS, termination=60_000 * MS, receive=60_000 * MS)
"""Looks at the stop only where the driver says something: a test that has to wait for a grace is slow."""

GARBAGE = {
    "bad JSON": "say:{oops",
    "blank line": "say:",
    "array": "say:[]",
    "unknown type": 'say:{"type":"ping"}',
    "no type": "say:{}",
    "no event": 'say:{"type":"event"}',
    "event of another type": 'say:{"type":"event","event":[]}',
    "unknown event kind": 'say:{"type":"event","event":{"event_id":"a","kind":"Zed","at":[0,0]}}',
    "no id": 'say:{"type":"event","event":{"kind":"Pump","at":[0,0]}}',
    "type given twice": 'say:{"type":"end","type":"end"}',
    "event given twice": 'say:{"type":"event","event":{},"event":{}}',
    "not UTF-8": "bytes:ff0a",
    "half a line, then the end": 'half:{"type":"eve',
}


def test_c30_41_hello_event_end_and_exit(tmp_path: Path) -> None:
    with driver(tmp_path, "hello", "event", "end") as arrivals:
        assert arrivals.opened == []
        event = arrivals.next(go_on)
        assert event == HostedEvent("evt-1", EventKind.COMMAND, 1_000_000_000, "tick", {"x": 1.5})
        assert (arrivals.opened, arrivals.place) == ([("E1", 0)], "<driver>:2:1")
        assert arrivals.next(go_on) is End.FINISHED
        assert arrivals.opened == [("E1", 0)]
    assert left_of(pid_in(tmp_path)) == []


@pytest.mark.parametrize("program", ["ingress_ticks.py", "ingress_ticks.sh"])
def test_c30_41_drivers_in_python_and_in_sh(tmp_path: Path, program: str) -> None:
    (tmp_path / "numbers").write_text("1.5\n-2e3\n")
    interpreter = [sys.executable] if program.endswith(".py") else []
    command = [*interpreter, str(PROGRAMS / program), "numbers"]
    with ProcessArrivals.start(command, tmp_path, DEAF, Numbers.EXACT) as arrivals:
        events = [arrivals.next(go_on) for _ in range(3)]
    assert events == [
        HostedEvent("tick-0", EventKind.COMMAND, 0, "tick", {"x": 1.5}),
        HostedEvent("tick-1", EventKind.COMMAND, 1_000_000_000, "tick", {"x": -2000.0}),
        End.FINISHED,
    ]


def test_c30_42_extra_members_blanks_crlf_and_a_last_line_without_end(tmp_path: Path) -> None:
    steps = (
        'say: \t{"more":[1],"protocol":"ergo-driver.v0","type":"hello"} \r',
        'say:{"x":{},"type":"event","event":{"event_id":"a","kind":"Tick","at":[1,0],"y":2},"x":3}\r',
        'half:{"type":"end","event":[]} ',
    )
    with driver(tmp_path, *steps) as arrivals:
        assert arrivals.next(go_on) == HostedEvent("a", EventKind.PUMP, 1_000_000_000)
        assert arrivals.next(go_on) is End.FINISHED


@pytest.mark.parametrize(("step", "named"), [("event", "'event'"), ("end", "'end'"), ("hello:v9", "'ergo-driver.v9'")])
def test_c30_43_another_first_frame_than_hello_v0(tmp_path: Path, step: str, named: str) -> None:
    failed = failure(tmp_path, step, "sleep", events=0, policy=DEAF)
    assert codes(failed) == PROTOCOL
    assert named in failed.error.message


def test_c30_44_a_driver_that_says_nothing(tmp_path: Path) -> None:
    failed = failure(tmp_path, "sleep", events=0, policy=ChannelPolicy(startup=200 * MS))
    assert codes(failed) == TERMINATED
    assert "200 ms" in failed.error.message
    assert ChannelPolicy().startup == 5000 * MS


def test_c30_45_the_end_after_hello(tmp_path: Path) -> None:
    failed = failure(tmp_path, "hello", "err: boom ", "exit:2", events=0)
    assert codes(failed) == TERMINATED
    assert failed.error.message.endswith("exited with status 2 (boom)")


def test_c30_46_an_end_without_events(tmp_path: Path) -> None:
    assert codes(failure(tmp_path, "hello", "end", "sleep", events=0, policy=DEAF)) == PROTOCOL


@pytest.mark.parametrize("step", [*GARBAGE.values(), "hello"], ids=[*GARBAGE, "second hello"])
def test_c30_47_garbage_after_an_event(tmp_path: Path, step: str) -> None:
    assert codes(failure(tmp_path, "hello", "event", step, events=1, policy=DEAF)) == PROTOCOL


@pytest.mark.parametrize("step", [*GARBAGE.values(), "hello"], ids=[*GARBAGE, "second hello"])
def test_c30_48_garbage_before_any_event(tmp_path: Path, step: str) -> None:
    assert codes(failure(tmp_path, "hello", step, events=0, policy=DEAF)) == PROTOCOL


@pytest.mark.parametrize("step", GARBAGE.values(), ids=GARBAGE)
def test_c30_48_garbage_before_hello(tmp_path: Path, step: str) -> None:
    assert codes(failure(tmp_path, step, events=0, policy=DEAF)) == PROTOCOL


@pytest.mark.parametrize(
    ("step", "ending"),
    [("exit:0", "exited with status 0"), ("exit:3", "exited with status 3"), ("die", "was ended by signal 9")],
)
def test_c30_49_an_exit_without_end(tmp_path: Path, step: str, ending: str) -> None:
    failed = failure(tmp_path, "hello", "event", "event", step, events=2)
    assert codes(failed) == TERMINATED
    assert failed.error.message.endswith(ending)


def test_c30_50_another_status_after_end(tmp_path: Path) -> None:
    failed = failure(tmp_path, "hello", "event", "end", "exit:3", events=1)
    assert codes(failed) == TERMINATED
    assert "status 3" in failed.error.message


def test_c30_50_a_late_exit_within_the_grace(tmp_path: Path) -> None:
    with driver(tmp_path, "hello", "event", "end", "close", "sleep:0.1", policy=DEAF) as arrivals:
        assert heard(arrivals) == (["evt-1"], End.FINISHED)


@pytest.mark.parametrize("steps", [("sleep",), ("close", "sleep"), ("child",)], ids=" ".join)
def test_c30_50_the_grace_is_over(tmp_path: Path, steps: tuple[str, ...]) -> None:
    failed = failure(tmp_path, "hello", "event", "end", *steps, events=1, policy=SHORT_TERMINATION)
    assert codes(failed) == TERMINATED
    assert "300 ms" in failed.error.message


@pytest.mark.parametrize("step", ["say:", "end", "event", "bytes:ff", "long:17"])
def test_c30_50_another_line_after_end(tmp_path: Path, step: str) -> None:
    assert codes(failure(tmp_path, "hello", "event", "end", step, events=1, policy=DEAF)) == PROTOCOL


def test_c30_51_an_output_that_is_closed_too_soon(tmp_path: Path) -> None:
    failed = failure(tmp_path, "hello", "event", "close", "sleep", events=1, policy=SHORT_TERMINATION)
    assert codes(failed) == TERMINATED
    assert failed.error.message.endswith("is still running after 300 ms")


def test_an_output_that_cannot_be_read(tmp_path: Path) -> None:
    child = subprocess.Popen(
        ["sleep", "600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, process_group=0
    )
    assert child.stdout is not None
    folder = os.open(tmp_path, os.O_RDONLY)  # what is read from it is an error
    os.dup2(folder, child.stdout.fileno())
    os.close(folder)
    arrivals = ProcessArrivals(ChannelProcess(ProcessGroup(child)), ["sleep", "600"], DEAF, Numbers.EXACT)
    with arrivals, pytest.raises(IngressFailure) as failed:
        arrivals.next(go_on)
    assert codes(failed.value) == ("driver.io_failed", "driver_io")
    assert failed.value.error.message.endswith("Is a directory")
    assert left_of(child.pid) == []


def test_c30_53_the_driver_has_a_group_of_its_own(tmp_path: Path) -> None:
    with driver(tmp_path, "hello", "child", "event", "sleep") as arrivals:
        arrivals.next(go_on)
        group = pid_in(tmp_path)
        assert os.getpgid(group) == group != os.getpgrp()
        assert len(members(group)) == 3  # the driver, its child, the keeper of the group
    assert left_of(group) == []


def test_c30_54_commands_that_name_no_program(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    for command, named in [
        ([], "empty"),
        ([""], "blank"),
        ([" \t", "x"], "blank"),
        (["./missing"], f"{tmp_path}/./missing"),
        ([str(tmp_path)], str(tmp_path)),
        (["./script"], f"{tmp_path}/./script"),
        (["./scr\0ipt"], "scr"),
    ]:
        with pytest.raises(EventError) as refused:
            check_command(command, tmp_path)
        assert refused.value.code == "driver.input_invalid"
        assert named in refused.value.message
        assert refused.value.fix


def test_c30_54_commands_that_are_looked_for_when_they_are_run(tmp_path: Path) -> None:
    check_command(["no-such-program"], tmp_path)
    for command in (["no-such-program", "a b"], ["pri\0ntf"]):
        with pytest.raises(EventError) as refused:
            ProcessArrivals.start(command, tmp_path, ChannelPolicy(), Numbers.EXACT)
        assert refused.value.code == "driver.start_failed"
    with pytest.raises(EventError, match=r'\["no-such-program", "a b"\]'):
        ProcessArrivals.start(["no-such-program", "a b"], tmp_path, ChannelPolicy(), Numbers.EXACT)


def test_c30_59_a_stop_soon_after_hello(tmp_path: Path) -> None:
    handle = StopHandle()
    with driver(tmp_path, "hello", "sleep") as arrivals:
        timer = Timer(0.02, handle.stop)
        timer.start()
        assert heard(arrivals, lambda: handle.stopped) == ([], End.STOPPED)
        timer.join()
    assert left_of(pid_in(tmp_path)) == []


def test_c30_59_a_stop_before_hello(tmp_path: Path) -> None:
    asked = iter([False, True, True])
    command = scripted(tmp_path / "pid", "sleep")
    with ProcessArrivals.start(command, None, ChannelPolicy(), Numbers.EXACT, lambda: next(asked)) as arrivals:
        assert arrivals.next(lambda: next(asked)) is End.STOPPED


def test_c30_60_a_bound_on_events(tmp_path: Path) -> None:
    control = RunControl(max_events=3)
    with driver(tmp_path, "hello", "events:64", "sleep") as arrivals:
        ids: list[str] = []
        while isinstance(event := arrivals.next(lambda: control.should_stop(len(ids))), HostedEvent):
            ids.append(event.event_id)
    assert ids == ["evt-1", "evt-2", "evt-3"]
    assert event is End.STOPPED


def test_c30_61_a_flooding_driver_is_stopped_between_two_events(tmp_path: Path) -> None:
    control = RunControl(max_events=3000)
    with driver(tmp_path, "hello", "flood", policy=DEAF) as arrivals:
        ids: list[str] = []
        while isinstance(event := arrivals.next(lambda: control.should_stop(len(ids))), HostedEvent):
            ids.append(event.event_id)
    assert len(ids) == 3000
    assert event is End.STOPPED
    assert left_of(pid_in(tmp_path)) == []


def test_c30_61_an_idle_driver_is_stopped_when_the_time_is_over(tmp_path: Path) -> None:
    control = RunControl(max_duration=300 * MS)
    with driver(tmp_path, "hello", "event", "sleep") as arrivals:
        assert isinstance(arrivals.next(go_on), HostedEvent)
        control.start()
        assert heard(arrivals, lambda: control.should_stop(1)) == ([], End.STOPPED)


@pytest.mark.parametrize("last", ["die", "close", "long:17"])
def test_c30_62_the_driver_dies_of_the_stop(tmp_path: Path, last: str) -> None:
    asked = iter([False, False, True])  # for the event, for the end of the output, and once it is known
    with driver(tmp_path, "hello", "event", last, "sleep", policy=DEAF) as arrivals:
        assert heard(arrivals, lambda: next(asked)) == (["evt-1"], End.STOPPED)


def test_c30_62_the_stop_comes_while_a_driver_that_closed_its_output_lingers(tmp_path: Path) -> None:
    policy = ChannelPolicy(startup=60_000 * MS, termination=60_000 * MS, receive=20 * MS)
    asked = iter([False] * 12 + [True] * 12)
    with driver(tmp_path, "hello", "event", "close", "sleep", policy=policy) as arrivals:
        assert isinstance(arrivals.next(go_on), HostedEvent)
        assert heard(arrivals, lambda: next(asked)) == ([], End.STOPPED)


def test_an_ingress_failure_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(IngressFailure) as failed:
        ProcessArrivals.start(["sh", "-c", "exit 0"], tmp_path, ChannelPolicy(), Numbers.EXACT)
    assert '["sh", "-c", "exit 0"]' in failed.value.error.message
