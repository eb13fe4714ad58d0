"""``ergo capture --verify``: a bundle is moved into place only if other processes, in other surroundings, prove it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"

PROJECT = """
name = "thermostat"
version = "1.0.0"
primitives = "rules"

[profiles.default]
graph = "graph.yaml"
adapter = "adapter.yaml"
fixture = "readings.jsonl"
"""
GRAPH = """
kind: cluster
id: thermostat
version: "1.0.0"

nodes:
  reading: { impl: context_number_source@^0.1, params: { key: degrees } }
  corrected: { impl: corrected@^1.0 }
  shifted: { impl: shifted@^1.0 }
  always: { impl: const_bool@^0.1, params: { value: true } }
  each: { impl: emit_if_true@^0.1 }
  remember: { impl: context_set_number@^0.1, params: { key: level } }

edges:
  - reading.value -> corrected.degrees
  - corrected.result -> shifted.degrees
  - always.value -> each.input
  - each.event -> remember.event
  - shifted.result -> remember.value

outputs:
  level: shifted.result
"""
ADAPTER = """
kind: adapter
id: sensors
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - { name: degrees, type: Number, required: false, writable: false }
  - { name: level, type: Number, required: false, writable: true }
event_kinds:
  - name: reading
    payload_schema:
      type: object
      properties: { degrees: { type: number }, level: { type: number } }
      required: [degrees]
      additionalProperties: false
accepts:
  effects:
    - name: set_context
      payload_schema: { type: object, additionalProperties: false }
capture:
  format_version: "1"
  fields: [event.reading, meta.adapter_id]
"""
RULES = """
from ergo_cli.primitives import compute
{before}

@compute("corrected", "1.0.0")
def corrected(degrees: float) -> float:
    return degrees + ({added})


@compute("shifted", "1.0.0")
def shifted(degrees: float) -> float:
    return degrees - 0.5
