"""``ergo graph`` of pipelines and of what bundles record of them: processes, real bundles, counts made by hand."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import xml.etree.ElementTree as ET
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli.pipeline_projects import BUNDLE, KEPT, ORDERS, Home, edit, orders, records
from tests.cli.terminals import on_terminal
from tests.conftest import Ergo

AGENT = ORDERS.parent / "agent"
THRESHOLD = ORDERS.parent / "order_threshold"
HOSTILE = 'a"];b-->c<script>alert(1)</script>`%%#|&lt;\\é'
PROGRAM_TEXT = """\
pipeline orders: 6 stages, 5 edges
stage      type           reads
catalogue  finite_source
orders     finite_source
check      transform      orders
price      join           catalogue, check
baskets    stateful       price
till       sink           baskets
"""
# Two articles and six orders. `check` refuses the one of "two" pieces and marks the one of 500, so that it passes on
# four and the marked one. `price` reads both articles and those five, and writes four lines and the marked one. Two
# customers check out, one leaves a basket behind: `baskets` writes three. The till leaves three receipts, one of them,
# of a card that is declined, for a basket that was not delivered.
RUN_TEXT = """\
pipeline orders: completed, 6 stages, 5 edges
stage      type           outcome                 wrote  marked  undelivered  error rows  reads
catalogue  finite_source  completed                   2       0            0           0
orders     finite_source  completed                   6       0            0           0
check      transform      completed, with errors      5       1            0           1  orders 6
price      join           completed                   5       0            0           0  catalogue 2, check 5
baskets    stateful       completed                   3       0            0           0  price 5
till       sink           completed, with errors      3       0            1           1  baskets 3
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def rows(text: str) -> dict[str, str]:
    """The rows of a picture as text, by stage, each with single spaces."""
    lines = (line.split() for line in text.splitlines()[2:])
    return {name: " ".join(others) for name, *others in lines}


# --- programs


def test_the_program_of_the_profile_and_of_the_option(ergo: Ergo) -> None:
    for arguments in ((), ("-p", "default"), ("-P", "orders.pipeline:program")):
        ran = ergo("graph", *arguments, cwd=ORDERS)
        assert (ran.exit_code, ran.stdout, ran.stderr) == (0, PROGRAM_TEXT, "")
    assert ergo("graph", "--project", ORDERS).stdout == PROGRAM_TEXT


def test_stages_show_what_carries_them_out_on_request(ergo: Ergo) -> None:
    shown = ergo("graph", "--show-impl", "--show-runtime-id", cwd=ORDERS).stdout
    assert rows(shown)["price"] == "join stage_4TZTCJEM0SM0VSMC0WEZ41NKDF join@1 catalogue, check"


def test_the_executors_of_effects_are_not_imported(ergo: Ergo, tmp_path: Path) -> None:
    project = orders(tmp_path)
    (project / "orders" / "world.py").write_text("raise RuntimeError('no world')\n")
    assert ergo("graph", cwd=project).stdout == PROGRAM_TEXT


def test_a_graph_of_a_profile_is_drawn_like_its_file(ergo: Ergo) -> None:
    file = THRESHOLD / "graphs" / "order_threshold.yaml"
    for form in ("text", "dot", "mermaid"):
        options = ("--as", form, "--show-ports", "--show-impl")
        assert ergo("graph", *options, cwd=THRESHOLD).stdout == ergo("graph", file, *options).stdout != ""


def test_five_hundred_stages(ergo: Ergo, home: Home) -> None:
    middle = [f'transform("t{number}", same)' for number in range(498)]
    home.program('source("first")', *middle, 'sink("last", same)', handlers="def same(event): return [event]")
    text = ergo("graph", cwd=home.root).stdout
    names = [line.split()[0] for line in text.splitlines()[2:]]
    assert names == ["first", *(f"t{number}" for number in range(498)), "last"]
    assert ergo("graph", "--as", "dot", cwd=home.root).stdout.count(" -> ") == 499
    assert ergo("graph", "--as", "mermaid", cwd=home.root).stdout.count(" --> ") == 499


# --- bundles


def test_a_bundle_as_text(ergo: Ergo) -> None:
    ran = ergo("graph", KEPT, cwd=ORDERS)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, RUN_TEXT, "")


