"""``ergo export`` as a process: streams, terminals, refusals, and the rows of a replay."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.testing.bundles import bundle_of, completed, event_record
from tests.cli.terminals import ERGO, on_terminal, plain
from tests.conftest import Ergo

ROOT = Path(__file__).parents[2]
PRICES = ROOT / "fixtures" / "own_primitives" / "captures" / "prices.json"
ORDERS = ROOT / "fixtures" / "order_threshold"


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_which_events_placed_orders_is_one_command(ergo: Ergo) -> None:
    ran = ergo("export", PRICES, "--effects", "--where", "effect.kind=place_order")
    assert (ran.exit_code, ran.stderr) == (0, "wrote 1 row of effects to standard output\n")
    (row,) = rows(ran.stdout)
    assert (row["event_id"], row["effect.fields.price"], row["effect.fields.side"]) == ("t4", 106.25, "buy")


def test_decisions_are_what_is_exported_unless_asked_otherwise(ergo: Ergo) -> None:
    ran = ergo("export", PRICES, "-q")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout == ergo("export", PRICES, "--decisions", "-o", "-").stdout
    assert [row["event_id"] for row in rows(ran.stdout)] == ["t1", "t2", "t3", "t4", "t5", "t6"]


def test_the_report_stands_apart_from_the_rows(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("export", PRICES, "--events", "--format", "json")
    assert len(rows(ran.stdout)) == 6
    assert json.loads(ran.stderr)["exported"] == {
        "path": str(PRICES),
        "records": "events",
        "as": "jsonl",
        "output": "-",
        "rows": 6,
    }
    ran = ergo("export", PRICES, "-o", "rows.csv", "--format", "json", cwd=tmp_path)
    assert (ran.report["exported"]["as"], ran.stderr) == ("csv", "")
    assert (tmp_path / "rows.csv").read_text().startswith("seq,event_id,")
    ran = ergo("export", "none.json", "-o", "rows.csv", "--format", "json", cwd=tmp_path)
    assert (ran.exit_code, ran.report["exported"], ran.report["error"]["code"]) == (3, None, "bundle.read_failed")


def test_a_bundle_on_standard_input(ergo: Ergo) -> None:
    assert ergo("export", "-", stdin=PRICES.read_bytes()).stdout == ergo("export", PRICES).stdout


def test_a_reader_that_has_seen_enough_is_no_fault(environment: dict[str, str], tmp_path: Path) -> None:
    names = [f"e{seq}" for seq in range(3000)]  # more than a pipe holds
    events = [event_record(name, b'{"price":101.5}') for name in names]
    (tmp_path / "b.json").write_bytes(bundle_of(events, map(completed, names)).encode())
    child = subprocess.Popen(
        [ERGO, "export", "b.json", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=tmp_path,
    )
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["event_id"] == "e0"
    child.stdout.close()
    assert child.stderr is not None
    assert (child.stderr.read(), child.wait(timeout=60)) == (b"", 0)
    child.stderr.close()


def test_parquet_goes_to_a_pipe_and_not_to_a_terminal(ergo: Ergo, environment: dict[str, str], tmp_path: Path) -> None:
    shown = plain(on_terminal(["export", str(PRICES), "--as", "parquet", "--format", "json"], environment, tmp_path))
    assert shown == ""
    said = plain(on_terminal(["export", str(PRICES), "--as", "parquet"], environment, tmp_path, stream="stderr"))
    assert "PAR1" not in said
    ran = subprocess.run(
        [ERGO, "export", PRICES, "--as", "parquet"], env=environment, cwd=tmp_path, capture_output=True, timeout=60
    )
    assert ran.stdout[:4] == ran.stdout[-4:] == b"PAR1"


def test_what_a_terminal_would_obey_is_escaped_in_lines(ergo: Ergo, tmp_path: Path) -> None:
    payload = json.dumps({"name": "\x1b]0;x\x07\x9b31m‮"}, ensure_ascii=False).encode()
    (tmp_path / "b.json").write_bytes(bundle_of([event_record("e1", payload)], [completed("e1")]).encode())
    ran = ergo("export", "b.json", cwd=tmp_path)
    assert not set("\x1b\x07\x9b‮") & set(ran.stdout)
    assert rows(ran.stdout)[0]["payload.name"] == "\x1b]0;x\x07\x9b31m‮"


def test_parquet_without_its_library_is_refused_with_the_remedy(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from ergo_cli.cli.app import execute\n"
        f"assert execute(['export', {str(PRICES)!r}, '-q']) == 0\n"
        f"sys.exit(execute(['export', {str(PRICES)!r}, '-o', 'rows.parquet', '-v']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60, env=own(tmp_path)
    )
    assert done.returncode == 2
    assert "pip install 'ergo-replay[data]'" in done.stderr
    assert "cli.parquet_unavailable" in done.stderr
    assert list(tmp_path.iterdir()) == []


def own(folder: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(folder / "home"), "XDG_DATA_HOME": str(folder / "data")}


def test_the_library_is_imported_only_for_parquet(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom ergo_cli.cli.app import execute\n"
        f"for form in ('jsonl', 'csv'): assert execute(['export', {str(PRICES)!r}, '-q', '--as', form]) == 0\n"
        "sys.exit('pyarrow' in sys.modules or 'own_primitives' in ' '.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60, env=own(tmp_path)
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("--events", "--effects"), "cli.conflicting_options", 2),
        (("--strict",), "cli.conflicting_options", 2),
        (("--effects", "-p", "default"), "cli.conflicting_options", 2),
        (("--max-divergences", "0"), "cli.conflicting_options", 2),
        (("--where", "effect.kind"), "cli.invalid_option_value", 2),
        (("--as", "xlsx"), "cli.invalid_option_value", 2),
        (("--as", "csv", "-o", "rows.parquet"), "cli.conflicting_options", 2),
        (("-o", "b.json"), "cli.conflicting_options", 2),
        (("-o", "folder"), "cli.export_write_failed", 6),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], code: str, exit_code: int, ergo: Ergo, tmp_path: Path) -> None:
    shutil.copy(PRICES, tmp_path / "b.json")
    (tmp_path / "folder").mkdir()
    ran = ergo("export", "b.json", *arguments, "--format", "json", cwd=tmp_path)
    report = json.loads(next(line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith("{")))
    assert (ran.exit_code, report["error"]["code"], report["exported"]) == (exit_code, code, None)
    assert report["error"]["fix"]
    assert (tmp_path / "b.json").read_bytes() == PRICES.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.json", "folder"]


def edited_orders(tmp_path: Path) -> Path:
    home = tmp_path / "project"
    shutil.copytree(ORDERS, home)
    graph = home / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    return home


def test_divergences_are_those_of_a_replay(ergo: Ergo, tmp_path: Path) -> None:
    home = edited_orders(tmp_path)
    replayed = ergo("replay", "captures/monday.json", "--format", "json", cwd=home)
    assert replayed.exit_code == 1
    (bundle,) = replayed.report["bundles"]
    ran = ergo("export", "captures/monday.json", "--divergences", cwd=home)
    assert ran.exit_code == 0
    found = rows(ran.stdout)
    names = [name for name in found[0] if name != "bundle"]
    assert [{name: row[name] for name in names} for row in found] == [
        {name: each[name] for name in names} for each in bundle["divergences"]
    ]
    assert {row["bundle"] for row in found} == {"captures/monday.json"}
    assert "warning: the program changed" in ran.stderr
    some = ergo("export", "captures/monday.json", "--divergences", "--where", "node=buy", cwd=home)
    assert rows(some.stdout) == [row for row in found if row["node"] == "buy"]
    assert len(some.stdout) < len(ran.stdout)


def test_divergences_of_a_program_that_acts(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "agent"
    shutil.copytree(ROOT / "fixtures" / "agent", home)
    agent = home / "refunds" / "agent.py"
    agent.write_text(agent.read_text().replace("How likely is it a fraud?", "Is it a fraud?"))
    replayed = ergo("replay", "--format", "json", cwd=home).report["bundles"][0]
    ran = ergo("export", "captures/tuesday.json", "--divergences", "--as", "csv", cwd=home)
    assert ran.exit_code == 0
    assert len(ran.stdout.splitlines()) == 1 + replayed["divergence_count"]


def test_a_match_has_no_row(ergo: Ergo, tmp_path: Path) -> None:
    shutil.copytree(ORDERS, tmp_path / "project")
    ran = ergo("export", "captures/monday.json", "--divergences", "--strict", cwd=tmp_path / "project")
    assert (ran.exit_code, ran.stdout) == (0, "")


def test_a_bundle_that_cannot_be_compared_is_refused_as_by_replay(ergo: Ergo, tmp_path: Path) -> None:
    home = edited_orders(tmp_path)
    (home / "rows.csv").write_text("before")
    ran = ergo("export", "captures/monday.json", "--divergences", "--strict", "-o", "rows.csv", "-v", cwd=home)
    assert ran.exit_code == 4
    assert "replay.runtime_provenance_mismatch" in ran.stderr
    assert (home / "rows.csv").read_text() == "before"
    ran = ergo(
        "export",
        "captures/monday.json",
        "--divergences",
        "--as",
        "jsonl",
        "-o",
        "graphs/order_threshold.yaml",
        cwd=home,
    )
    assert ran.exit_code == 2
    assert "would destroy it" in ran.stderr


def test_divergences_that_are_not_listed_are_said(ergo: Ergo, tmp_path: Path) -> None:
    home = edited_orders(tmp_path)
    ran = ergo("export", "captures/monday.json", "--divergences", "--max-divergences", "1", cwd=home)
    assert len(rows(ran.stdout)) == 1
    assert "2 divergences, of which the first 1 are looked at: see --max-divergences" in ran.stderr
    ran = ergo("export", "captures/monday.json", "--divergences", "--ignore", "**", "--ignore", "nothing", cwd=home)
    assert ran.stdout == ""
    assert "the path 'nothing' to ignore matched nothing" in ran.stderr


@pytest.mark.parametrize("name", ["rows.xlsx", "rows.tsv.gz"])
def test_a_suffix_of_no_known_form_is_refused(ergo: Ergo, tmp_path: Path, name: str) -> None:
    bundle = Path(__file__).parents[2] / "fixtures" / "order_threshold" / "captures" / "monday.json"
    ran = ergo("export", bundle, "-o", name)
    assert (ran.exit_code, "--as" in ran.stderr, list(tmp_path.glob("rows*"))) == (2, True, [])
    assert ergo("export", bundle, "-o", name, "--as", "jsonl").exit_code == 0
