"""``--strict`` refuses what the format refuses, at every depth, and agrees with ``validate`` on every bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.values import effect_hash
from ergo_cli.errors import ErgoError
from ergo_cli.project.loading import load_program_from_files
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import BundleResult, Outcome, ReplayOptions, Target
from ergo_cli.tools.validation import validate_files
from tests.conftest import CONFORMANCE

CASE = CONFORMANCE / "20-replay-failures"
GOOD = (CASE / "good.json").read_text()

Edit = Callable[[str], str]


@pytest.fixture(scope="module")
def target() -> Target:
    loaded = load_program_from_files(CASE / "graph.yaml", (), CASE / "adapter.yaml")
    return Target(loaded.program, loaded.adapter)


def strictly(path: Path, target: Target) -> BundleResult:
    return replay_bundle(path, target, ReplayOptions(strict=True))


def is_valid(path: Path) -> bool:
    [result] = validate_files([path])
    return not result.errors


PLACES = {
    "top": '"graph_id":',
    "config": '"max_retries":',
    "event": '"kind":',
    "event time": '"nanos":',
    "decision": '"retry_count":',
    "captured effect": '"effect_hash":',
    "effect": '"writes":',
    "write": '"key":',
    "value": '"Number":',
}
"""The name of a member at each depth of a bundle."""


@pytest.mark.parametrize("style", ["compact", "pretty", "spaced"])
@pytest.mark.parametrize("place", PLACES)
def test_a_member_twice_is_refused_at_every_depth(place: str, style: str, target: Target, tmp_path: Path) -> None:
    text = GOOD if style == "compact" else json.dumps(json.loads(GOOD), indent=2)
    member = PLACES[place] if style == "compact" else PLACES[place] + " "
    assert member in text
    at = text.index(member)
    value = json.JSONDecoder().raw_decode(text[at + len(member) :].lstrip())[0]
    written = member.replace(":", " :") if style == "spaced" else member
    (tmp_path / "b.json").write_text(f"{text[:at]}{written}{json.dumps(value)},{text[at:]}")
    result = strictly(tmp_path / "b.json", target)
    assert result.outcome is Outcome.REFUSED
    assert result.error is not None
    assert member[1:].split('"')[0] in result.error.message
    assert not is_valid(tmp_path / "b.json")
    assert replay_bundle(tmp_path / "b.json", target, ReplayOptions(strict=False)).outcome is Outcome.MATCH


@pytest.mark.parametrize("place", ["config", "event", "decision", "captured effect", "effect", "write"])
def test_an_unknown_member_is_refused_at_every_depth(place: str, target: Target, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(GOOD.replace(PLACES[place], f'"note":1,{PLACES[place]}', 1))
    result = strictly(tmp_path / "b.json", target)
    assert result.error is not None
    assert (result.outcome, result.error.code) == (Outcome.REFUSED, "bundle.inconsistent")
    assert "note" in result.error.message
    assert not is_valid(tmp_path / "b.json")
    assert replay_bundle(tmp_path / "b.json", target, ReplayOptions(strict=False)).outcome is Outcome.MATCH


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("bundle", ["effect_hash.json", "effect_value_hash_kept.json"])
def test_an_effect_that_has_not_its_hash_was_edited(bundle: str, strict: bool, target: Target) -> None:
    result = replay_bundle(CASE / bundle, target, ReplayOptions(strict=strict))
    assert result.outcome is Outcome.DIVERGED
    [divergence] = result.divergences
    assert (divergence.code, divergence.cause) == ("replay.effect_mismatch", "bundle_edited")
    assert (divergence.node, divergence.origin) == (None, None)
    assert not is_valid(CASE / bundle)


def test_an_effect_that_has_its_hash_is_blamed_on_its_node(target: Target) -> None:
    [divergence] = replay_bundle(CASE / "effect_value_and_hash.json", target).divergences
    assert (divergence.cause, divergence.node) == (None, "s_last")


def paths_of(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all members and items of a document."""
    found: list[tuple[Any, ...]] = []
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, child in inner:
        found += [(*path, step), *paths_of(child, (*path, step))]
    return found


DOCUMENT = json.loads(GOOD)
PATHS = [path for path in paths_of(DOCUMENT) if "payload" not in path[:-1]]
VALUES = st.sampled_from([None, 0, 1, -1, 2**64, 1.5, "", "x", "Completed", "Invoke", [], {}, {"Number": 1.0}])


@st.composite
def edited_bundles(draw: st.DrawFn) -> str:
    """The text of a bundle after one to three edits: a value replaced, a member or item removed, added, rehashed."""
    document = json.loads(GOOD)
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=3)):
        edit_at(document, path, draw(st.sampled_from(["set", "drop", "add", "rehash"])), deepcopy(draw(VALUES)))
    return json.dumps(document, separators=(",", ":"))


def edit_at(document: Any, path: tuple[Any, ...], edit: str, value: Any) -> None:
    holder = document
    try:
        for step in path[:-1]:
            holder = holder[step]
        match edit:
            case "set":
                holder[path[-1]] = value
            case "drop":
                del holder[path[-1]]
            case "add" if isinstance(holder, dict):
                holder["note"] = value
            case "add":
                holder.append(value)
            case _:
                text = json.dumps(holder["effect"], separators=(",", ":")).encode()
                holder["effect_hash"] = effect_hash(text)
    except (KeyError, IndexError, TypeError, AttributeError):
        return


@given(text=edited_bundles())
def test_validate_and_strict_agree(text: str, target: Target, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "agree.json"
    path.write_text(text)
    result = strictly(path, target)
    valid = is_valid(path)
    if result.outcome is Outcome.MATCH:
        assert valid
    if valid:
        assert result.error is None or not result.error.code.startswith("bundle."), result.error
    elif result.outcome is Outcome.DIVERGED:
        assert names_the_edit(path, result)


def names_the_edit(path: Path, result: BundleResult) -> bool:
    """Whether a divergence shows what is invalid: an edited effect, no partner, another decision or termination."""
    kinds = {divergence.kind.value for divergence in result.divergences}
    causes = {divergence.cause for divergence in result.divergences}
    try:
        reader = open_bundle(path)
        equally_many = reader.event_count == reader.decision_count
        paired = all(a.event_id == b.event_id for a, b in zip(reader.events(), reader.decisions(), strict=False))
    except ErgoError:
        return False
    return "bundle_edited" in causes or not equally_many or not paired or bool(kinds & {"decision", "termination"})