def test_a_bundle_as_dot(ergo: Ergo) -> None:
    drawn = ergo("graph", KEPT, "--as", "dot", cwd=ORDERS).stdout
    labels = dict(re.findall(r'^  "(s\d)" \[label="((?:[^"\\]|\\.)*)"', drawn, re.MULTILINE))
    assert labels == {
        "s0": r"catalogue\ncompleted\nwrote 2",
        "s1": r"orders\ncompleted\nwrote 6",
        "s2": r"check\ncompleted, with errors\nwrote 5, marked 1, error rows 1",
        "s3": r"price\ncompleted\nwrote 5",
        "s4": r"baskets\ncompleted\nwrote 3",
        "s5": r"till\ncompleted, with errors\nwrote 3, undelivered 1, error rows 1",
    }
    edges = re.findall(r'"(s\d)" -> "(s\d)" \[label="(\d)"\]', drawn)
    assert edges == [(*["s0", "s3"], "2"), ("s1", "s2", "6"), ("s2", "s3", "5"), ("s3", "s4", "5"), ("s4", "s5", "3")]
    colors = dict(re.findall(r'"(s\d)" .*fillcolor="(#\w+)"', drawn))
    assert colors["s2"] == colors["s5"] != colors["s0"] == colors["s1"] == colors["s3"] == colors["s4"]
    assert '  label="orders: completed"\n' in drawn


def test_a_bundle_as_mermaid(ergo: Ergo) -> None:
    drawn = ergo("graph", KEPT, "--as", "mermaid", cwd=ORDERS).stdout.splitlines()
    assert drawn[:3] == [
        "flowchart TB",
        '  subgraph program ["orders: completed"]',
        '    s0["catalogue<br/>completed<br/>wrote 2"]',
    ]
    assert '  s0 -->|"2"| s3' in drawn
    assert drawn[-4:] == [
        "  classDef completed fill:#e8f5e9,stroke:#2f7d32",
        "  class s0,s1,s3,s4 completed",
        "  classDef with_errors fill:#fff8e1,stroke:#e65100",
        "  class s2,s5 with_errors",
    ]


def test_a_bundle_on_standard_input_and_compressed(ergo: Ergo, tmp_path: Path) -> None:
    kept = (ORDERS / KEPT).read_bytes()
    (tmp_path / "m.json.gz").write_bytes(gzip.compress(kept))
    assert ergo("graph", "-", stdin=kept).stdout == ergo("graph", "m.json.gz").stdout == RUN_TEXT


def test_the_report_has_the_picture(ergo: Ergo) -> None:
    report = ergo("graph", KEPT, "--format", "json", cwd=ORDERS).report
    assert report["graph"] == {"graph_id": "orders", "as": "text", "output": None, "text": RUN_TEXT}


def test_nothing_is_imported_for_a_bundle(ergo: Ergo, tmp_path: Path) -> None:
    project = orders(tmp_path)
    for file in (project / "orders").glob("*.py"):
        file.write_text("print('imported')\nraise RuntimeError('imported')\n")
    for folder in (project, tmp_path):
        ran = ergo("graph", project / KEPT, cwd=folder)
        assert (ran.exit_code, ran.stdout, ran.stderr) == (0, RUN_TEXT, "")
    (project / "ergo.toml").unlink()
    assert ergo("graph", project / KEPT).stdout == RUN_TEXT


def test_the_counts_are_those_that_stages_record(ergo: Ergo, home: Home) -> None:
    """Each stage says at its end how many errors it met: an account that the picture does not read."""
    handlers = """
def first(event):
    if event.payload["n"] % 2 == 0:
        raise HandlerError("even", "Domain")
    return [event]
def second(event):
    if event.payload["n"] % 3 == 0:
        raise HandlerError("threefold", "Validation")
    if event.payload["n"] % 5 == 0:
        raise HandlerError("fivefold", "Timeout")
    return [event, event.failed("own", "Domain")]
def last(event):
    if event.payload["n"] == 7:
        raise HandlerError("seven", "Remote")
"""
    stages = ('source("in")', 'transform("left", first)', 'transform("right", second)', 'transform("both", second)')
    home.program(
        *stages,
        'sink("out", last)',
        handlers=handlers,
        edges="in>left in>right left>both right>both both>out",
    )
    home.events(*({"n": number} for number in range(1, 31)))
    bundle = home.capture(ergo)
    names = {
        event["stage_id"]: event["metrics"]["errors_total"]
        for entry in bundle["journals"]
        for event in records(entry, "system")
        if event.get("lifecycle_event") == "completed"
    }
    [manifest] = bundle["artifacts"].values()
    recorded = {
        name: names[stage["stage_id"].removeprefix("stage_")] for name, stage in manifest["json"]["stages"].items()
    }
    text = ergo("graph", BUNDLE, cwd=home.root).stdout
    header = text.splitlines()[1].replace("error rows", "error_rows").split()
    shown = {}
    for line in text.splitlines()[2:]:
        name, _, *cells = line.replace("completed, with errors", "with_errors").split()
        row = dict(zip(header[2:], cells, strict=False))
        shown[name] = int(row["marked"]) + int(row["error_rows"])
    assert shown == recorded
    assert shown["left"] == 15
    assert shown["both"] > 0