"""


class Impurity(NamedTuple):
    """What is added to a reading, and what the module does before, when it is imported."""

    added: str
    before: str = ""


PURE = Impurity("0.25")
SURROUNDINGS = {
    "the order of a set": Impurity("list({'far', 'near', 'level', 'rising', 'falling'}).index('level')"),
    "hash()": Impurity("hash('level') % 1000"),
    "the time zone": Impurity("time.localtime(0).tm_hour", "import time"),
    "the working folder": Impurity("len(os.getcwd())", "import os"),
    "the locale": Impurity("len(os.environ['LC_ALL'])", "import os"),
}
COUNTER = "from itertools import count\nCALLS = count()"
MEMORIES = {
    "a counter of the module": Impurity("next(CALLS)", COUNTER),
    "a counter that begins anew with every third event": Impurity("next(CALLS) % 3", COUNTER),
    "a list that grows": Impurity("SEEN.append(degrees) or len(SEEN)", "SEEN = []"),
}
KNOWN = {"PYTHONHASHSEED": "0", "TZ": "UTC0", "LC_ALL": "C.UTF-8"}
"""Where the captures of these tests are made: what differs from it differs in every run of the tests."""


def let_it_add(home: Path, impurity: Impurity) -> None:
    """Write the primitives of the project so that a reading depends on ``impurity``."""
    (home / "rules.py").write_text(RULES.format(added=impurity.added, before=impurity.before))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project with primitives of its own, which are pure."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "ergo.toml").write_text(PROJECT)
    (home / "graph.yaml").write_text(GRAPH)
    (home / "adapter.yaml").write_text(ADAPTER)
    events = (
        {"type": "DataAvailable", "id": f"r{n}", "semantic_kind": "reading", "payload": {"degrees": 20.0 + n}}
        for n in range(6)
    )
    records = [{"kind": "episode_start", "id": "day"}, *({"kind": "event", "event": event} for event in events)]
    (home / "readings.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    let_it_add(home, PURE)
    return home


def test_a_program_that_holds_is_captured_as_without_the_option(ergo: Ergo, home: Path) -> None:
    plain = ergo("capture", "-o", "plain.json", cwd=home)
    verified = ergo("capture", "-o", "verified.json", "--verify", cwd=home)
    assert (plain.exit_code, verified.exit_code) == (0, 0)
    assert (home / "verified.json").read_bytes() == (home / "plain.json").read_bytes()
    assert verified.stdout == plain.stdout.replace("bundle  plain.json", "bundle    verified.json") + (
        "  verified  replayed in two other processes\n"
    )
    assert not list(home.glob("*.partial.json"))


def test_the_report_of_a_bundle_that_holds_has_its_replay(ergo: Ergo, home: Path) -> None:
    report = ergo("capture", "-o", "b.json", "--verify", "--format", "json", cwd=home).report
    assert (report["outcome"], report["run"]["bundle"]) == ("completed", "b.json")
    [bundle] = report["bundles"]
    assert (bundle["path"], bundle["outcome"], bundle["divergence_count"]) == ("b.json", "match", 0)


@pytest.mark.parametrize("impurity", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_what_depends_on_its_surroundings_is_found(ergo: Ergo, home: Path, impurity: Impurity) -> None:
    let_it_add(home, impurity)
    done = ergo("capture", "-o", "b.json", "--verify", "--format", "json", cwd=home, **KNOWN)
    assert done.exit_code == 1, done.stdout
    report = done.report
    assert (report["outcome"], report["exit_code"], report["error"]) == ("diverged", 1, None)
    assert report["run"]["bundle"] == "b.partial.json"
    assert (home / "b.partial.json").is_file()
    assert not (home / "b.json").exists()
    [bundle] = report["bundles"]
    first = bundle["divergences"][0]
    assert (first["event_id"], first["node"], first["origin"]) == ("r0", "remember", "corrected")
    assert first["expected"] != first["actual"]
    assert "by another process, in another folder" in bundle["warnings"][-1]


@pytest.mark.parametrize("impurity", MEMORIES.values(), ids=MEMORIES)
def test_what_a_program_remembers_beside_its_context_is_found(ergo: Ergo, home: Path, impurity: Impurity) -> None:
    let_it_add(home, impurity)
    assert ergo("capture", "-o", "plain.json", cwd=home).exit_code == 0
    assert ergo("replay", "plain.json", "--strict", cwd=home).exit_code == 0, "one replay alone does not show it"
    done = ergo("capture", "-o", "b.json", "--verify", "--format", "json", cwd=home)
    assert done.exit_code == 1, done.stdout
    [bundle] = done.report["bundles"]
    first = bundle["divergences"][0]
    assert (bundle["outcome"], first["event_id"], first["node"]) == ("diverged", "r0", "remember")
    assert "by a process that had replayed it before" in bundle["warnings"][-1]
    assert not (home / "b.json").exists()


def test_the_text_says_what_differs_where_and_where_the_bundle_is(ergo: Ergo, home: Path) -> None:
    let_it_add(home, Impurity("time.localtime(0).tm_hour", "import time"))
    done = ergo("capture", "-o", "b.json", "--verify", cwd=home, **KNOWN)
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout == (
        "not deterministic  b.partial.json  6 of 6 decisions\n"
        "replayed   by another process, in another folder\n"
        "           PYTHONHASHSEED=1 TZ=ERGO-5:45 LC_ALL=C\n"
        "\n"
        "decision 0  event r0\n"
        "  ~ level  19.5 -> 24.5  set_context by remember\n"
        "  because   the graph is the captured one: the code of an own primitive decides otherwise\n"
        "            corrected is the first node that differs\n"
        "\n"
        "closer     ergo why b.partial.json r0\n"
        "kept       b.partial.json\n"
        "unchanged  b.json\n"
    )


def test_an_older_bundle_stays_as_it_was(ergo: Ergo, home: Path) -> None:
    assert ergo("capture", "-o", "b.json", "--verify", cwd=home).exit_code == 0
    before = (home / "b.json").read_bytes()
    let_it_add(home, SURROUNDINGS["the working folder"])
    assert ergo("capture", "-o", "b.json", "--verify", cwd=home).exit_code == 1
    assert (home / "b.json").read_bytes() == before
    assert (home / "b.partial.json").read_bytes() != before
    let_it_add(home, Impurity("2.0"))
    assert ergo("capture", "-o", "b.json", "--verify", cwd=home).exit_code == 0
    assert (home / "b.json").read_bytes() != before
    assert not (home / "b.partial.json").exists()


@pytest.mark.parametrize("suffix", [".json.gz", ".json.zst"])
def test_a_compressed_bundle_is_verified_under_its_suffix(ergo: Ergo, home: Path, suffix: str) -> None:
    assert ergo("capture", "-o", f"good{suffix}", "--verify", cwd=home).exit_code == 0
    assert ergo("replay", f"good{suffix}", "--strict", cwd=home).exit_code == 0
    let_it_add(home, SURROUNDINGS["the working folder"])
    assert ergo("capture", "-o", f"bad{suffix}", "--verify", cwd=home).exit_code == 1
    assert [path.name for path in home.glob("bad*")] == [f"bad.partial{suffix}"]


def test_a_link_is_followed(ergo: Ergo, home: Path) -> None:
    (home / "kept").mkdir()
    (home / "b.json").symlink_to("kept/real.json")
    assert ergo("capture", "-o", "b.json", "--verify", cwd=home).exit_code == 0
    assert (home / "b.json").is_symlink()
    assert (home / "kept" / "real.json").is_file()


def test_programs_named_by_relative_options_are_found_again(ergo: Ergo, home: Path) -> None:
    shutil.move(home / "ergo.toml", home / "project.toml")
    shutil.copytree(FIXTURES / "order_threshold", home / "shop")
    [graph] = (home / "shop" / "graphs").glob("*.yaml")
    [adapter] = (home / "shop" / "adapters").glob("*.yaml")
    [events] = (home / "shop" / "events").glob("*.jsonl")
    words = [path.relative_to(home) for path in (events, graph, adapter)]
    done = ergo("capture", words[0], "-g", words[1], "-a", words[2], "-o", "b.json", "--verify", cwd=home)
    assert done.exit_code == 0, done.stdout + done.stderr
    below = ergo("capture", "-p", "default", "--project", "shop", "-o", "c.json", "--verify", cwd=home)
    assert below.exit_code == 0, below.stdout + below.stderr


def test_a_relative_python_path_is_found_again(ergo: Ergo, home: Path) -> None:
    (home / "shared").mkdir()
    (home / "shared" / "offsets.py").write_text("OFFSET = 0.25\n")
    let_it_add(home, Impurity("OFFSET", "from offsets import OFFSET"))
    done = ergo("capture", "-o", "b.json", "--verify", cwd=home, PYTHONPATH="shared")
    assert done.exit_code == 0, done.stdout + done.stderr


def test_a_program_that_cannot_be_imported_elsewhere_is_not_verified(ergo: Ergo, home: Path) -> None:
    (home / "offset.txt").write_text("0.25")
    let_it_add(home, Impurity("OFFSET", "OFFSET = float(open('offset.txt').read())"))
    done = ergo("capture", "-o", "b.json", "--verify", "--format", "json", cwd=home)
    assert done.exit_code == 1
    report = done.report
    assert (report["outcome"], report["error"]["code"]) == ("refused", "capture.not_verified")
    [cause] = report["error"]["causes"]
    assert cause["code"] == "primitive.import_failed"
    assert cause["where"] == f"{home / 'rules.py'}:3"
    assert report["run"]["bundle"] == "b.partial.json"
    assert not (home / "b.json").exists()


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"),
        ("os._exit(3)", "ended with code 3"),
        ("os._exit(0)", "ended with code 0"),
    ],
)
def test_a_process_that_dies_is_named(ergo: Ergo, home: Path, death: str, how: str) -> None:
    dying = f"import os, signal\nif os.getcwd() != HOME:\n    {death}"
    let_it_add(home, Impurity("0.25", f"HOME = {str(home)!r}\n{dying}"))
    done = ergo("capture", "-o", "b.json", "--verify", cwd=home)
    assert done.exit_code == 1
    assert done.stdout == "not verified  b.partial.json\nkept       b.partial.json\nunchanged  b.json\n"
    assert f"could not be verified: the process that replayed it {how}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "b.json").exists()


def test_what_the_program_prints_is_no_answer(ergo: Ergo, home: Path) -> None:
    noise = "import os\nprint('hello')\nos.write(1, b'raw')"
    let_it_add(home, Impurity("0.25", noise))
    assert ergo("capture", "-o", "b.json", "--verify", cwd=home).exit_code == 0


def test_a_signal_ends_the_verification_and_keeps_the_bundle_beside(
    home: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    mark = tmp_path / "begun"
    hanging = f"import os, pathlib, time\nif os.getcwd() != {str(home)!r}:\n    pathlib.Path({str(mark)!r}).touch()"
    let_it_add(home, Impurity("0.25", f"{hanging}\n    time.sleep(600)"))
    command = [str(Path(sys.executable).with_name("ergo")), "capture", "-o", "b.json", "--verify"]
    child = subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not mark.exists():
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, complaints = child.communicate(timeout=60)
    assert (child.returncode, complaints) == (130, b"interrupted\n")
    assert (home / "b.partial.json").is_file()
    assert not (home / "b.json").exists()


def test_a_run_that_reaches_a_bound_is_verified(ergo: Ergo, home: Path) -> None:
    assert ergo("capture", "-o", "b.json", "--verify", "--max-events", "3", cwd=home).exit_code == 0
    assert (home / "b.json").is_file()


def test_standard_output_is_refused(ergo: Ergo, home: Path) -> None:
    done = ergo("capture", "-o", "-", "--verify", cwd=home)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--verify keeps only a bundle that holds" in done.stderr


def test_a_project_beside_the_events_is_not_trusted_more_than_before(ergo: Ergo, home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    imported = ergo("capture", "../home/readings.jsonl", "-o", "b.json", "--verify", cwd=elsewhere)
    assert imported.exit_code == 3
    assert "is not imported" in imported.stderr
    assert not list(elsewhere.iterdir())
    stranger = tmp_path / "stranger"
    shutil.copytree(FIXTURES / "order_threshold", stranger)
    [events] = (stranger / "events").glob("*.jsonl")
    done = ergo(
        "capture", os.path.relpath(events, elsewhere), "-p", "default", "-o", "c.json", "--verify", cwd=elsewhere
    )
    assert done.exit_code == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fixture", ["agent", "orders", "settlement", "own_primitives", "rate_limited", "boiler_alarm"])
def test_every_project_of_the_fixtures_holds(ergo: Ergo, tmp_path: Path, fixture: str) -> None:
    home = Path(shutil.copytree(FIXTURES / fixture, tmp_path / fixture))
    done = ergo("capture", "-o", "new.json", "--verify", cwd=home)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "verified  replayed in two other processes" in done.stdout


def test_a_step_function_that_remembers_is_found(ergo: Ergo, tmp_path: Path) -> None:
    home = Path(shutil.copytree(FIXTURES / "agent", tmp_path / "agent"))
    module = home / "refunds" / "agent.py"
    text = module.read_text().replace("\n\ndef step", "\n\nASKED = []\n\n\ndef step", 1)
    text = text.replace(
        '        return Do(CallLLM("assessor"', '        ASKED.append(prompt)\n        return Do(CallLLM("assessor"', 1
    )
    module.write_text(text.replace("How likely is", "Number {len(ASKED)}. How likely is", 1))
    assert ergo("capture", "-o", "plain.json", cwd=home).exit_code == 0
    assert ergo("replay", "plain.json", "--strict", cwd=home).exit_code == 0, "one replay alone does not show it"
    done = ergo("capture", "-o", "b.json", "--verify", cwd=home)
    assert done.exit_code == 1, done.stdout + done.stderr
    assert "replayed   by a process that had replayed it before" in done.stdout
    assert "Number 0. How likely" in done.stdout
    assert "Number 5. How likely" in done.stdout
    assert not (home / "b.json").exists()
