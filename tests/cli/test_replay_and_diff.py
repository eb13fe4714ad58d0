from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo, Ran

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def case(conformance: Path) -> Path:
    return conformance / "20-replay-failures"


def _replay(ergo: Ergo, case: Path, bundle: str, *more: str) -> Ran:
    return ergo("replay", case / bundle, "-g", case / "graph.yaml", "-a", case / "adapter.yaml", *more)


def test_a_match_is_one_line(ergo: Ergo, case: Path) -> None:
    ran = _replay(ergo, case, "good.json", "--strict")
    assert ran == (0, f"match  {case}/good.json  7 events, 7 invoked\n", "")


def test_a_divergence_is_told_in_full(ergo: Ergo, case: Path) -> None:
    ran = _replay(ergo, case, "effect_value_and_hash.json", "--strict")
    assert (ran.exit_code, ran.stderr) == (1, "")
    assert "  ~ last  999.0 -> 2.5  set_context by s_last" in ran.stdout.splitlines()
    ran = _replay(ergo, case, "effect_value_and_hash.json", "--strict", "-v")
    for line in (
        "  event     t1",
        "  path      effects[1].writes[0].value.Number",
        "  expected  999.0",
        "  actual    2.5",
        "  node      s_last",
    ):
        assert line in ran.stdout.splitlines()


@pytest.mark.parametrize("bundle", ["good.json", "effect_value_and_hash.json", "effect_hash.json"])
def test_a_bundle_that_comes_through_a_pipe(bundle: str, ergo: Ergo, case: Path) -> None:
    program = ("-g", case / "graph.yaml", "-a", case / "adapter.yaml", "--format", "json")
    piped = ergo("replay", "/dev/stdin", *program, stdin=(case / bundle).read_bytes())
    told = piped.stdout.replace("/dev/stdin", str(case / bundle))
    assert told == ergo("replay", case / bundle, *program).stdout


def test_a_divergence_as_json(ergo: Ergo, case: Path) -> None:
    ran = _replay(ergo, case, "effect_value_and_hash.json", "--format", "json")
    [bundle] = ran.report["bundles"]
    assert (ran.report["outcome"], bundle["outcome"], bundle["divergence_count"]) == ("diverged", "diverged", 1)
    assert bundle["divergences"] == [
        {
            "seq": 1,
            "event_id": "t1",
            "episode_id": 1,
            "occurrence": 0,
            "kind": "effect_changed",
            "level": "decision",
            "code": "replay.effect_mismatch",
            "path": "effects[1].writes[0].value.Number",
            "expected": 999.0,
            "actual": 2.5,
            "node": "s_last",
            "origin": None,
            "cause": None,
            "facts": ["~ last  999.0 -> 2.5  set_context by s_last"],
            "place": {"file": str(case / "graph.yaml"), "line": 50},
        }
    ]


def test_a_changed_program_is_announced_or_refused(ergo: Ergo, case: Path) -> None:
    arguments = ["replay", case / "good.json", "-g", case / "graph_changed.yaml", "-a", case / "adapter.yaml"]
    lax = ergo(*arguments, "--format", "json")
    assert lax.exit_code == 1
    assert {each["cause"] for each in lax.report["bundles"][0]["divergences"]} == {"program_changed"}
    assert "the program changed" in lax.report["bundles"][0]["warnings"][0]
    assert "warning: " in lax.stderr
    strict = ergo(*arguments, "--strict", "--format", "json")
    assert (strict.exit_code, strict.report["outcome"]) == (4, "refused")
    error = strict.report["error"]
    assert error["code"] == "replay.runtime_provenance_mismatch"
    assert [detail.partition(":")[0] for detail in error["details"]] == ["expected", "got"]
    assert strict.report["bundles"][0]["error"] == error