# --- outcomes

BOOM = """
def boom(event):
    if event.payload["n"] == 3:
        raise RuntimeError("boom")
    return [event]
def take(event): pass
"""


def test_a_stage_that_fails(ergo: Ergo, home: Home) -> None:
    home.program('source("a")', 'transform("b", boom)', 'sink("c", take)', handlers=BOOM)
    home.events({"n": 1}, {"n": 2}, {"n": 3}, {"n": 4})
    home.capture(ergo)
    text = ergo("graph", BUNDLE, cwd=home.root).stdout
    assert text.startswith("pipeline orders: failed, 3 stages, 2 edges\n")
    assert rows(text) == {
        "a": "finite_source cancelled 3",
        "b": "transform failed 2 a 2 of 3",
        "c": "sink cancelled 2 b 2",
    }
    assert '"s0" -> "s1" [label="2 of 3"]' in ergo("graph", BUNDLE, "--as", "dot", cwd=home.root).stdout


def test_a_recovered_bundle_still_runs(ergo: Ergo, home: Home) -> None:
    home.program('source("a")', 'sink("c", act)', handlers=ACT, more='effects={"world.stop": "world:stop"}')
    home.world("import os\ndef stop(given, call):\n    os._exit(9) if given['n'] == 3 else None\n    return None\n")
    assert ergo("capture", "--journal", "day.log", cwd=home.root).exit_code == 9
    assert ergo("recover", "day.log", "-o", "recovered.json", cwd=home.root).exit_code == 0
    text = ergo("graph", "recovered.json", cwd=home.root).stdout
    assert text.startswith("pipeline orders: running, 2 stages, 1 edge\n")
    assert rows(text) == {"a": "finite_source running 2", "c": "sink running 2 a 2"}


ACT = "def act(event, effects):\n    effects.perform('world.stop', event.payload, key='k')\n"


def test_no_stage_runs_in_a_flow_that_its_deadline_ended(ergo: Ergo, home: Home) -> None:
    """How far the flow came depends on the machine, and so does which of the two each stage is."""
    handlers = "from threading import Event as Never\ndef act(event):\n    Never().wait(0.05)\n"
    home.program('source("a")', 'sink("c", act)', handlers=handlers)
    home.capture(ergo, "--deadline", "1ms")
    text = ergo("graph", BUNDLE, cwd=home.root).stdout
    assert text.startswith("pipeline orders: cancelled, ")
    assert {row.split(maxsplit=1)[1][:7] for row in rows(text).values()} <= {"cut off", "not sta"}


def test_a_flow_that_was_never_started(ergo: Ergo, home: Home) -> None:
    home.program('source("a")', 'sink("c", act)', handlers="def act(event): pass")
    home.capture(ergo, "--deadline", "0s")
    text = ergo("graph", BUNDLE, cwd=home.root).stdout
    assert text.startswith("pipeline orders: not started, ")
    assert rows(text) == {"a": "finite_source not started", "c": "sink not started a 0"}


def test_a_join_that_waits_has_not_read_all(ergo: Ergo, home: Home) -> None:
    """The stream is read when the reference has ended; killed before, one event of it is still unread."""
    row = "lambda each: each.payload['k']"
    home.program(
        'source("ref")',
        'source("str")',
        f'join("j", "ref", "str", inner("ref", {row}, {row}, lambda r, s: s))',
        'sink("out", lambda event: None)',
        edges="ref>j str>j j>out",
    )
    home.events({"source": "str", "k": 1}, {"source": "ref", "k": 1})
    bundle = home.capture(ergo)
    assert rows(ergo("graph", BUNDLE, cwd=home.root).stdout)["j"] == "join completed 1 ref 1, str 1"
    assert bundle["journals"].pop()["episode_id"] is None
    without_digest(home.root / "cut.json", bundle)
    assert rows(ergo("graph", "cut.json", cwd=home.root).stdout)["j"] == "join running 0 ref 1, str 0 of 1"


