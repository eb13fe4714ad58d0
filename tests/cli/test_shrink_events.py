"""``ergo shrink EVENTS --run CMD``: the smallest stream on which a command still ends as on the whole."""

from __future__ import annotations

import gzip
import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.started import wait_until, working
from tests.cli.terminals import on_terminal, plain
from tests.conftest import Ergo

PYTHON = shlex.quote(sys.executable)


def event(number: int, **payload: Any) -> str:
    return json.dumps({"kind": "event", "event": {"type": "Command", "id": f"e{number}", "payload": payload}})


def stream(folder: Path, *lines: str) -> Path:
    path = folder / "events.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two hundred events in four episodes."""
    lines: list[str] = []
    for number in range(200):
        if number % 50 == 0:
            lines.append(json.dumps({"kind": "episode_start", "id": f"day {number // 50}"}))
        lines.append(event(number, price=100.0 + number, venue="main" if number % 2 else "dark", note="as it came"))
    return stream(tmp_path, *lines)


def check(folder: Path, body: str) -> str:
    """A command of a few lines of Python, to which ``events`` are those of the stream."""
    lines = [
        "import json, sys, os, time",
        "records = [json.loads(line) for line in open(sys.argv[1])]",
        "events = [record['event'] for record in records if record['kind'] == 'event']",
        "ids = {event['id'] for event in events}",
        body,
    ]
    (folder / "check.py").write_text("\n".join(lines) + "\n")
    return f"{PYTHON} check.py"


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_matters_is_left_with_its_episodes_and_the_simplest_payloads(
    ergo: Ergo, many: Path, tmp_path: Path
) -> None:
    command = check(
        tmp_path, "sys.exit(3 if {'e7', 'e60', 'e151'} <= ids and events[0]['payload']['price'] > 90 else 0)"
    )
    ran = ergo("shrink", "events.jsonl", "--run", command, "-o", "small.jsonl")
    assert (ran.exit_code, ran.stderr) == (0, "")
    first, *rest = ran.stdout.splitlines()
    assert first.startswith("shrunk  events.jsonl  200 events -> 3  (")
    assert rest == [
        "",
        f"fails      exit code 3  {command} small.jsonl",
        "",
        "written    small.jsonl",
    ]
    assert records(tmp_path / "small.jsonl") == [
        {"kind": "episode_start", "id": "day 0"},
        {"kind": "event", "event": {"type": "Command", "id": "e7", "payload": {"price": 107.0 // 1}}},
        {"kind": "episode_start", "id": "day 1"},
        {"kind": "event", "event": {"type": "Command", "id": "e60", "payload": {}}},
        {"kind": "episode_start", "id": "day 3"},
        {"kind": "event", "event": {"type": "Command", "id": "e151", "payload": {}}},
    ]


def test_the_report_counts_tries_and_names_the_command(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    command = check(tmp_path, "sys.exit(1 if 'e100' in ids else 0)")
    report = ergo("shrink", "events.jsonl", "--run", command, "-o", "s.jsonl", "--format", "json").report
    assert (report["command"], report["outcome"], report["exit_code"]) == ("shrink", "ok", 0)
    document = report["shrink"]
    assert (document["events_before"], document["events"], document["status"]) == (200, 1, 1)
    assert document["command"] == shlex.split(command)
    assert 10 <= document["event_tries"] <= document["tries"] < 30
    assert (document["stopped"], document["divergence"], document["test"]) == (None, None, None)


def test_another_exit_code_is_another_failure(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    command = check(tmp_path, "sys.exit(0 if not events else 4 if {'e3', 'e4'} <= ids else 5)")
    assert ergo("shrink", "events.jsonl", "--run", command, "-o", "s.jsonl").exit_code == 0
    assert [each["event"]["id"] for each in records(tmp_path / "s.jsonl") if each["kind"] == "event"] == ["e3", "e4"]


def test_a_signal_that_ends_the_command_is_a_failure(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    command = check(tmp_path, "'e9' in ids and os.kill(os.getpid(), 9)")
    ran = ergo("shrink", "events.jsonl", "--run", command, "-o", "s.jsonl")
    assert ran.exit_code == 0
    assert f"fails      signal 9  {command} s.jsonl" in ran.stdout.splitlines()


def test_the_stream_stands_where_the_command_says(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    check(tmp_path, "sys.exit(1 if 'e9' in ids else 0)")
    command = f"sh -c '{PYTHON} check.py \"$1\" || exit 7' sh {{}}"
    report = ergo("shrink", "events.jsonl", "--run", command, "-o", "s.jsonl", "--format", "json").report
    assert (report["shrink"]["status"], report["shrink"]["events"]) == (7, 1)


def test_a_command_of_ergo_shrinks_a_run_that_fails_by_its_memory(ergo: Ergo, tmp_path: Path) -> None:
    """The graph divides by what memory has: the failure needs an event that wrote it and one that reads it."""
    (tmp_path / "graph.yaml").write_text(
        'kind: cluster\nid: memory\nversion: "1.0.0"\nnodes:\n'
        "  price: { impl: context_number_source@0.1.0, params: { key: price } }\n"
        "  last: { impl: context_number_source@0.1.0, params: { key: last } }\n"
        "  high: { impl: number_source@0.1.0, params: { value: 105.0 } }\n"
        "  gap: { impl: subtract@0.1.0 }\n"
        "  ratio: { impl: divide@0.2.0 }\n"
        "  above: { impl: gt@0.1.0 }\n"
        "  enter: { impl: emit_if_true@0.1.0 }\n"
        "  keep: { impl: context_set_number@0.1.0, params: { key: last } }\n"
        "  show: { impl: gt@0.1.0 }\n"
        "edges:\n"
        "  - price.value -> gap.a\n  - last.value -> gap.b\n  - price.value -> ratio.a\n  - gap.result -> ratio.b\n"
        "  - price.value -> above.a\n  - high.value -> above.b\n  - above.result -> enter.input\n"
        "  - enter.event -> keep.event\n  - price.value -> keep.value\n"
        "  - ratio.result -> show.a\n  - high.value -> show.b\n"
        "outputs: { show: show.result, kept: keep.outcome }\n"
    )
    (tmp_path / "adapter.yaml").write_text(
        "kind: adapter\nid: desk\nversion: 1.0.0\nruntime_compatibility: 0.1.0-alpha.1\ncontext_keys:\n"
        '  - { name: price, type: Number, required: true, writable: false, description: "p" }\n'
        '  - { name: last, type: Number, required: false, writable: true, description: "l" }\n'
        "event_kinds:\n  - name: tick\n    payload_schema:\n      type: object\n"
        "      properties: { price: { type: number, minimum: 1 }, last: { type: number } }\n      required: [price]\n"
        "      additionalProperties: false\n"
        "accepts:\n  effects:\n"
        "    - { name: set_context, payload_schema: { type: object, additionalProperties: false } }\n"
        'capture:\n  format_version: "1"\n  fields: [event.tick, meta.adapter_id, meta.adapter_version]\n'
    )
    prices = [100 + each * 7 % 11 + 0.5 for each in range(60)] + [108.5]
    lines = ['{"kind":"episode_start","id":"d"}']
    for number, price in enumerate(prices):
        body = {"type": "Command", "id": f"e{number}", "semantic_kind": "tick", "payload": {"price": price}}
        lines.append(json.dumps({"kind": "event", "event": body}))
    lines.append(lines[-1].replace('"e60"', '"e61"'))
    stream(tmp_path, *lines)
    command = "ergo run {} -g graph.yaml -a adapter.yaml --fail-on-error"
    whole = ergo("run", "events.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "--fail-on-error")
    assert whole.exit_code == 1, whole.stdout + whole.stderr
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    ran = ergo("shrink", "events.jsonl", "--run", command, "-o", "s.jsonl", PATH=path)
    assert ran.exit_code == 0, ran.stderr
    small = ergo("run", "s.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "--fail-on-error")
    assert small.exit_code == 1
    left = [each["event"]["payload"]["price"] for each in records(tmp_path / "s.jsonl") if each["kind"] == "event"]
    assert left == [108.5, 108.5]


def test_a_command_that_succeeds_leaves_nothing_to_do(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    ran = ergo("shrink", "events.jsonl", "--run", "true", "-o", "s.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["outcome"], ran.report["shrink"]) == (5, "empty", None)
    assert not (tmp_path / "s.jsonl").exists()


def test_a_stream_that_does_not_fail_again_is_named_flaky(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    command = check(tmp_path, "once = not os.path.exists('ran'); open('ran', 'w').close(); sys.exit(once)")
    ran = ergo("shrink", "events.jsonl", "--run", command, "-o", "s.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (1, "shrink.flaky")
    assert not (tmp_path / "s.jsonl").exists()


def test_a_result_that_does_not_fail_again_is_named_flaky(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    body = "open('ran', 'a').write('x'); sys.exit('e9' in ids and os.path.getsize('ran') < 14)"
    ran = ergo("shrink", "events.jsonl", "--run", check(tmp_path, body), "-o", "s.jsonl", "-v")
    assert ran.exit_code == 1
    assert "shrink.flaky" in ran.stderr
    assert not (tmp_path / "s.jsonl").exists()


def test_a_command_that_cannot_be_started_is_named(ergo: Ergo, many: Path) -> None:
    ran = ergo("shrink", "events.jsonl", "--run", "no-such-program {}", "-o", "s.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "shrink.command_not_started")
    assert "no-such-program" in ran.report["error"]["message"]


def test_a_full_disk_for_the_tries_is_named(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    words = ("shrink", "events.jsonl", "--run", "false", "-o", "s.jsonl", "--format", "json")
    ran = ergo(*words, through=("sh", "-c", 'ulimit -f 8; exec "$@"', "sh"), PYTHONDONTWRITEBYTECODE="1")
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "capture.write_failed")
    assert ran.report["error"]["where"] == "temporary folder"
    assert not (tmp_path / "s.jsonl").exists()


@pytest.mark.parametrize(
    "body",
    [
        "os.unlink(file); os.symlink(MINE, file)",
        "os.unlink(file); os.mkfifo(file)",
        "os.unlink(file); os.mkdir(file)",
        "os.unlink(file); os.rmdir(os.path.dirname(file))",
        "known = file + '.seen'; assert not os.path.exists(known); open(known, 'w')",
    ],
)
def test_a_try_finds_nothing_of_what_others_did_to_their_stream(
    ergo: Ergo, many: Path, tmp_path: Path, body: str
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    command = check(tmp_path, f"file = sys.argv[1]; MINE = {str(mine)!r}; {body}; sys.exit('e9' in ids)")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ran = ergo("shrink", "events.jsonl", "--run", command, "-o", "s.jsonl", "--max-seconds", "60", TMPDIR=str(scratch))
    assert ran.exit_code == 0, ran.stderr
    assert [each["event"]["id"] for each in records(tmp_path / "s.jsonl")[1:]] == ["e9"]
    assert mine.read_text() == "mine"
    assert not list(scratch.iterdir())


def test_a_command_that_hangs_on_the_whole_is_ended_and_named(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    command = check(tmp_path, "time.sleep(600)")
    ran = ergo("shrink", "events.jsonl", "--run", command, "--max-seconds", "2", "-o", "s.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "shrink.try_hung")
    assert "timeout" in ran.report["error"]["fix"]


@pytest.mark.parametrize(("text", "word"), [("", "holds no events"), ('{"kind":"nonsense"}\n', "line 1")])
def test_a_stream_that_cannot_be_read_is_refused(ergo: Ergo, tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "events.jsonl").write_text(text)
    ran = ergo("shrink", "events.jsonl", "--run", "false", "-o", "s.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "driver.input_invalid")
    assert word in ran.report["error"]["message"]


def test_compressed_streams_are_read_and_written(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl.gz").write_bytes(gzip.compress(many.read_bytes()))
    command = check(tmp_path, "sys.exit('e9' in ids)")
    assert ergo("shrink", "events.jsonl.gz", "--run", command, "-o", "s.jsonl.gz").exit_code == 0
    lines = gzip.decompress((tmp_path / "s.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line).get("event", {}).get("id") for line in lines] == [None, "e9"]


def test_the_best_so_far_is_kept_where_a_limit_is_reached(ergo: Ergo, many: Path, tmp_path: Path) -> None:
    command = check(tmp_path, "sys.exit({'e7', 'e60'} <= ids)")
    ran = ergo("shrink", "events.jsonl", "--run", command, "--max-tries", "6", "-o", "s.jsonl", "--format", "json")
    assert (ran.exit_code, ran.report["shrink"]["tries"], ran.report["shrink"]["stopped"]) == (0, 6, "max_tries")
    left = {each["event"]["id"] for each in records(tmp_path / "s.jsonl") if each["kind"] == "event"}
    assert {"e7", "e60"} < left
    assert ran.report["shrink"]["events"] == len(left) < 200


def test_the_best_so_far_is_written_whole_on_a_signal(
    many: Path, environment: dict[str, str], tmp_path: Path, ergo: Ergo
) -> None:
    body = "open('tries', 'a').write('x'); len(ids) < 20 and time.sleep(600); sys.exit('e9' in ids)"
    command = check(tmp_path, body)
    line = ("shrink", "events.jsonl", "--run", command, "-o", "s.jsonl")
    with working(tmp_path, environment, *line) as child:
        wait_until(
            lambda: len((tmp_path / "tries").read_text()) >= 3 if (tmp_path / "tries").exists() else False, child
        )
        child.send_signal(signal.SIGINT)
        shown, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert b"not the smallest: a signal stopped the search" in shown
    left = [each for each in records(tmp_path / "s.jsonl") if each["kind"] == "event"]
    assert "e9" in {each["event"]["id"] for each in left}
    assert [each for each in tmp_path.iterdir() if "tmp" in each.name] == []


def test_progress_shows_tries_on_a_terminal(environment: dict[str, str], many: Path, tmp_path: Path) -> None:
    command = check(tmp_path, "time.sleep(0.2); sys.exit({'e7', 'e60'} <= ids)")
    line = ["shrink", "events.jsonl", "--run", command, "-o", "s.jsonl"]
    shown = plain(on_terminal(line, {**environment, "TERM": "xterm"}, tmp_path, stream="stderr"))
    assert "200 parts left" in shown
    assert " runs, " in shown
