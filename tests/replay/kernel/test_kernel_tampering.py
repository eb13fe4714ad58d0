"""Kernel bundles that were tampered with, all digests made to fit again: refused, or found (spec 00 §13.4, §13.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from replayed_kernels import EXAMPLE, resealed_entry, sealed
from tampering import BASES, END, FOUND, RECORDS, REFUSED, Edit, Tree, example, put

from ergo_cli.bundle.checking import check_bundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.errors import ErgoError
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.preflight import scan_bundle
from ergo_cli.replay.results import BundleResult, DivergenceKind, Outcome, ReplayOptions

INVALID = "bundle.journal_invalid"


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., BundleResult]:
    """The replay of a base bundle after an edit."""

    def judge(base: str, edit: Edit, *, strict: bool = False, reseal: bool = True) -> BundleResult:
        make, target = BASES[base]
        tree = make()
        edit(tree)
        for entry in tree["journals"] if reseal else ():
            resealed_entry(entry)
        path = tmp_path / "b.json"
        path.write_bytes(sealed(tree))
        return replay_bundle(path, target, ReplayOptions(strict=strict))

    return judge


def code_of(result: BundleResult) -> str | None:
    return None if result.error is None else result.error.code


@pytest.mark.parametrize("base", list(BASES))
@pytest.mark.parametrize("strict", [False, True])
def test_untouched_bundles_match(judged: Callable[..., BundleResult], base: str, strict: bool) -> None:
    result = judged(base, lambda tree: None, strict=strict)
    assert (result.outcome, result.error, result.divergences) == (Outcome.MATCH, None, ())


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_not_as_a_capture_writes_it_is_refused(
    judged: Callable[..., BundleResult], name: str, strict: bool
) -> None:
    base, edit = REFUSED[name]
    result = judged(base, edit, strict=strict)
    assert (result.outcome, code_of(result), result.events) == (Outcome.REFUSED, INVALID, None)
    assert result.error is not None
    assert result.error.where is not None
    assert "b.json " in result.error.where
    assert result.error.fix


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", list(FOUND))
def test_what_cannot_have_happened_is_found(judged: Callable[..., BundleResult], name: str, strict: bool) -> None:
    base, edit, path = FOUND[name]
    result = judged(base, edit, strict=strict)
    assert (result.outcome, result.error) == (Outcome.DIVERGED, None)
    assert path in [found.path for found in result.divergences]
    kinds = {found.kind for found in result.divergences if found.path.startswith("journals")}
    assert kinds <= {DivergenceKind.JOURNAL}


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (put("graph_id", "other"), "replay.graph_id_mismatch"),
        (put("runtime_provenance", "kpv1:sha256:0"), "replay.runtime_provenance_mismatch"),
        (put("adapter_provenance", "apv1:sha256:0"), "replay.adapter_required"),
        (put("events/0/payload", "{}"), "replay.hash_mismatch"),
    ],
)
def test_what_strict_refuses(judged: Callable[..., BundleResult], edit: Edit, code: str) -> None:
    assert code_of(judged("example", edit, strict=True)) == code


def test_records_changed_without_their_digest(judged: Callable[..., BundleResult]) -> None:
    result = judged("example", put(f"{RECORDS}/4/seq", 5), reseal=False)
    assert code_of(result) == INVALID
    assert result.error is not None
    assert "digest" in result.error.message


def test_a_text_changed_without_the_digest_of_the_bundle(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(EXAMPLE.read_bytes().replace(b'"output":0.5', b'"output":0.7'))
    with pytest.raises(ErgoError) as refused:
        scan_bundle(str(path))
    assert refused.value.code == "bundle.digest_mismatch"


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all leaves, members and items of a JSON value."""
    if at:
        yield at
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, (*at, name))


def other(value: Any) -> Any:
    match value:
        case bool() | None:
            return "x"
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case _:
            return None


FACTS = ("message", "sha256")
"""What is never compared, and what is recomputed."""


@pytest.mark.parametrize("base", list(BASES))
def test_no_single_change_of_a_journal_passes(judged: Callable[..., BundleResult], base: str) -> None:
    """Every member and item of every entry, changed and removed."""
    unnoticed: list[tuple[str | int, ...]] = []
    for place in list(places(BASES[base][0]()["journals"])):
        if place[-1] in FACTS or place[-2:] == ("ActionFailed", "error"):
            continue  # the text of a failure is a fact of the world, which nothing can contradict
        for change in ("other", "removed"):

            def edit(tree: Tree, place: tuple[str | int, ...] = place, change: str = change) -> None:
                holder: Any = tree["journals"]
                for step in place[:-1]:
                    holder = holder[step]
                if change == "other":
                    holder[place[-1]] = other(holder[place[-1]])
                else:
                    del holder[place[-1]]

            result = judged(base, edit, reseal=_is_whole(base, edit))
            unnoticed += [place] if result.outcome is Outcome.MATCH else []
    assert unnoticed == []


def _is_whole(base: str, edit: Edit) -> bool:
    """Whether the journals are still lists of records after an edit, so that digests can be made to fit."""
    tree = BASES[base][0]()
    edit(tree)
    return all(isinstance(entry, dict) and isinstance(entry.get("records"), list) for entry in tree["journals"])


@pytest.mark.parametrize("name", list(REFUSED))
def test_validate_refuses_the_same(tmp_path: Path, name: str) -> None:
    base, edit = REFUSED[name]
    tree = BASES[base][0]()
    edit(tree)
    for entry in tree["journals"]:
        resealed_entry(entry)
    path = tmp_path / "b.json"
    path.write_bytes(sealed(tree))
    with open_bundle(str(path)) as reader:
        assert INVALID in [error.code for error in check_bundle(reader)]


def test_validate_compares_journal_and_decision(tmp_path: Path) -> None:
    tree = example()
    put(f"{END}/termination", "TimedOut")(tree)
    resealed_entry(tree["journals"][0])
    path = tmp_path / "b.json"
    path.write_bytes(sealed(tree))
    with open_bundle(str(path)) as reader:
        [error] = check_bundle(reader)
    assert (error.code, error.where) == ("bundle.inconsistent", f"{path} decisions[0].termination")


def test_validate_checks_embedded_sources(tmp_path: Path) -> None:
    tree = example()
    tree["program"]["sources"] = [{"path": "agent/program.py", "sha256": "0" * 64, "text": "x"}]
    path = tmp_path / "b.json"
    path.write_bytes(sealed(tree))
    with open_bundle(str(path)) as reader:
        [error] = check_bundle(reader)
    assert (error.code, error.where) == ("bundle.inconsistent", f"{path} program.sources[0]")


@pytest.mark.parametrize("left", ["journals", "artifacts"])
def test_a_graph_has_no_journals(tmp_path: Path, left: str) -> None:
    tree = example()
    tree["program"] = {"kind": "graph", "ref": "approve@1"}
    if left == "journals":
        tree["artifacts"] = {}
    else:
        tree["journals"] = []
    path = tmp_path / "b.json"
    path.write_bytes(sealed(tree))
    with open_bundle(str(path)) as reader:
        assert [error.code for error in check_bundle(reader)] == [INVALID]
