from __future__ import annotations

import json

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, ReplayError
from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, Outcome
from ergo_cli.report.command_result import interruption, refusal
from ergo_cli.report.comparisons import DIFF, REPLAY, render_comparison
from ergo_cli.report.document import Report, encode_report, error_document, unicode


def _members(document: bytes) -> list[str]:
    return list(json.loads(document))


def _changed() -> Divergence:
    return Divergence(
        seq=3,
        event_id="e3",
        episode_id=3,
        kind=DivergenceKind.EFFECT_CHANGED,
        path="effects[0].writes[0].value.Number",
        expected=1.5,
        actual=2.5,
        code="replay.effect_mismatch",
        node="hot/act",
        origin="hot/check",
        cause="program_changed",
    )


def _result(path: str = "b.json", **changes: object) -> BundleResult:
    members = {"events": 5, "decisions": DecisionCounts(4, 0, 1), **changes}
    return BundleResult(path, **{"outcome": Outcome.MATCH, **members})  # type: ignore[arg-type]


def test_a_match_is_the_document_of_the_specification() -> None:
    told = render_comparison("replay", [_result(events=100, decisions=DecisionCounts(98, 0, 2))], REPLAY)
    assert encode_report(told.report) == (
        b'{"schema":"ergo.report/1","command":"replay","outcome":"match","exit_code":0,"error":null,'
        b'"bundles":[{"path":"b.json","outcome":"match","error":null,"events":100,'
        b'"decisions":{"invoke":98,"skip":0,"defer":2},"warnings":[],"divergence_count":0,"divergences":[]}],'
        b'"warnings":[]}\n'
    )


def test_members_of_a_divergence_stand_in_the_documented_order() -> None:
    result = _result(outcome=Outcome.DIVERGED, divergence_count=1, divergences=(_changed(),))
    document = json.loads(encode_report(render_comparison("replay", [result], REPLAY).report))
    assert list(document["bundles"][0]["divergences"][0].items()) == [
        ("seq", 3),
        ("event_id", "e3"),
        ("episode_id", 3),
        ("occurrence", 0),
        ("kind", "effect_changed"),
        ("level", "decision"),
        ("code", "replay.effect_mismatch"),
        ("path", "effects[0].writes[0].value.Number"),
        ("expected", 1.5),
        ("actual", 2.5),
        ("node", "hot/act"),
        ("origin", "hot/check"),
        ("cause", "program_changed"),
        ("facts", ["~ effects[0].writes[0].value.Number  1.5 -> 2.5  by hot/act"]),
    ]
    assert (document["outcome"], document["exit_code"]) == ("diverged", 1)


def test_a_diff_names_its_base_behind_the_path() -> None:
    document = json.loads(encode_report(render_comparison("diff", [_result(base="a.json")], DIFF).report))
    assert list(document["bundles"][0])[:3] == ["path", "base", "outcome"]


def test_no_bundle_at_all_is_empty() -> None:
    report = render_comparison("replay", [], REPLAY).report
    assert (report.outcome, report.exit_code, report.bundles) == ("empty", 5, ())


def test_the_gravest_bundle_decides_and_gives_the_error() -> None:
    refused = ReplayError("replay.graph_id_mismatch", "other graph")
    broken = ReplayError("replay.host_setup_failed", "no bundle")
    results = [
        _result("a.json"),
        _result("b.json", outcome=Outcome.DIVERGED, divergence_count=1, divergences=(_changed(),)),
        _result("c.json", outcome=Outcome.REFUSED, error=refused),
        _result("d.json", outcome=Outcome.REFUSED, error=broken),
    ]
    report = render_comparison("replay", results, REPLAY).report
    assert (report.outcome, report.exit_code) == ("refused", 3)
    assert report.error is not None
    assert report.error.code == "replay.host_setup_failed"


def test_warnings_are_sentences_with_their_place_in_front() -> None:
    told = render_comparison(
        "replay", [_result(warnings=(Notice("the program changed"),))], REPLAY, (Notice("odd", "a:1"),)
    )
    assert told.report.warnings == ("a:1: odd",)
    assert told.report.bundles[0].warnings == ("the program changed",)


def test_an_error_has_all_members_and_causes_of_the_same_shape() -> None:
    cause = ErgoError("V.1", "inner", rule="V.1", where="g.yaml:3:1")
    document = json.loads(
        encode_report(
            Report(
                command="run",
                outcome="refused",
                exit_code=3,
                error=error_document(
                    ErgoError("graph.prepare_failed", "outer", fix="mend", details=("d",), causes=(cause,))
                ),
            )
        )
    )
    assert list(document["error"]) == ["code", "rule", "message", "where", "fix", "details", "causes"]
    assert document["error"]["details"] == ["d"]
    assert document["error"]["causes"] == [
        {
            "code": "V.1",
            "rule": "V.1",
            "message": "inner",
            "where": "g.yaml:3:1",
            "fix": None,
            "details": [],
            "causes": [],
        }
    ]


def test_a_command_without_result_still_has_its_own_member() -> None:
    error = ErgoError("driver.input_invalid", "bad line")
    common = ["schema", "command", "outcome", "exit_code", "error", "bundles", "warnings"]
    for command, own in (("run", ["run"]), ("inspect", ["inspect"]), ("validate", ["files"]), ("diff", [])):
        assert _members(encode_report(refusal(command, error, 3).report)) == common + own


def test_outcomes_of_failures() -> None:
    error = ErgoError("x", "y")
    outcomes = {code: refusal("run", error, code).report.outcome for code in (2, 3, 4, 6, 70)}
    assert outcomes == {2: "refused", 3: "refused", 4: "refused", 6: "failed", 70: "failed"}
    assert (interruption("capture").report.outcome, interruption("capture").report.exit_code) == ("interrupted", 130)


def test_names_of_files_that_are_not_unicode_are_escaped() -> None:
    assert unicode("caf\udce9.json") == "caf\\udce9.json"


def test_what_could_control_a_terminal_is_escaped() -> None:
    controls = "\x7f\x80\x9b\x9f\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"
    harmless = "\xa0é\u200d\u2027\u202f\u2065\u206a😀"
    document = encode_report(Report(command="run", outcome="ok", exit_code=0, warnings=(controls, harmless)))
    assert not set(controls) & set(document.decode())
    assert harmless in document.decode()
    assert json.loads(document)["warnings"] == [controls, harmless]
    assert b"\\u202e" in document