def without_digest(file: Path, bundle: Any) -> None:
    """Write a bundle that was edited, with the digest that it then has (00 §12.4)."""
    del bundle["digest"]
    text = json.dumps(bundle, separators=(",", ":"), ensure_ascii=False)[:-1]
    file.write_text(f'{text},"digest":"sha256:{sha256(text.encode()).hexdigest()}"}}\n')


def test_colours_on_a_terminal_come_with_words(environment: dict[str, str]) -> None:
    wide = {**environment, "COLUMNS": "160", "TERM": "xterm-256color"}
    shown = on_terminal(["graph", KEPT], wide, ORDERS)
    assert re.search(r"\x1b\[1;32m *completed *\x1b\[0m", shown)
    assert re.search(r"\x1b\[1;31m *completed, with errors *\x1b\[0m", shown)
    without = on_terminal(["graph", KEPT], {**wide, "NO_COLOR": "1"}, ORDERS)
    assert "completed, with errors" in without
    assert "\x1b[1;3" not in without


# --- names that could act


@pytest.fixture
def hostile(home: Home) -> Home:
    handlers = "def same(event): return [event]\ndef take(event): pass"
    home.program('source("x")', 'transform("y", same)', 'sink("end", take)', handlers=handlers)
    edit(home.root / "own.py", 'source("x")', f"source({HOSTILE!r})")
    edit(home.root / "own.py", "('x', 'y')", f"({HOSTILE!r}, 'y')")
    return home


@pytest.mark.parametrize("of", ["program", "bundle"])
def test_hostile_names_act_in_no_form(ergo: Ergo, hostile: Home, of: str) -> None:
    if of == "bundle":
        hostile.capture(ergo)
    named = (BUNDLE,) if of == "bundle" else ()
    assert HOSTILE in ergo("graph", *named, cwd=hostile.root).stdout
    dot = ergo("graph", *named, "--as", "dot", cwd=hostile.root).stdout
    for line in dot.splitlines():
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", dot)
    assert "script" not in outside
    assert outside.count("->") == 2
    mermaid = ergo("graph", *named, "--as", "mermaid", cwd=hostile.root).stdout
    assert "script" not in re.sub(r'"[^"]*"', "", mermaid)
    assert all(re.fullmatch(r"(?:[\w ./:-]|#\d+;|<br/>)*", label) for label in re.findall(r'"([^"]*)"', mermaid))
    assert not re.search(r"^\s*end\b.*\[", mermaid, re.MULTILINE)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("of", ["program", "bundle"])
def test_an_svg_is_well_formed_and_says_the_names(ergo: Ergo, hostile: Home, of: str) -> None:
    if of == "bundle":
        hostile.capture(ergo)
    ran = ergo("graph", *((BUNDLE,) if of == "bundle" else ()), "-o", "p.svg", cwd=hostile.root)
    assert ran.exit_code == 0, ran.stderr
    texts = [each.text for each in ET.parse(hostile.root / "p.svg").iter() if each.tag.endswith("}text")]
    assert HOSTILE in texts
    assert ("completed" in texts) is (of == "bundle")


# --- what cannot be drawn


def refusal(ergo: Ergo, *arguments: Any, cwd: Path | None = None) -> tuple[int, str, str]:
    """Exit code, error code and message; every refusal says where, or in its message, and what to do."""
    ran = ergo("graph", *arguments, "--format", "json", cwd=cwd)
    error = ran.report["error"]
    assert error["fix"]
    assert "Traceback" not in ran.stderr
    return ran.exit_code, error["code"], error["message"]


def test_kinds_without_a_picture(ergo: Ergo) -> None:
    code, name, message = refusal(ergo, cwd=AGENT)
    assert (code, name, message) == (3, "program.no_picture", "a kernel program has no picture")
    for bundle, kind in (
        (AGENT / "captures" / "tuesday.json", "kernel"),
        (THRESHOLD / "captures" / "monday.json", "graph"),
    ):
        code, name, message = refusal(ergo, bundle)
        assert (code, name) == (3, "program.no_picture")
        assert f"a {kind} program, whose runs have no picture" in message


