"""Runs whose intents go to real channel processes, from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.channels.egress_channels import left_behind, shell_outbox
from tests.channels.samples import FIRST_INTENT, KIND, READY, add_route, sample_project, send, told
from tests.conftest import Ergo, Ran

CAPTURE = ("capture", "-p", "historical", "-o", "b.json")
REPLAY = ("replay", "b.json", "--strict", "-p", "historical")


def decision(project: Path) -> dict[str, Any]:
    return json.loads((project / "b.json").read_text())["decisions"][-1]


def warnings(ran: Ran) -> list[str]:
    return [line for line in ran.stderr.splitlines() if line.startswith("warning: ")]


def test_a_capture_keeps_what_channels_said_and_a_replay_asks_none(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    captured = ergo(*CAPTURE, "--format", "json", cwd=project)
    assert (captured.exit_code, captured.stderr) == (0, "")
    assert captured.report["run"]["interruption"] is None
    assert decision(project)["intent_acks"] == [
        {
            "intent_id": FIRST_INTENT,
            "channel": "sample_outbox",
            "status": "accepted",
            "acceptance": "durable",
            "egress_ref": "sample-outbox-1",
        }
    ]
    assert told(project) == ["intent", "end"]
    (project / "outbox.jsonl").unlink()
    assert ergo(*REPLAY, cwd=project).exit_code == 0
    assert not (project / "outbox.jsonl").exists()
    assert left_behind(tmp_path) == []


def test_run_sends_intents_too(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    assert ergo("run", "-p", "historical", cwd=project).exit_code == 0
    assert told(project) == ["intent", "end"]


def test_a_channel_in_sh_under_another_configuration(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    config = {
        "default_ack_timeout": "20s",
        "channels": {"shell": {"type": "process", "command": shell_outbox(Path("outbox.jsonl"), KIND)}},
        "routes": {KIND: {"channel": "shell"}},
    }
    (project / "other.json").write_text(json.dumps(config))
    send(project, a="1", b="two\n", c='"three"')
    captured = ergo(*CAPTURE, "--egress-config", "other.json", cwd=project)
    assert (captured.exit_code, captured.stderr) == (0, "")
    (ack,) = decision(project)["intent_acks"]
    assert (ack["channel"], "egress_ref" in ack) == ("shell", False)
    assert told(project) == ["intent", "intent", "intent", "end"]
    assert ergo(*REPLAY, cwd=project).exit_code == 0


def test_events_and_intents_through_processes_give_the_originals_bundle(
    ergo: Ergo, tmp_path: Path, conformance: Path
) -> None:
    project = sample_project(tmp_path, ack_timeout="5s")
    event = {
        "event_id": "sample-live-evt-1",
        "kind": "Command",
        "at": {"secs": 0, "nanos": 0},
        "semantic_kind": "sample_event",
        "payload": {"message": "hello-from-live-ingress"},
    }
    frames = [{"type": "hello", "protocol": "ergo-driver.v0"}, {"type": "event", "event": event}, {"type": "end"}]
    (project / "feed").write_text("".join(json.dumps(frame) + "\n" for frame in frames))
    captured = ergo(*CAPTURE, "--driver-cmd", "cat", "--driver-arg", "feed", cwd=project)
    assert (captured.exit_code, captured.stderr) == (0, "")
    original = (conformance / "23-intents" / "live.capture.json").read_bytes()
    fingerprint = re.compile(rb"rpv1:sha256:[0-9a-f]{64}")  # of primitives, which are those of a test here
    assert fingerprint.sub(b"", (project / "b.json").read_bytes()) == fingerprint.sub(b"", original)


@pytest.mark.parametrize(
    ("step", "interruption", "detail"),
    [
        ("sleep", {"code": "egress_ack_timeout", "channel": "sample_outbox", "intent_id": FIRST_INTENT}, "no answer"),
        ("ack:zzz", {"code": "egress_protocol_violation", "channel": "sample_outbox"}, "trouble ahead"),
        ("exit:3", {"code": "egress_io", "channel": "sample_outbox"}, "trouble ahead"),
    ],
)
def test_a_channel_that_fails_interrupts_the_run(
    ergo: Ergo, tmp_path: Path, step: str, interruption: dict[str, str], detail: str
) -> None:
    timeout = "300ms" if step == "sleep" else "60s"
    project = sample_project(tmp_path, "err:trouble ahead", READY, "read", step, ack_timeout=timeout)
    ran = ergo(*CAPTURE, "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["outcome"]) == (7, "interrupted")
    assert ran.report["run"]["interruption"] == interruption
    error = ran.report["error"]
    assert error["code"] == "host.step_failed"
    assert error["message"] == decision(project)["interruption"]
    assert any(detail in told for told in error["details"])
    assert error["message"].split("eid1:")[0] in ran.stderr  # a hash stands whole only with -v
    explain = ("explain", "b.json", "-p", "historical", "--event", decision(project)["event_id"])
    episode = ergo(*explain, "--format", "json", cwd=project).report["episode"]
    assert (episode["interruption"], "intent_acks" in episode) == (error["message"], False)
    shown = ergo(*explain, cwd=project, COLUMNS="400").stdout
    assert re.findall(r"^  interruption +(.*)$", shown, re.MULTILINE) == [error["message"]]


def test_explain_shows_the_acknowledgements_of_a_decision(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    assert ergo(*CAPTURE, cwd=project).exit_code == 0
    explain = ("explain", "b.json", "-p", "historical", "--event", decision(project)["event_id"])
    episode = ergo(*explain, "--format", "json", cwd=project).report["episode"]
    assert episode["intent_acks"] == decision(project)["intent_acks"]
    assert "interruption" not in episode
    [row] = [line.split() for line in ergo(*explain, cwd=project).stdout.splitlines() if "sample-outbox-1" in line]
    assert row == [FIRST_INTENT, "sample_outbox", "durable", "sample-outbox-1"]
    assert ergo(*REPLAY, cwd=project).exit_code == 0
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        (["say:{oops"], "egress_protocol_violation"),
        (["say:"], "egress_protocol_violation"),
        (["half:{"], "egress_protocol_violation"),
        (["flood:{}"], "egress_protocol_violation"),
        (["bytes:ff0a"], "egress_io"),
        (["long:104857600"], "egress_io"),
        (["stubborn", "child", "ack:zzz", "sleep"], "egress_protocol_violation"),
        (["ack", "ack", "read", "sleep"], "egress_protocol_violation"),
    ],
)
def test_whatever_a_channel_does_the_bundle_replays_and_nothing_is_left(
    ergo: Ergo, tmp_path: Path, steps: list[str], code: str
) -> None:
    project = sample_project(tmp_path, READY, "read", *steps)
    send(project, a="1", b="2")
    ran = ergo(*CAPTURE, "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["run"]["interruption"]["code"]) == (7, code)
    assert left_behind(tmp_path) == []
    assert ergo(*REPLAY, cwd=project).exit_code == 0


def test_nothing_runs_before_every_channel_is_up(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path, "err:no licence", "exit:1")
    ran = ergo(*CAPTURE, "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["outcome"]) == (3, "refused")
    assert ran.report["error"]["code"] == "egress.start_failed"
    assert ran.report["error"]["details"] == ["stderr of the channel: no licence"]
    assert not (project / "b.json").exists()
    assert left_behind(tmp_path) == []


def test_a_bad_stream_starts_no_channel(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    send(project, a="1", b="2")
    with (project / "fixtures" / "historical.jsonl").open("a") as events:
        events.write("{oops\n")
    ran = ergo(*CAPTURE, cwd=project)
    assert (ran.exit_code, told(project)) == (3, [])
    assert not (project / "outbox.jsonl").exists()


def test_c30_34_routes_that_nothing_takes_are_warned_of(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    adapter = project / "adapters" / "sample.yaml"
    text = adapter.read_text()
    publish = text[text.index(f"    - name: {KIND}") : text.index("capture:")]
    more = "".join(publish.replace(KIND, kind) for kind in ("publish", "archive"))
    adapter.write_text(text.replace("capture:", more + "capture:"))
    add_route(project, "publish")
    add_route(project, "archive")
    outbox = project / "channels" / "egress" / "sample_outbox.py"
    outbox.write_text(outbox.read_text().replace(f'["{KIND}"]', f'["{KIND}", "archive", "publish"]'))
    ran = ergo(*CAPTURE, cwd=project)
    assert ran.exit_code == 0
    assert warnings(ran) == [
        "warning: egress route declared for non-emittable kind 'archive'",
        "warning: egress route declared for non-emittable kind 'publish'",
    ]


def test_c30_33_a_route_that_the_adapter_does_not_accept(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    add_route(project, "publish")
    ran = ergo(*CAPTURE, "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "host.configuration_invalid")
    assert "'publish'" in ran.report["error"]["message"]
    assert told(project) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "cli.egress_config_read_failed"),
        ("default_ack_timeout = 5", "cli.egress_config_parse_failed"),
        ('default_ack_timeout = "5d"\n[channels]\n[routes]\n', "cli.egress_config_parse_failed"),
    ],
)
def test_c30_115_a_bad_configuration_comes_before_a_bad_graph(
    ergo: Ergo, tmp_path: Path, text: str | None, code: str
) -> None:
    if text is not None:
        (tmp_path / "egress.toml").write_text(text)
    (tmp_path / "graph.yaml").write_text("kind: nonsense")
    (tmp_path / "events.jsonl").write_text("")
    ran = ergo("run", "events.jsonl", "-g", "graph.yaml", "--egress-config", "egress.toml", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, code)
    assert "egress.toml" in ran.report["error"]["where"]


def test_unknown_keys_of_a_configuration_are_warned_of(ergo: Ergo, tmp_path: Path) -> None:
    project = sample_project(tmp_path)
    config = project / "egress" / "live.toml"
    config.write_text("retries = 3\n" + config.read_text())
    ran = ergo(*CAPTURE, cwd=project)
    assert ran.exit_code == 0
    (warning,) = warnings(ran)
    assert "unknown key 'retries'" in warning
