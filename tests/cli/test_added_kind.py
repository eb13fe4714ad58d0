"""A fifth kind of program, added from outside by an installed package: every command takes it, none knows it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import open_store
from tests.cli.started import ERGO, started, steps_in, wait_until

KIND = Path(__file__).parents[1] / "support" / "echo_kind.py"
PROGRAM = "from echo_kind import Echo\n\nprogram = Echo('talk'{more})\n"
EVENTS = "".join(
    json.dumps({"kind": "event", "event": {"type": "Command", "id": f"e{number}", "payload": {"word": word}}}) + "\n"
    for number, word in enumerate(("ahoy", "hoy", "oy"))
)


class Home:
    """A project with one program, and a package ``<name>_kind`` that adds its kind, installed beside it."""

    def __init__(
        self, folder: Path, name: str = "echo", kind: str = KIND.read_text(encoding="utf-8"), program: str = PROGRAM
    ) -> None:
        self._program = program
        self.folder = folder / "project"
        self.folder.mkdir()
        site = folder / "site"
        info = site / f"{name}_kind-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}_kind.py").write_text(kind, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-kind\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[ergo.kinds]\n{name} = {name}_kind:KIND\n")
        (self.folder / "ergo.toml").write_text(
            f'name = "talk"\nversion = "1"\n[profiles.default]\n{name} = "talk:program"\nfixture = "events.jsonl"\n'
        )
        (self.folder / "events.jsonl").write_text('{"kind":"episode_start","id":"d"}\n' + EVENTS)
        self.program()
        self.environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), "PYTHONPATH": str(site)}

    def program(self, more: str = "") -> None:
        (self.folder / "talk.py").write_text(self._program.format(more=more))

    def ergo(self, *arguments: str, code: int = 0, known: bool = True) -> str:
        environment = self.environment if known else {**self.environment, "PYTHONPATH": ""}
        done = subprocess.run(
            [ERGO, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def report(self, *arguments: str, code: int = 0, known: bool = True) -> Any:
        return json.loads(self.ergo(*arguments, "--format", "json", code=code, known=known).splitlines()[0])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.ergo("capture", "-o", "bundle.json")
    return home


def test_the_bundle_has_two_entries_an_episode_and_a_closing_one(home: Home):
    bundle = json.loads((home.folder / "bundle.json").read_text())
    assert bundle["capture_version"] == "v4"
    assert bundle["program"] == {"kind": "echo", "ref": "talk:program"}
    assert bundle["runtime_provenance"].startswith("xpv1:sha256:")
    assert [(entry["episode_id"], entry["run_id"]) for entry in bundle["journals"]] == [
        (0, "talk/e0"),
        (0, "talk/e0/answer"),
        (1, "talk/e1"),
        (1, "talk/e1/answer"),
        (2, "talk/e2"),
        (2, "talk/e2/answer"),
        (None, "echo"),
    ]
    assert bundle["journals"][-1]["records"][1] == {"answers": 3}


def test_the_least_kind_of_the_chapter_is_a_kind(tmp_path: Path):
    """Its code is that of ``docs/house.md``: it captures, replays, diffs, explains, inspects and validates."""
    page = (Path(__file__).parents[2] / "docs" / "house.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"`talk_kind\.py`.*?^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    home = Home(tmp_path, "talk", code, "from talk_kind import Talk\n\nprogram = Talk('talk', str.{more})\n")
    home.program("upper")
    home.ergo("capture", "-o", "bundle.json")
    entry = json.loads((home.folder / "bundle.json").read_text())["journals"][0]
    assert entry["records"][1] == {"said": "AHOY"}
    home.ergo("replay", "bundle.json", "--strict")
    home.ergo("diff", "bundle.json", "bundle.json")
    assert "AHOY" in home.ergo("explain", "bundle.json", "--event", "e0")
    home.ergo("inspect", "bundle.json")
    home.ergo("validate", "bundle.json")
    home.program("casefold")  # of another length: Python's cache of bytecode compares size and whole seconds
    [bundle] = home.report("replay", "bundle.json", code=1)["bundles"]
    assert bundle["divergence_count"] == 3


def test_a_second_capture_is_equal_to_the_byte(home: Home):
    home.ergo("capture", "-o", "again.json")
    assert (home.folder / "again.json").read_bytes() == (home.folder / "bundle.json").read_bytes()


def test_it_replays_strictly(home: Home):
    [bundle] = home.report("replay", "bundle.json", "--strict")["bundles"]
    assert (bundle["outcome"], bundle["events"], bundle["divergence_count"]) == ("match", 3, 0)


def test_a_changed_program_diverges_in_journal_and_effect(home: Home):
    home.program(", lambda word: word[::-1]")
    [bundle] = home.report("replay", "bundle.json", code=1)["bundles"]
    found = [(each["event_id"], each["kind"], each["path"]) for each in bundle["divergences"]]
    assert found[:2] == [
        ("e0", "journal", "journals[1].records[1]"),
        ("e0", "effect_changed", "effects[0].writes[0].value.String"),
    ]
    assert (bundle["divergence_count"], {event for event, _, _ in found}) == (6, {"e0", "e1", "e2"})
    assert bundle["levels"] == {"decision": 6, "evidence": 0, "timing": 0}, "the kind says nothing of levels"
    assert "program" in home.ergo("replay", "bundle.json", "--strict", code=4)


def test_a_killed_capture_is_recovered_without_its_closing_entry(home: Home):
    """SIGKILL comes when three steps are journalled; the driver ends with its host, so the program never closes."""
    driver = home.folder / "driver.py"
    driver.write_text(
        "import json, os, time\n"
        "host = os.getppid()\n"
        'print(json.dumps({"type": "hello", "protocol": "ergo-driver.v0"}), flush=True)\n'
        "for number, word in enumerate(('ahoy', 'hoy', 'oy')):\n"
        "    event = {'event_id': f'e{number}', 'kind': 'Command', 'at': [0, 0], 'semantic_kind': 'word',"
        " 'payload': {'word': word}}\n"
        "    print(json.dumps({'type': 'event', 'event': event}), flush=True)\n"
        "while os.getppid() == host:\n"
        "    time.sleep(0.05)\n"
    )
    adapter = home.folder / "adapter.yaml"
    adapter.write_text(
        "kind: adapter\nid: words\nversion: 1.0.0\nruntime_compatibility: 0.1.0-alpha.1\ncontext_keys: []\n"
        "event_kinds:\n  - name: word\n    payload_schema:\n      type: object\n      additionalProperties: false\n"
        "      properties:\n        word:\n          type: string\naccepts:\n  effects: []\n"
        "capture:\n  format_version: '1'\n  fields: []\n"
    )
    journal = home.folder / "crash.journal"
    child = started(
        home.folder,
        home.environment,
        *("capture", "-p", "default", "--driver-cmd", sys.executable, "--driver-arg", str(driver)),
        *("-a", str(adapter), "-o", "never.json", "--journal", str(journal)),
    )
    wait_until(lambda: steps_in(journal) == 3, child)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    home.ergo("recover", "crash.journal", "-o", "recovered.json")
    recovered = json.loads((home.folder / "recovered.json").read_text())
    assert [entry["episode_id"] for entry in recovered["journals"]] == [0, 0, 1, 1, 2, 2]
    [bundle] = home.report("replay", "recovered.json", "-p", "default", "-a", str(adapter), "--strict", code=1)[
        "bundles"
    ]
    [closing] = bundle["divergences"]
    assert (closing["seq"], closing["event_id"], closing["cause"]) == (3, None, "never_closed")


def test_a_journal_of_a_closed_program_is_recovered_whole(home: Home):
    """A crash after the last event: the journal holds the closing line, the bundle was never renamed into place."""
    plain = json.loads((home.folder / "bundle.json").read_text())
    journal = home.folder / "crash.journal"
    head = {
        "journal": "ergo.journal/2",
        **{name: plain[name] for name in ("graph_id", "config", "adapter_provenance", "runtime_provenance")},
        "egress_provenance": None,
        "program": plain["program"],
    }
    lines: list[Any] = [head]
    for place, (event, decision) in enumerate(zip(plain["events"], plain["decisions"], strict=True)):
        lines.append({"event": event, "decision": decision, "entries": plain["journals"][2 * place : 2 * place + 2]})
    lines.append({"closing": {"entries": plain["journals"][-1:]}})
    journal.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    home.ergo("recover", "crash.journal", "-o", "recovered.json")
    assert (home.folder / "recovered.json").read_bytes() == (home.folder / "bundle.json").read_bytes()


def test_two_bundles_are_compared_journal_by_journal(home: Home):
    home.ergo("capture", "-o", "same.json")
    assert home.report("diff", "bundle.json", "same.json")["outcome"] == "match"
    home.program(", str.upper")
    home.ergo("capture", "-o", "loud.json")
    [bundle] = home.report("diff", "bundle.json", "loud.json", code=1)["bundles"]
    journals = [each for each in bundle["divergences"] if each["kind"] == "journal"]
    assert [(each["expected"], each["actual"]) for each in journals] == [
        ({"said": word}, {"said": word.upper()}) for word in ("ahoy", "hoy", "oy")
    ]


def test_an_episode_is_explained_by_its_records(home: Home):
    episode = home.report("explain", "bundle.json", "--event", "e1")["episode"]
    assert [(node["impl"], node["outputs"]) for node in episode["nodes"]] == [
        ("heard", {"value": "hoy"}),
        ("said", {"value": "hoy"}),
    ]
    assert "talk/e1/answer" in home.ergo("explain", "bundle.json", "--event", "e1")


def test_a_kind_that_says_nothing_of_its_records_has_no_chain(home: Home):
    said = home.ergo("why", "bundle.json", "e1", code=3)
    assert "a echo program" in said
    assert "ergo explain BUNDLE --event ID" in said
    assert '"program.not_computed"' in home.ergo("why", "bundle.json", "e1", "--format", "json", code=3)


def test_it_is_inspected_with_its_closing_entry(home: Home):
    journals = home.report("inspect", "bundle.json")["inspect"]["journals"]
    assert journals == {"entries": 7, "calls": 7, "runs": 7, "records": {"answers": 1, "heard": 3, "said": 3}}


def test_it_is_validated_and_what_its_kind_refuses_is_refused(home: Home):
    [valid] = home.report("validate", "bundle.json")["files"]
    assert valid["outcome"] == "valid"
    bundle = json.loads((home.folder / "bundle.json").read_text())
    del bundle["journals"][1]
    (home.folder / "cut.json").write_bytes(_sealed(bundle))
    [invalid] = home.report("validate", "cut.json", code=3)["files"]
    assert [error["code"] for error in invalid["errors"]] == ["bundle.journal_invalid"]


def test_an_event_that_its_kind_does_not_admit_is_refused_before_anything_runs(home: Home):
    events = home.folder / "secret.jsonl"
    secret = {"kind": "event", "event": {"type": "Command", "id": "s", "payload": {"word": "secret"}}}
    events.write_text((home.folder / "events.jsonl").read_text() + json.dumps(secret) + "\n")
    error = home.ergo("capture", "secret.jsonl", "-o", "never.json", code=3)
    assert "secret.jsonl:5:1 event 's'" in error
    assert not (home.folder / "never.json").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("validate", "bundle.json"),
        ("replay", "bundle.json"),
        ("replay", "bundle.json", "--strict"),
        ("diff", "bundle.json", "bundle.json"),
        ("inspect", "bundle.json"),
        ("explain", "bundle.json", "--event", "e1"),
    ],
)
def test_without_the_package_its_bundle_is_refused_by_every_command(home: Home, command: tuple[str, ...]):
    (home.folder / "ergo.toml").unlink()
    error = home.report(*command, code=3, known=False)["error"]
    if error is None:
        [checked] = home.report(*command, code=3, known=False)["files"]
        [error] = checked["errors"]
    assert (error["code"], "'echo'" in error["message"]) == ("program.unknown_kind", True)
    assert error["where"].startswith("bundle.json")


@pytest.mark.parametrize("program", [None, {"kind": "graph", "ref": "ergo:schedule"}])
@pytest.mark.parametrize("command", ["validate", "replay", "diff", "inspect", "explain"])
def test_journals_that_no_kind_reads_are_refused(home: Home, command: str, program: object):
    """Also where the bundle names no program, which only an edited one does."""
    bundle = json.loads((home.folder / "bundle.json").read_text())
    (home.folder / "odd.json").write_bytes(_sealed({**bundle, "graph_id": "ergo:schedule", "program": program}))
    (home.folder / "ergo.toml").unlink()
    more = {"diff": ("odd.json",), "explain": ("--event", "e1")}.get(command, ())
    report = home.report(command, "odd.json", *more, code=3)
    errors = [report["error"], *(each["error"] for each in report.get("bundles", ()))]
    errors += [error for each in report.get("files", ()) for error in each["errors"]]
    assert "bundle.journal_invalid" in [error["code"] for error in errors if error is not None]


def test_a_diff_of_programs_of_two_kinds_says_that_it_left_journals_out(home: Home):
    bundle = json.loads((home.folder / "bundle.json").read_text())
    program = {"kind": "graph", "ref": "ergo:schedule"}
    (home.folder / "graph.json").write_bytes(_sealed({**bundle, "program": program, "journals": [], "artifacts": {}}))
    report = home.report("diff", "bundle.json", "graph.json", code=1)
    assert any("the journals were not compared" in warning for warning in report["bundles"][0]["warnings"])


def test_a_crash_journal_with_records_of_no_program_is_corrupt(home: Home):
    plain = json.loads((home.folder / "bundle.json").read_text())
    members = ("graph_id", "config", "adapter_provenance", "runtime_provenance")
    head = {"journal": "ergo.journal/2", **{name: plain[name] for name in members}, "egress_provenance": None}
    step = {"event": plain["events"][0], "decision": plain["decisions"][0], "entries": plain["journals"][:2]}
    journal = home.folder / "crash.journal"
    journal.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in (head, step)))
    error = home.report("recover", "crash.journal", "-o", "never.json", code=3)["error"]
    assert (error["code"], error["where"]) == ("journal.corrupt", "crash.journal:2:1")
    assert "names no program" in error["message"]
    journal.write_text(json.dumps({**head, "journal": "ergo.journal/1"}, separators=(",", ":")) + "\n")
    error = home.report("recover", "crash.journal", "-o", "never.json", code=3)["error"]
    assert (error["code"], error["fix"]) == ("journal.corrupt", "recover it with the version of ergo that wrote it")
    assert not (home.folder / "never.json").exists()


def test_a_profile_names_one_program_among_all_kinds(home: Home):
    toml = home.folder / "ergo.toml"
    toml.write_text(toml.read_text() + 'kernel = "talk:program"\n')
    error = home.report("capture", "-o", "never.json", code=3)["error"]
    assert (
        "must declare exactly one of graph, kernel, plan, pipeline, echo, but declares kernel and echo"
        in error["message"]
    )
    toml.write_text(toml.read_text().replace("kernel", "kermel").replace("echo", "ekko"))
    error = home.report("capture", "-o", "never.json", code=3)["error"]
    assert "but declares none" in error["message"]
    assert error["fix"].endswith("or install the package that adds the kind 'ekko' or 'kermel'")


RAISING = "class Kind:\n    def __getattr__(self, name):\n        raise RuntimeError(f'asked for {name}')\n"


@pytest.mark.parametrize(
    ("entry", "module", "why"),
    [
        ("echo = absent:KIND", "", "ModuleNotFoundError: No module named 'absent'"),
        ("echo = broken:KIND", "KIND = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("echo = broken:KIND", "", "AttributeError: module 'broken' has no attribute 'KIND'"),
        ("echo = broken:KIND", "KIND = object()\n", "'broken:KIND' is not a kind named 'echo'"),
        ("echo = broken:KIND", "raise BaseException('x')\n", "BaseException: x"),
        ("echo = broken:KIND", "raise SystemExit(3)\n", "SystemExit: 3"),
        ("echo = broken:KIND", "import asyncio\nraise asyncio.CancelledError('x')\n", "CancelledError: x"),
        ("echo = broken:KIND", "class E(Exception):\n    def __str__(self): raise ValueError\nraise E\n", "E"),
        ("echo = broken KIND", "", "AttributeError: 'NoneType' object has no attribute 'group'"),
        ("echo = broken:KIND", f"{RAISING}KIND = Kind()\n", "RuntimeError: asked for name"),
        ("echo = broken:KIND", f"{RAISING}KIND = Kind()\nKIND.name = 'echo'\n", "RuntimeError: asked for acting"),
        (
            "echo = broken:KIND",
            f"{RAISING}KIND = Kind()\nKIND.name = 'echo'\nKIND.acting = Kind()\n",
            "RuntimeError: asked for runs",
        ),
        ("echo = broken:KIND", "class KIND:\n    name = 'choe'\n", "'broken:KIND' is not a kind named 'echo'"),
    ],
)
def test_a_package_that_gives_no_kind_is_named(home: Home, entry: str, module: str, why: str):
    site = Path(home.environment["PYTHONPATH"])
    (site / "broken.py").write_text(module)
    (site / "echo_kind-1.0.dist-info" / "entry_points.txt").write_text(f"[ergo.kinds]\n{entry}\n")
    listed = home.report("runs", "list", "--store", f"sqlite:{_empty_store(home.folder)}")
    assert [f"cannot be used: {why}" in warning for warning in listed["warnings"]] == [True]
    for command in (("capture", "-o", "never.json"), ("replay", "bundle.json")):
        error = home.report(*command, code=3)["error"]
        assert error is not None, command
        assert error["code"] == "program.import_failed"
        assert error["message"] == f"the kind of program 'echo' of the package 'echo-kind' cannot be used: {why}"
        assert error["where"] == f"entry point '{entry}' of ergo.kinds"
        assert error["fix"]
    assert not (home.folder / "never.json").exists()


def _empty_store(folder: Path) -> Path:
    """A store of runs in which there are none."""
    place = folder / "runs.db"
    with open_store(f"sqlite:{place}", folder, lambda: 0, KERNEL_TABLES) as store:
        assert store.journal.head("nothing") == 0
    return place


def test_a_signal_while_a_kind_is_imported_interrupts_the_command(home: Home):
    site = Path(home.environment["PYTHONPATH"])
    begun = site / "begun"
    (site / "echo_kind.py").write_text(f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(60)\n")
    store = f"sqlite:{_empty_store(home.folder)}"
    child = started(home.folder, home.environment, "runs", "list", "--store", store)
    wait_until(begun.exists, child)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout, stderr) == (130, b"", b"interrupted\n")


CAPTURE, REPLAY = ("capture", "-o", "never.json"), ("replay", "bundle.json")
FAULTS = [
    (CAPTURE, "    def check(self, program: Echo, around: Surroundings)", "of the check"),
    (CAPTURE, "    def invoker(self, program: Echo, seat: Seat)", "of the invoker"),
    (CAPTURE, "    def admit(self, program: Echo, event: HostedEvent)", "of an event"),
    (CAPTURE, "    def run(self, graph_id: str, event_id: str, context: Context", "of a run"),
    (CAPTURE, "    def close(self, interrupted: bool)", "of the end"),
    (REPLAY, "    def referee(self, program: Echo", "of the referee"),
    (REPLAY, "    def finding(self, recorded: RunTermination", "of the finding"),
    ((*REPLAY, "bundle.json", "--jobs", "2"), "    def finding(self, recorded: RunTermination", "in a process"),
    (REPLAY, "    def episode(self, entries: Sequence[RecordedEntry])", "of the reader"),
    (("diff", "bundle.json", "again.json"), "    def compare(self, a: Episode", "of the comparison"),
    (("explain", "bundle.json", "--event", "e1"), "    def line(self, record: bytes)", "of a line"),
    (("inspect", "bundle.json"), "    def line(self, record: bytes)", "of a line"),
    (("validate", "bundle.json"), "    def episode(self, entries: Sequence[RecordedEntry])", "of the reader"),
]


@pytest.mark.parametrize(("command", "method", "why"), FAULTS)
def test_what_the_code_of_a_kind_raises_names_the_kind_and_the_line(
    home: Home, command: tuple[str, ...], method: str, why: str
):
    home.program(", str.upper")
    home.ergo("capture", "-o", "again.json")
    code = KIND.read_text()
    begin = code.index(method)
    body = code.index(":\n", code.index(")", begin)) + 2
    module = Path(home.environment["PYTHONPATH"]) / "echo_kind.py"
    module.write_text(f"{code[:body]}        raise LookupError({why!r})\n{code[body:]}")
    line = code[:body].count("\n") + 1
    error = home.report(*command, code=70)["error"]
    assert error["code"] == "internal.error"
    assert error["message"] == f"the kind of program 'echo' of the package 'echo-kind' failed: LookupError: {why}"
    assert error["where"] == f"{module}:{line}"
    assert error["fix"] == "correct the code there, or report it to the authors of the package 'echo-kind'"
    assert not (home.folder / "never.json").exists()


def test_what_a_program_of_the_kind_raises_names_the_user_s_line(home: Home):
    home.program(", lambda word: word[9]")
    error = home.report("capture", "-o", "never.json", code=70)["error"]
    assert error["message"] == (
        "the kind of program 'echo' of the package 'echo-kind' failed: IndexError: string index out of range"
    )
    assert error["where"] == f"{home.folder}/talk.py:3"
    text = home.ergo("capture", "-o", "never.json", code=70)
    assert "\nerror: talk.py:3  the kind of program 'echo' of the package 'echo-kind' failed: IndexError: " in text


def test_a_kind_that_lacks_a_member_is_named(home: Home):
    module = Path(home.environment["PYTHONPATH"]) / "echo_kind.py"
    module.write_text(KIND.read_text().replace("def admit(", "def admits("))
    error = home.report("capture", "-o", "never.json", code=70)["error"]
    assert error["message"] == (
        "the kind of program 'echo' of the package 'echo-kind' failed: "
        "AttributeError: 'EchoActing' object has no attribute 'admit'"
    )
    assert error["where"] == "entry point 'echo = echo_kind:KIND' of ergo.kinds"


def test_a_defect_of_ergo_is_not_blamed_on_a_kind_that_took_no_part(home: Home):
    program = home.folder / "talk.py"
    program.write_text("raise SystemExit('early')\n" + program.read_text())
    assert "echo-kind" not in home.ergo("capture", "-o", "never.json", code=3)


def _sealed(tree: dict[str, Any]) -> bytes:
    """The text of a v4 bundle with a digest that fits again."""
    members = {name: member for name, member in tree.items() if name != "digest"}
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    return text + b',"digest":"sha256:%b"}\n' % sha256(text).hexdigest().encode()