def test_a_bundle_without_episodes_has_nothing_to_draw(ergo: Ergo, home: Home) -> None:
    home.program('source("a")', 'sink("c", act)', handlers="def act(event): pass")
    bundle = home.capture(ergo, "--max-in-flight", "0")
    assert {decision["decision"] for decision in bundle["decisions"]} == {"Defer"}
    code, error, message = refusal(ergo, BUNDLE, cwd=home.root)
    assert (code, error) == (3, "program.no_picture")
    assert "records no episode" in message


def test_damaged_bundles(ergo: Ergo, tmp_path: Path) -> None:
    kept = (ORDERS / KEPT).read_bytes()
    (tmp_path / "short.json").write_bytes(kept[:-400])
    (tmp_path / "flipped.json").write_bytes(kept.replace(b'"Join"', b'"Sink"'))
    (tmp_path / "short.json.gz").write_bytes(gzip.compress(kept)[:-40])
    assert refusal(ergo, "short.json")[:2] == (3, "bundle.parse_failed")
    assert refusal(ergo, "flipped.json")[:2] == (3, "bundle.digest_mismatch")
    assert refusal(ergo, "short.json.gz")[0] == 3
    assert refusal(ergo, "gone.json")[:2] == (3, "cli.graph_to_dot_load_failed")


def test_a_manifest_whose_edges_lead_nowhere(ergo: Ergo, tmp_path: Path) -> None:
    text = (ORDERS / KEPT).read_text()
    bundle = json.loads(text)
    [artifact] = bundle["artifacts"].values()
    artifact["json"]["edges"][0]["to"] = "nowhere"
    content = json.dumps(artifact["json"], separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    renamed = sha256(content.encode()).hexdigest()
    bundle["artifacts"] = {renamed: artifact}
    first = bundle["journals"][0]
    first["records"][0]["begin"]["initial"] = renamed
    lines = "".join(json.dumps(each, separators=(",", ":"), ensure_ascii=False) + "\n" for each in first["records"])
    first["sha256"] = sha256(lines.encode()).hexdigest()
    without_digest(tmp_path / "b.json", bundle)
    code, error, message = refusal(ergo, "b.json")
    assert (code, error) == (3, "bundle.journal_invalid")
    assert "an edge names the stage 'nowhere'" in message


def test_what_the_command_line_must_not_say(ergo: Ergo, tmp_path: Path) -> None:
    assert refusal(ergo)[:2] == (2, "cli.missing_required_argument")
    assert refusal(ergo, KEPT, "-P", "orders.pipeline:program", cwd=ORDERS)[:2] == (2, "cli.conflicting_options")
    assert refusal(ergo, KEPT, "-p", "default", cwd=ORDERS)[:2] == (2, "cli.conflicting_options")
    assert refusal(ergo, "--show-ports", cwd=ORDERS)[:2] == (2, "cli.conflicting_options")
    ran = ergo("graph", "orders/pipeline.py", "--format", "json", cwd=ORDERS)
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "cli.graph_to_dot_load_failed")
    assert "-P MODULE:ATTR" in ran.report["error"]["fix"]


def test_a_program_that_does_not_load_or_cannot_run(ergo: Ergo, home: Home) -> None:
    (home.root / "own.py").write_text("raise RuntimeError('no program')\n")
    assert refusal(ergo, cwd=home.root)[:2] == (3, "program.import_failed")
    home.program('source("a")', 'sink("c", act)', handlers="def act(event): pass", edges="a>b")
    assert refusal(ergo, cwd=home.root)[:2] == (3, "pipeline.edge_unknown_stage")


def test_a_picture_replaces_no_file_that_it_was_made_of(ergo: Ergo, tmp_path: Path) -> None:
    project = orders(tmp_path)
    os.link(project / KEPT, project / "link.txt")
    for arguments in ((KEPT, "-o", KEPT), (KEPT, "-o", "link.txt"), ("-o", "orders/pipeline.py"), ("-o", "ergo.toml")):
        before = (project / str(arguments[-1])).read_bytes()
        assert refusal(ergo, *arguments, cwd=project)[:2] == (2, "cli.conflicting_options")
        assert (project / str(arguments[-1])).read_bytes() == before
