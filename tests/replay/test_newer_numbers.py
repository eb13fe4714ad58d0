"""Bundles of originals whose serde_json writes ``1e+300``: replayed, validated and explained in that form."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.json import newer_numbers
from ergo_cli.events.adapter_manifest import fingerprint_text
from ergo_cli.programs.graph.run.provenance import canonical_fingerprint_text
from ergo_cli.project.loading import LoadedProgram, load_program_from_files
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.explaining import Assigned, explain_event
from ergo_cli.replay.results import BUNDLE_EDITED, BundleResult, Outcome, ReplayOptions, Target
from ergo_cli.tools.validation import validate_files
from tests.conftest import CONFORMANCE

CASE = CONFORMANCE / "03-context-set"
LARGE = {123456789.125: 1e300, 2.5: 1e16}
"""The prices of the case that become large ones."""


def plus(text: str) -> str:
    """Numbers as a newer serde_json writes them; no string of these texts holds a quotation mark."""
    return re.sub(r'("[^"]*")|(?<=\d)e(?=\d)', lambda match: match[1] or "e+", text)


def compact(value: Any) -> str:
    """JSON without blanks, its numbers as the originals of today write them."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r"(?<=\d)e(?:\+|(-)0)(?=\d)", lambda match: "e" + (match[1] or ""), text)


def with_large(value: Any) -> Any:
    match value:
        case dict():
            return {name: with_large(member) for name, member in value.items()}
        case list():
            return [with_large(item) for item in value]
        case float():
            return LARGE.get(value, value)
        case other:
            return other


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


class Case:
    """The original's case with large numbers in its graph and its adapter, and its bundle with large prices."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        graph = (CASE / "graph.yaml").read_text().replace("value: 0.0", "value: -1e300")
        adapter = (CASE / "adapter.yaml").read_text()
        adapter = adapter.replace("price: { type: number }", "price: { type: number, maximum: 1e301 }")
        (folder / "graph.yaml").write_text(graph)
        (folder / "adapter.yaml").write_text(adapter)
        self.loaded: LoadedProgram = load_program_from_files(folder / "graph.yaml", (), folder / "adapter.yaml")

    @property
    def target(self) -> Target:
        return Target(self.loaded.program, self.loaded.adapter)

    def provenances(self) -> tuple[str, str]:
        """The fingerprints in the newer form, from the canonical texts."""
        graph, adapter = self.loaded.program.value, self.loaded.adapter
        assert adapter is not None
        texts = (
            canonical_fingerprint_text(graph.graph_id, graph.expanded, graph.inventory.catalog),
            fingerprint_text(adapter.manifest),
        )
        assert b"1e300" in texts[0]
        assert b"1e301" in texts[1]
        program, manifest = (digest(plus(text.decode())) for text in texts)
        return f"rpv1:sha256:{program}", f"adapter:corpus_adapter@1.0.0;sha256:{manifest}"

    def bundle(self) -> dict[str, Any]:
        """What a newer original would have written: the original's bundle with large prices, in the newer form."""
        bundle = json.loads((CASE / "capture.json").read_text())
        for event in bundle["events"]:
            payload = plus(compact(with_large(json.loads(bytes(event["payload"])))))
            event["payload"], event["payload_hash"] = list(payload.encode()), digest(payload)
        for decision in bundle["decisions"]:
            for captured in decision["effects"]:
                captured["effect"] = effect = with_large(captured["effect"])
                for write in effect["writes"]:
                    if write["key"] == "last_flag":  # the limit of -1e300 is below all differences
                        write["value"] = {"Bool": True}
                captured["effect_hash"] = digest(plus(compact(effect)))
        bundle["runtime_provenance"], bundle["adapter_provenance"] = self.provenances()
        return bundle

    def write(self, bundle: dict[str, Any], *, newer: bool = True) -> Path:
        path = self.folder / "newer.json"
        text = compact(bundle)
        path.write_text((plus(text) if newer else text) + "\n")
        return path

    def replay(self, path: Path, *, strict: bool = True) -> BundleResult:
        return replay_bundle(path, self.target, ReplayOptions(strict=strict))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def is_valid(path: Path) -> bool:
    [result] = validate_files([path])
    return not result.errors


@pytest.mark.parametrize("strict", [True, False])
def test_a_bundle_in_the_newer_form_matches_and_is_valid(strict: bool, case: Case) -> None:
    path = case.write(case.bundle())
    assert b'"Number":1e+300' in path.read_bytes()
    result = case.replay(path, strict=strict)
    assert (result.outcome, result.error, result.warnings) == (Outcome.MATCH, None, ())
    assert is_valid(path)
    assert explain_event(open_bundle(path), lambda reader: Assigned(case.loaded.program), "t5").notices == ()


def test_only_its_fingerprints_may_be_in_the_newer_form(case: Case) -> None:
    bundle = case.bundle()
    bundle["events"], bundle["decisions"] = [], []
    assert case.replay(case.write(bundle)).outcome is Outcome.MATCH
    bundle["runtime_provenance"] = case.loaded.program.provenance
    refused = case.replay(case.write(bundle))
    assert refused.error is not None
    assert refused.error.code == "replay.adapter_provenance_mismatch"


def test_a_changed_value_in_the_newer_form_is_a_divergence(case: Case) -> None:
    bundle = case.bundle()
    captured = bundle["decisions"][1]["effects"][1]
    captured["effect"]["writes"][0]["value"] = {"Number": 1e17}
    captured["effect_hash"] = digest(plus(compact(captured["effect"])))
    result = case.replay(case.write(bundle))
    assert [each.path for each in result.divergences] == ["effects[1].writes[0].value.Number"]
    assert result.divergences[0].cause is None


@pytest.mark.parametrize("decision", [1, 5])
def test_mixed_forms_are_refused(decision: int, case: Case) -> None:
    bundle = case.bundle()
    for captured in bundle["decisions"][decision]["effects"]:
        captured["effect_hash"] = digest(compact(captured["effect"]))
    path = case.write(bundle)
    refused = case.replay(path)
    assert refused.outcome is not Outcome.MATCH
    result = case.replay(path, strict=False)
    assert result.outcome is Outcome.DIVERGED
    assert {each.cause for each in result.divergences} == {BUNDLE_EDITED}
    assert not is_valid(path)


def test_the_hash_of_another_form_than_the_text_is_an_edit(case: Case) -> None:
    path = case.write(case.bundle(), newer=False)
    assert case.replay(path, strict=False).outcome is Outcome.DIVERGED
    assert not is_valid(path)


def test_another_tool_may_rewrite_the_text_of_the_usual_form(case: Case) -> None:
    bundle, (program, adapter) = case.bundle(), (case.loaded.program, case.loaded.adapter)
    assert adapter is not None
    bundle["runtime_provenance"], bundle["adapter_provenance"] = program.provenance, adapter.fingerprint
    for decision in bundle["decisions"]:
        for captured in decision["effects"]:
            captured["effect_hash"] = digest(compact(captured["effect"]))
    path = case.write(bundle)
    assert b"1e+300" in path.read_bytes()
    assert case.replay(path).outcome is Outcome.MATCH
    assert is_valid(path)


def test_strings_and_small_numbers_keep_their_text() -> None:
    text = rb'{"a1e5\"2e3":1e300,"b":[1.5e16,true,-2e-9,"3e4\\"],"c":-7e22}'
    wanted = rb'{"a1e5\"2e3":1e+300,"b":[1.5e+16,true,-2e-9,"3e4\\"],"c":-7e+22}'
    assert newer_numbers(text) == wanted
