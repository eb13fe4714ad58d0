"""Clusters checked by themselves: what they ask for is given, what is wrong in them is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError
from ergo_cli.project.loading import load_cluster_from_files

EVERY_INPUT = """
kind: cluster
id: every_input
version: "1.0.0"
inputs:
  - {name: n, type: number}
  - {name: b, type: bool}
  - {name: s, type: string}
  - {name: h, type: series}
  - {name: e, type: event}
parameters:
  - {name: key, type: string}
  - {name: level, type: number}
  - {name: slot, type: string, default: {derive_key: slot}}
nodes:
  limit: {impl: const_number@0.1.0, params: {value: {exposed: level}}}
  over: {impl: gt@0.1.0}
  both: {impl: and@0.1.0}
  gate: {impl: emit_if_event_and_true@0.1.0}
  mean: {impl: mean@0.1.0}
  name: {impl: context_set_string@0.1.0, params: {key: {exposed: key}}}
  level: {impl: context_set_number@0.1.0, params: {key: {exposed: slot}}}
edges:
  - $n -> over.a
  - limit.value -> over.b
  - over.result -> both.a
  - $b -> both.b
  - $e -> gate.event
  - both.result -> gate.condition
  - $h -> mean.series
  - gate.event -> name.event
  - $s -> name.value
  - gate.event -> level.event
  - mean.result -> level.value
outputs: {fired: gate.event}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "every_input.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_cluster_with_every_kind_of_input_is_valid_by_itself(tmp_path: Path) -> None:
    loaded = load_cluster_from_files(write(tmp_path, EVERY_INPUT))
    assert (loaded.id, loaded.notices) == ("every_input", ())


@pytest.mark.parametrize(
    ("written", "instead", "rule"),
    [
        ("$n -> over.a", "$n -> over.c", "D.2"),
        ("over.result -> both.a", "limit.value -> both.a", "V.4"),
        ("{exposed: level}", "{exposed: key}", "I.4"),
        ("{exposed: slot}", "{exposed: nothing}", "I.3"),
        ("  - limit.value -> over.b\n", "", "V.3"),
    ],
)
def test_what_is_wrong_in_a_cluster_is_told_with_its_place(
    written: str, instead: str, rule: str, tmp_path: Path
) -> None:
    assert written in EVERY_INPUT
    path = write(tmp_path, EVERY_INPUT.replace(written, instead))
    with pytest.raises(ErgoError) as caught:
        load_cluster_from_files(path)
    rules = [caught.value.rule, *(cause.rule for cause in caught.value.causes)]
    assert rule in rules
    assert str(path) in (caught.value.where or "")


def test_a_signature_that_says_something_else_is_a_notice(tmp_path: Path) -> None:
    signature = "signature: {kind: compute_like, inputs: [], outputs: [], has_side_effects: false, is_origin: false}\n"
    notices = load_cluster_from_files(write(tmp_path, EVERY_INPUT + signature)).notices
    assert any("has_side_effects" in notice.message for notice in notices)
    assert any("ComputeLike" in notice.message for notice in notices)