@pytest.fixture
def boiler(tmp_path: Path) -> Path:
    home = tmp_path / "boiler"
    shutil.copytree(FIXTURES / "boiler_alarm", home)
    return home


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("graphs/boiler.yaml", "limit: 95.0", "limit: 90.0", "graphs/boiler.yaml:14 95.0 90.0"),
        ("clusters/over_limit.yaml", "value: 1.0 ", "value: 2.0 ", "clusters/over_limit.yaml:24 1.0 2.0"),
        ("clusters/over_limit.yaml", 'version: "1.0.3"', 'version: "1.0.4"', "clusters/over_limit.yaml 1.0.3 1.0.4"),
        (
            "clusters/guarded_alarm.yaml",
            "armed: { impl: not@^0.1 }",
            "armed: { impl: not@~0.1 }",
            "clusters/guarded_alarm.yaml:22 not@^0.1 not@~0.1",
        ),
    ],
)
def test_a_strict_refusal_names_what_changed_in_a_graph(
    ergo: Ergo, boiler: Path, file: str, old: str, new: str, expected: str
) -> None:
    assert ergo("capture", cwd=boiler).exit_code == 0
    edit(boiler / file, old, new)
    edit(boiler / "graphs" / "boiler.yaml", 'note: "the boiler is too hot"', 'note: "too hot"')
    ran = ergo("replay", "--strict", cwd=boiler)
    assert ran.exit_code == 4
    place, before, after = expected.split()
    rows = [line.removeprefix("changed").split("  ") for line in ran.stdout.splitlines()]
    cells = [[cell.strip() for cell in row if cell] for row in rows]
    assert any(row[:1] == [place] and row[-1:] == [f"{before} -> {after}"] for row in cells)
    report = ergo("replay", "--strict", "--format", "json", cwd=boiler).report
    assert len(report["error"]["details"]) == 2, "the hashes of both sides"
    found = {
        (
            " ".join(filter(None, (f"{each['file']}:{each['line']}" if each["line"] else each["file"],))),
            each["before"],
            each["after"],
        )
        for each in report["bundles"][0]["changes"]
    }
    assert {(place, before, after), ("graphs/boiler.yaml:20", '"the boiler is too hot"', '"too hot"')} <= found


def test_nodes_of_a_cluster_that_the_graph_has_no_longer_are_named(ergo: Ergo, boiler: Path) -> None:
    assert ergo("capture", cwd=boiler).exit_code == 0
    (boiler / "clusters" / "over_limit.yaml").rename(boiler / "clusters" / "too_much.yaml")
    edit(boiler / "clusters" / "too_much.yaml", "id: over_limit", "id: too_much")
    edit(boiler / "clusters" / "guarded_alarm.yaml", "over_limit@~1.0", "too_much@~1.0")
    edit(boiler / "graphs" / "boiler.yaml", "limit: 95.0", "limit: 90.0")
    ran = ergo("replay", "--strict", cwd=boiler)
    assert "changed    graphs/boiler.yaml:14  overheated.limit  95.0 -> 90.0\n" in ran.stdout


