"""Spec 30, checklist lines of the command line: C-36 to C-38, C-54, C-89, C-102 to C-104, C-106 to C-110, C-128."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ergo_cli import __version__
from tests.channels.ingress_drivers import scripted
from tests.channels.ingress_runs import FLOW
from tests.channels.samples import FIRST_INTENT, READY, sample_project
from tests.conftest import Ergo

TICK_FLOW = ("-g", FLOW / "graph.yaml", "-a", FLOW / "adapter.yaml")


def test_c30_102_no_arguments_give_the_usage(ergo: Ergo) -> None:
    bare = ergo()
    assert (bare.exit_code, bare.stderr) == (0, "")
    assert bare.stdout.startswith("Usage: ergo ")
    assert ergo("--help") == bare
    assert ergo("-h") == bare
    for command in ("run", "capture", "replay", "diff", "inspect", "validate"):
        assert f"\n  {command} " in bare.stdout


def test_c30_102_version(ergo: Ergo) -> None:
    assert ergo("--version") == (0, f"ergo {__version__}\n", "")


@pytest.mark.parametrize("command", ["run", "capture"])
def test_c30_103_a_run_without_events_is_a_usage_error(ergo: Ergo, command: str) -> None:
    ran = ergo(command)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")


def test_c30_104_unknown_words_are_named(ergo: Ergo) -> None:
    command = ergo("conjure", "-v")
    assert (command.exit_code, command.stdout) == (2, "")
    assert "code: cli.unknown_command" in command.stderr
    assert "'conjure'" in command.stderr
    option = ergo("run", "e.jsonl", "--conjure", "-v")
    assert option.exit_code == 2
    assert "code: cli.invalid_option" in option.stderr
    assert "'--conjure'" in option.stderr


def test_c30_106_an_option_without_its_value(ergo: Ergo) -> None:
    ran = ergo("run", "-v", "events.jsonl", "-g")
    assert ran.exit_code == 2
    assert "  where: arg '-g'\n" in ran.stderr
    assert "  code: cli.missing_option_value\n" in ran.stderr


def test_c30_106_no_ingress_at_all(ergo: Ergo, conformance: Path) -> None:
    ran = ergo("run", "-v", "-g", conformance / "01-minimal" / "graph.yaml")
    assert ran.exit_code == 2
    assert "code: cli.missing_required_option\n" in ran.stderr


def test_c30_107_short_and_long_options_are_equivalent(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "03-context-set"
    short = ergo(
        "capture", case / "events.jsonl", "-g", case / "graph.yaml", "-a", case / "adapter.yaml", "-o", "short.json"
    )
    long = ergo(
        *("capture", case / "events.jsonl", f"--graph={case / 'graph.yaml'}", "--adapter", case / "adapter.yaml"),
        *("--output", "long.json"),
    )
    assert (short.exit_code, long.exit_code) == (0, 0)
    assert (tmp_path / "short.json").read_bytes() == (tmp_path / "long.json").read_bytes()


def test_c30_107_profile_has_a_short_form(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "01-minimal"
    (tmp_path / "ergo.toml").write_text(
        f'name = "p"\nversion = "1"\n[profiles.a]\ngraph = "{case}/graph.yaml"\nfixture = "{case}/events.jsonl"\n'
        f'[profiles.b]\ngraph = "{case}/nowhere.yaml"\n'
    )
    assert ergo("run", "-p", "a") == ergo("run", "--profile", "a")
    assert ergo("run", "-p", "a").exit_code == 0
    assert ergo("run").exit_code == 2


def test_c30_108_default_place_of_a_capture(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "01-minimal"
    (tmp_path / "we ird.v1.yaml").write_bytes((case / "graph.yaml").read_bytes())
    ran = ergo("capture", case / "events.jsonl", "-g", "we ird.v1.yaml", "--format", "json")
    assert ran.exit_code == 0
    assert ran.report["run"]["bundle"] == str(Path("target") / "we_ird_v1-capture.json")
    assert (tmp_path / "target" / "we_ird_v1-capture.json").read_bytes() == (case / "capture.json").read_bytes()


def test_c30_110_error_block_and_its_json_form(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "03-context-set"
    arguments = ["run", case / "events.jsonl", "-g", case / "graph.yaml"]
    lines = ergo(*arguments, "-v").stderr.splitlines()
    names = [line.partition(": ")[0] for line in lines]
    assert names == ["error", "  where", "  fix", "  code", "  rule", "  detail"]
    assert lines[3:5] == ["  code: adapter.required_for_graph", "  rule: RUN-CANON-2"]
    error = ergo(*arguments, "--format", "json").report["error"]
    assert list(error) == ["code", "rule", "message", "where", "fix", "details", "causes"]
    assert lines == [
        f"error: {error['message']}",
        f"  where: {error['where']}",
        f"  fix: {error['fix']}",
        f"  code: {error['code']}",
        f"  rule: {error['rule']}",
        *(f"  detail: {detail}" for detail in error["details"]),
    ]


@pytest.mark.parametrize("command", ["run", "capture"])
def test_c30_106_a_driver_needs_its_program_and_no_other_source(ergo: Ergo, command: str) -> None:
    alone = ergo(command, "-v", "--driver-arg", "x")
    assert (alone.exit_code, "code: cli.missing_required_option\n" in alone.stderr) == (2, True)
    both = ergo(command, "-v", "events.jsonl", "--driver-cmd", "x")
    assert (both.exit_code, "code: cli.conflicting_options\n" in both.stderr) == (2, True)


def test_c30_107_the_arguments_of_a_driver_are_taken_as_they_are(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "d.py").write_text("import json, sys\nopen('argv', 'w').write(json.dumps(sys.argv))\n")
    words = ["-x", "--driver-cmd", "", "a b", "--"]
    arguments = [part for word in ["d.py", *words] for part in ("--driver-arg", word)]
    ran = ergo("run", "-v", *TICK_FLOW, "--driver-cmd", sys.executable, *arguments)
    assert (ran.exit_code, "code: driver.start_failed\n" in ran.stderr) == (3, True)
    assert json.loads((tmp_path / "argv").read_text()) == ["d.py", *words]


def test_c30_54_a_program_without_a_name(ergo: Ergo) -> None:
    for name in ("", " "):
        ran = ergo("run", "-v", *TICK_FLOW, "--driver-cmd", name)
        assert (ran.exit_code, "code: driver.input_invalid\n" in ran.stderr) == (3, True)


def test_c30_36_a_graph_that_writes_needs_an_adapter_before_its_routes_are_looked_at(
    ergo: Ergo, tmp_path: Path
) -> None:
    (tmp_path / "egress.toml").write_text(
        'default_ack_timeout = "5s"\n[channels.a]\ntype = "process"\ncommand = ["x"]\n'
        '[routes.set_context]\nchannel = "a"\n'
    )
    (tmp_path / "e.jsonl").write_text('{"kind":"event","event":{"type":"Command"}}\n')
    error = ergo(
        *("run", "e.jsonl", "-g", FLOW / "graph.yaml", "--egress-config", "egress.toml", "--format", "json")
    ).report["error"]
    assert (error["code"], error["rule"]) == ("adapter.required_for_graph", "RUN-CANON-2")
    assert error["where"].startswith("node '")
    assert error["details"][-1].startswith("action writes at node(s): ")


def test_c30_37_a_process_needs_an_adapter_before_its_command_is_looked_at(ergo: Ergo, conformance: Path) -> None:
    for program in (("-g", conformance / "01-minimal" / "graph.yaml"), ()):
        error = ergo("run", *program, "--driver-cmd", "./nowhere", "--format", "json").report["error"]
        assert (error["code"], error["rule"]) == ("adapter.production_requires_adapter", "RUN-CANON-2")


def test_c30_37_a_profile_with_a_process_needs_an_adapter_before_its_graph_is_read(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "ergo.toml").write_text(
        'name = "p"\nversion = "1"\n[profiles.live]\ngraph = "nowhere.yaml"\n'
        '[profiles.live.ingress]\ntype = "process"\ncommand = ["x"]\n'
    )
    error = ergo("run", "--format", "json").report["error"]
    assert error["code"] == "adapter.production_requires_adapter"
    assert error["where"].endswith("ergo.toml profiles.live")


def test_c30_38_a_graph_that_writes_needs_an_adapter_whatever_its_source(ergo: Ergo) -> None:
    error = ergo("run", "-g", FLOW / "graph.yaml", "--driver-cmd", "x", "--format", "json").report["error"]
    assert error["code"] == "adapter.required_for_graph"


def test_c30_89_a_folder_that_cannot_be_written_starts_nothing(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = ergo(
        *("capture", *TICK_FLOW, "-o", "file/b.json", "--driver-cmd", "touch", "--driver-arg", "started"),
        *("--format", "json"),
    )
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "capture.write_failed")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_c30_109_how_interruptions_are_told(ergo: Ergo, tmp_path: Path) -> None:
    program, *arguments = scripted(tmp_path / "pid", "hello", "events:2", "exit:3")
    driver = ["--driver-cmd", program, *(word for argument in arguments for word in ("--driver-arg", argument))]
    broken = ergo("capture", "-v", *TICK_FLOW, *driver, "-o", "b.json", "--format", "json")
    assert (broken.exit_code, broken.report["outcome"]) == (7, "interrupted")
    assert broken.report["run"]["interruption"] == {"code": "driver_terminated"}
    assert (broken.report["run"]["events"], broken.report["error"]["code"]) == (2, "driver.start_failed")
    assert "code: driver.start_failed\n" in broken.stderr
    text = ergo("capture", *TICK_FLOW, *driver, "-o", "b.json").stdout
    assert text.startswith("interrupted  2 events, 2 invoked\n")
    assert "  interruption  driver_terminated\n" in text
    for bound in (("--max-events", "1"), ("--max-events", "2")):
        stopped = ergo("run", *TICK_FLOW, *driver, *bound, "--format", "json")
        assert (stopped.exit_code, stopped.report["outcome"], stopped.report["error"]) == (0, "interrupted", None)
        assert stopped.report["run"]["interruption"] == {"code": "host_stop_requested"}
        assert ergo("run", *TICK_FLOW, *driver, *bound, "--fail-on-error").exit_code == 1


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        (("sleep",), {"code": "egress_ack_timeout", "channel": "sample_outbox", "intent_id": FIRST_INTENT}),
        (("ack:zzz",), {"code": "egress_protocol_violation", "channel": "sample_outbox"}),
        (("exit:1",), {"code": "egress_io", "channel": "sample_outbox"}),
    ],
)
def test_c30_109_what_a_channel_did_names_the_channel(
    ergo: Ergo, tmp_path: Path, steps: tuple[str, ...], named: dict[str, str]
) -> None:
    timeout = "300ms" if steps == ("sleep",) else "60s"
    project = sample_project(tmp_path, READY, "read", *steps, ack_timeout=timeout)
    ran = ergo("run", "-p", "historical", "--format", "json", cwd=project)
    assert (ran.exit_code, ran.report["outcome"], ran.report["error"]["code"]) == (7, "interrupted", "host.step_failed")
    assert ran.report["run"]["interruption"] == named
    text = ergo("run", "-p", "historical", "--fail-on-error", cwd=project)
    words = " ".join([named["code"], *(f"{name}={value}" for name, value in named.items() if name != "code")])
    assert (text.exit_code, f"  interruption  {words}\n" in text.stdout) == (7, True)


def test_c30_128_a_profile_says_where_events_come_from_and_when_to_stop(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "ergo.toml").write_text(
        f'name = "p"\nversion = "1"\n[profiles.live]\ngraph = "{FLOW}/graph.yaml"\nadapter = "{FLOW}/adapter.yaml"\n'
        f'max_events = 2\n[profiles.live.ingress]\ntype = "process"\n'
        f"command = {json.dumps(scripted(Path('pid'), 'hello', 'flood'))}\n"
    )
    (tmp_path / "deep" / "er").mkdir(parents=True)
    ran = ergo("capture", "--format", "json", cwd=tmp_path / "deep" / "er")
    assert (ran.exit_code, ran.report["run"]["events"]) == (0, 2)
    assert (tmp_path / "captures" / "live.capture.json").exists()
    assert (tmp_path / "pid").exists(), "the process does not work in the project's folder"
    assert ergo("run", "--max-events", "3", "--format", "json").report["run"]["events"] == 3
    (tmp_path / "e.jsonl").write_text(
        '{"kind":"event","event":{"type":"Command","semantic_kind":"tick","payload":{"x":1}}}\n'
    )
    assert ergo("run", "e.jsonl", "--format", "json").report["run"]["interruption"] is None