def test_a_graph_whose_primitive_has_another_contract_is_refused_with_that_reason(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "trend"
    shutil.copytree(FIXTURES / "own_primitives", home)
    assert ergo("capture", cwd=home).exit_code == 0
    edit(home / "trend" / "primitives.py", "alpha: float = 0.5", "alpha: float = 0.75")
    ran = ergo("replay", "--strict", cwd=home)
    assert ran.exit_code == 4
    assert "changed    trend/primitives.py:23  primitive ema.alpha  0.5 -> 0.75\n" in ran.stdout
    assert "           trend/primitives.py:24  in ema               0.5 -> 0.75\n" in ran.stdout


@pytest.fixture
def strategy(ergo: Ergo, tmp_path: Path) -> Path:
    """The order strategy, captured here, so that the program store has its texts."""
    home = tmp_path / "strategy"
    shutil.copytree(FIXTURES / "order_threshold", home)
    assert ergo("capture", cwd=home).exit_code == 0
    return home


def test_a_divergence_names_the_changes_that_reach_it(ergo: Ergo, strategy: Path) -> None:
    graph = strategy / "graphs" / "order_threshold.yaml"
    edit(graph, "value: 105.0", "value: 104.0")
    edit(graph, "value: 98.0", "value: 97.5")
    ran = ergo("replay", "--format", "json", cwd=strategy)
    [bundle] = ran.report["bundles"]
    assert [each["subject"] for each in bundle["changes"]] == ["enter_level.value", "leave_level.value"]
    assert {each["node"]: each["changes"] for each in bundle["divergences"]} == {
        "buy": [0],
        "bought_at": [0],
        "sell": [1],
    }
    assert not any(each["without_effect"] for each in bundle["changes"])
    way = "  because   enter  not emitted -> emitted\n            above  gt(price 104.25, enter_level 105.0 -> 104.0)\n"
    assert way in ergo("replay", cwd=strategy).stdout


def test_a_change_that_reaches_no_divergence_is_listed_as_without_effect(ergo: Ergo, strategy: Path) -> None:
    graph = strategy / "graphs" / "order_threshold.yaml"
    edit(graph, "value: 105.0", "value: 104.0")
    edit(graph, "value: 98.0", "value: 98.25")
    edit(graph, "size: 3", "size: 300")
    text = ergo("replay", cwd=strategy).stdout.splitlines()
    assert "           graphs/order_threshold.yaml:23  leave_level.value  98.0 -> 98.25  without effect" in text
    [bundle] = ergo("replay", "--format", "json", cwd=strategy).report["bundles"]
    assert {each["subject"]: each["without_effect"] for each in bundle["changes"]} == {
        "enter_level.value": False,
        "leave_level.value": True,
        "recent.size": False,
    }


def test_every_change_of_a_program_that_still_matches_is_without_effect(ergo: Ergo, strategy: Path) -> None:
    edit(strategy / "graphs" / "order_threshold.yaml", "value: 105.0", "value: 105.001")
    ran = ergo("replay", cwd=strategy)
    assert ran.exit_code == 0
    change = "changed    graphs/order_threshold.yaml:20  enter_level.value  105.0 -> 105.001  without effect"
    assert change in ran.stdout.splitlines()


def test_an_adapter_that_changed_is_compared_with_that_of_the_capture(ergo: Ergo, boiler: Path) -> None:
    assert ergo("capture", cwd=boiler).exit_code == 0
    [adapter] = (boiler / "adapters").glob("*.yaml")
    edit(adapter, "minimum: 0 }", "minimum: 1 }")
    ran = ergo("replay", "--strict", cwd=boiler)
    subject = "adapter event_kinds.reading.payload_schema.properties.pressure.minimum"
    assert ran.exit_code == 4
    assert f"changed    adapters/{adapter.name}:18  {subject}  0 -> 1\n" in ran.stdout


def test_the_origin_is_named_where_the_recorded_program_is_at_hand(ergo: Ergo, case: Path) -> None:
    arguments = ["-g", case / "graph.yaml", "-a", case / "adapter.yaml", "-o", "b.json"]
    assert ergo("capture", case / "events.jsonl", *arguments).exit_code == 0
    ran = ergo("replay", "b.json", "-g", case / "graph_changed.yaml", "-a", case / "adapter.yaml", "--format", "json")
    assert ran.report["bundles"][0]["divergences"][0]["origin"] == "win"


def test_a_capture_replays_without_being_told_its_program(ergo: Ergo, case: Path) -> None:
    arguments = ["-g", case / "graph.yaml", "-a", case / "adapter.yaml", "-o", "b.json"]
    assert ergo("capture", case / "events.jsonl", *arguments).exit_code == 0
    ran = ergo("replay", "b.json", "--strict", "-v")
    assert ran.exit_code == 0
    note, warning = ran.stderr.splitlines()
    assert note == "note: b.json: program 'ctxset' found by program store"
    assert warning.startswith("warning: b.json: the program of the capture itself was replayed, found as program store")
    [bundle] = ergo("replay", "b.json", "--format", "json").report["bundles"]
    assert bundle["warnings"] == [warning.removeprefix("warning: b.json: ")]


def test_the_gravest_bundle_decides(ergo: Ergo, case: Path) -> None:
    names = ["good.json", "effect_hash.json", "truncated.json"]
    bundles = [case / name for name in names]
    ran = ergo("replay", *bundles, "-g", case / "graph.yaml", "-a", case / "adapter.yaml", "--format", "json")
    assert ran.exit_code == 3
    assert [each["outcome"] for each in ran.report["bundles"]] == ["match", "diverged", "refused"]
    assert ran.report["error"]["code"] == "replay.host_setup_failed"
    assert ran.report["error"]["causes"][0]["code"] == "bundle.parse_failed"
    assert ran.report["bundles"][2]["events"] is None


def test_folders_and_globs_stand_for_bundles(ergo: Ergo, case: Path, tmp_path: Path) -> None:
    folder = tmp_path / "caps"
    (folder / "deep" / ".hidden").mkdir(parents=True)
    good = (case / "good.json").read_bytes()
    (folder / "deep" / "b.json.gz").write_bytes(gzip.compress(good, mtime=0))
    (folder / "a.json").write_bytes(good)
    (folder / "deep" / ".hidden" / "c.json").write_bytes(good)
    (folder / "notes.json").write_text('{"a": 1}')
    (folder / "README.md").write_text("no bundle")
    program = ["-g", case / "graph.yaml", "-a", case / "adapter.yaml", "--format", "json"]
    found = [each["path"] for each in ergo("replay", "caps", *program).report["bundles"]]
    assert found == ["caps/a.json", "caps/deep/b.json.gz"]
    found = [each["path"] for each in ergo("replay", "caps/**/*.gz", "caps/a.json", *program).report["bundles"]]
    assert found == ["caps/deep/b.json.gz", "caps/a.json"]
    (folder / "empty.json").write_bytes(b"")
    assert ergo("replay", "caps", *program).exit_code == 3


def test_nothing_to_replay(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "caps").mkdir()
    for arguments in ([], ["caps"], ["caps/*.json"]):
        ran = ergo("replay", *arguments, "--format", "json")
        assert (ran.exit_code, ran.report["outcome"], ran.report["bundles"]) == (5, "empty", [])
    suffixes = "files that end in .json, .json.gz, .json.zst"
    looked = {
        (): f"'{tmp_path}' and the folders above it: no project",
        ("caps",): f"the folder 'caps': {suffixes}, also below it",
        ("caps/*.json",): f"the pattern 'caps/*.json': {suffixes}",
    }
    for arguments, place in looked.items():
        assert ergo("replay", *arguments).stdout == f"empty: no bundle matched\n  looked in {place}\n"


def test_nothing_to_replay_in_a_project_names_its_file_and_its_unknown_keys(ergo: Ergo, tmp_path: Path) -> None:
    file = tmp_path / "ergo.toml"
    file.write_text('name = "x"\nversion = "1"\n[profiles.a]\ngraph = "g.yaml"\ncapture_ouput = "a.json"\n')
    ran = ergo("replay")
    assert ran.exit_code == 5
    assert ran.stdout == "empty: no bundle matched\n  looked in 'ergo.toml': capture_output of every profile\n"
    assert "capture_ouput" in ran.stderr
    [warning] = ergo("replay", "--format", "json").report["warnings"]
    assert "profiles.a.capture_ouput" in warning


def test_without_bundles_the_captures_of_the_project_are_replayed(ergo: Ergo, case: Path, tmp_path: Path) -> None:
    for name in ("graph.yaml", "adapter.yaml", "events.jsonl"):
        shutil.copy(case / name, tmp_path)
    profile = 'graph = "graph.yaml"\nadapter = "adapter.yaml"\nfixture = "events.jsonl"\n'
    (tmp_path / "ergo.toml").write_text(
        f'name = "p"\nversion = "1"\n[profiles.a]\n{profile}[profiles.b]\n{profile}[profiles.c]\n{profile}'
    )
    for name in ("a", "b"):
        assert ergo("capture", "-p", name).exit_code == 0
    ran = ergo("replay", "--strict", "--format", "json")
    assert ran.exit_code == 0
    assert [Path(each["path"]).name for each in ran.report["bundles"]] == ["a.capture.json", "b.capture.json"]
    assert len(ergo("replay", "-p", "b", "--format", "json").report["bundles"]) == 1
    assert ergo("replay", "-p", "c").exit_code == 5


def test_a_program_that_is_nowhere(ergo: Ergo, case: Path) -> None:
    ran = ergo("replay", case / "good.json", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.not_found")


def test_a_program_that_cannot_be_loaded_is_a_setup_failure(ergo: Ergo, case: Path) -> None:
    ran = ergo("replay", case / "good.json", "-g", "nowhere.yaml", "--format", "json")
    assert ran.exit_code == 3
    assert ran.report["error"]["code"] == "replay.host_setup_failed"
    assert ran.report["error"]["causes"][0]["code"] == "graph.load_failed"


def test_volatile_parts_can_be_ignored(ergo: Ergo, case: Path) -> None:
    ignore = ["--ignore", "effects[*].writes[*].value", "--ignore", "**.nonsense"]
    ran = _replay(ergo, case, "effect_value_and_hash.json", *ignore, "--format", "json")
    assert ran.exit_code == 0
    assert len(ran.report["warnings"]) == 1
    assert "**.nonsense" in ran.report["warnings"][0]
    assert "**.nonsense" in ran.stderr


def test_the_list_of_divergences_can_be_bounded(ergo: Ergo, case: Path) -> None:
    arguments = ["replay", case / "good.json", "-g", case / "graph_changed.yaml", "-a", case / "adapter.yaml"]
    [bundle] = ergo(*arguments, "--max-divergences", "1", "--format", "json").report["bundles"]
    assert (bundle["divergence_count"], len(bundle["divergences"])) == (4, 1)
    assert "and 3 more" in ergo(*arguments, "--max-divergences", "1").stdout


def test_a_bundle_that_the_original_refuses_for_its_numbers_matches(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "17-float-drift"
    arguments = ["replay", case / "capture.json", "-g", case / "graph.yaml", "-a", case / "adapter.yaml", "--strict"]
    assert ergo(*arguments).exit_code == 0
    assert ergo(*arguments, "--numbers", "original").exit_code == 0


def test_equal_bundles_do_not_differ(ergo: Ergo, case: Path) -> None:
    ran = ergo("diff", case / "good.json", case / "good.json")
    assert ran.exit_code == 0
    assert ran.stdout.startswith(f"match  {case}/good.json → {case}/good.json  7 events")


def test_a_removed_event_is_one_difference(ergo: Ergo, case: Path) -> None:
    ran = ergo("diff", case / "good.json", case / "effect_value_and_hash.json", "--format", "json")
    [bundle] = ran.report["bundles"]
    assert (ran.exit_code, ran.report["outcome"]) == (1, "diverged")
    assert list(bundle)[:3] == ["path", "base", "outcome"]
    assert (bundle["path"], bundle["base"]) == (f"{case}/effect_value_and_hash.json", f"{case}/good.json")
    [divergence] = bundle["divergences"]
    assert (divergence["code"], divergence["path"]) == (None, "effects[1].writes[0].value.Number")
    assert (divergence["expected"], divergence["actual"]) == (2.5, 999.0)


def test_a_diff_ignores_what_it_is_told_to(ergo: Ergo, case: Path, tmp_path: Path) -> None:
    pair = [case / "good.json", case / "effect_value_and_hash.json"]
    assert ergo("diff", *pair, "--ignore", "effects[*].writes[*].value").exit_code == 0
    (tmp_path / "ergo.toml").write_text(
        'name = "p"\nversion = "1"\nignore = ["effects[*].writes[*].value"]\n[profiles]\n'
    )
    assert ergo("diff", *pair).exit_code == 0


def test_a_bundle_that_cannot_be_read_is_refused(ergo: Ergo, case: Path) -> None:
    ran = ergo("diff", case / "good.json", "nowhere.json", "--format", "json")
    assert (ran.exit_code, ran.report["outcome"], ran.report["error"]["code"]) == (3, "refused", "bundle.read_failed")


def test_a_malformed_record_is_refused_by_diff_with_its_place(ergo: Ergo, case: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes((case / "good.json").read_bytes().replace(b'"decision":"Invoke"', b'"decision":"Perhaps"', 1))
    ran = ergo("diff", case / "good.json", bad, "--format", "json")
    assert (ran.exit_code, ran.report["outcome"], ran.report["error"]["code"]) == (3, "refused", "bundle.parse_failed")
    assert "decisions[0].decision" in ran.report["error"]["where"]


def test_a_pattern_is_not_called_useless_because_the_bundles_are_equal(ergo: Ergo, case: Path) -> None:
    ran = ergo("diff", case / "good.json", case / "good.json", "--ignore", "effects[*].writes", "--ignore", "nowhere")
    assert (ran.exit_code, ran.stderr) == (0, "warning: the path 'nowhere' to ignore matched nothing\n")


def test_original_bundles_with_intents_are_told_apart_by_what_was_changed(ergo: Ergo, conformance: Path) -> None:
    intents = conformance / "23-intents"
    wanted = {
        "tamper_ack": ("evidence", "intent_acks[0]"),
        "tamper_egress_prov": ("header", "header.egress_provenance"),
        "tamper_intent_id": ("effect_changed", "effects[1].intents[0].intent_id"),
    }
    for name, (kind, path) in wanted.items():
        ran = ergo("diff", intents / "historical.capture.json", intents / f"{name}.json", "--format", "json")
        [found] = ran.report["bundles"][0]["divergences"]
        assert (found["kind"], found["path"], found["code"]) == (kind, path, None)
