"""Journals of programs that spawn runs and record what closing them did, dealt out to decisions (spec 00 §13.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO

import pytest
from msgspec.structs import replace

from ergo_cli.bundle.checking import check_bundle
from ergo_cli.bundle.journals import BundleJournals, Recorded
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import DecisionRecord, ProgramRecord, artifact_text
from ergo_cli.errors import BundleError
from ergo_cli.programs.kinds import KINDS
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.supervisor.seam import Decision, ErrKind, Failed
from ergo_cli.testing.bundles import bundle_of, completed, event_record
from tests.support.journal_kind import WHERE, entry

INVALID = "bundle.journal_invalid"
NOTE = {"note": "x"}
FAULT = {"fault": "it cannot be so"}
TWO = [completed("e0", 0), completed("e1", 1)]


@pytest.fixture(autouse=True)
def notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a kind whose programs keep notes."""
    monkeypatch.setitem(KINDS, "notes", WHERE)


def skipped(event_id: str) -> DecisionRecord:
    return DecisionRecord(event_id, Decision.SKIP, None, 0, None, None, 0, ())


def deferred(event_id: str, episode_id: int) -> DecisionRecord:
    return DecisionRecord(event_id, Decision.DEFER, 0, episode_id, None, None, 0, ())


def retried(event_id: str, episode_id: int, retries: int) -> DecisionRecord:
    return replace(completed(event_id, episode_id), retry_count=retries)


def reader_of(
    decisions: Sequence[DecisionRecord],
    journals: Sequence[bytes],
    artifacts: Mapping[str, bytes] = {},
    kind: str = "notes",
) -> BundleReader:
    bundle = bundle_of([event_record(each.event_id) for each in decisions], decisions)
    program = ProgramRecord(kind, "notes.program:program")
    whole = CaptureBundle(bundle.header, bundle.events, bundle.decisions, None, program, tuple(journals), artifacts)
    return BundleReader("b.json", BytesIO(whole.encode()))


def journals_of(
    decisions: Sequence[DecisionRecord], journals: Sequence[bytes], artifacts: Mapping[str, bytes] = {}
) -> BundleJournals:
    return BundleJournals(reader_of(decisions, journals, artifacts))


def places(recorded: Recorded) -> list[tuple[int, int | None, str]] | None:
    """The entries that a decision was dealt; None where it has no episode."""
    if recorded.episode is None:
        return None
    return [(each.index, each.episode_id, each.run_id) for each in recorded.episode.entries]


def read(journals: BundleJournals) -> tuple[list[Recorded], BundleError | None]:
    """As many episodes as can be read, and the error that is raised after them."""
    found: list[Recorded] = []
    episodes: Iterator[Recorded] = journals.episodes()
    try:
        for recorded in episodes:
            found.append(recorded)
    except BundleError as error:
        return found, error
    return found, None


def refusal(journals: BundleJournals) -> tuple[int, str, str]:
    """How many decisions were dealt their entries before the error, then its place and its message."""
    found, error = read(journals)
    assert error is not None
    assert (error.code, error.fix is not None) == (INVALID, True)
    with pytest.raises(BundleError) as checked:
        journals.check()
    assert (checked.value.code, checked.value.where) == (INVALID, error.where), "check raises as episodes do"
    assert error.where is not None
    assert error.where.startswith("b.json ")
    return len(found), error.where.removeprefix("b.json "), error.message


def damaged(text: bytes) -> bytes:
    """An entry whose records are not those that its digest covers."""
    assert text.count(b'"note":"x"') == 1
    return text.replace(b'"note":"x"', b'"note":"y"')


def artifact(content: bytes) -> tuple[str, dict[str, bytes]]:
    """An artifact: its id, and the member of the bundle that holds it."""
    name = artifact_id(content)
    return name, {name: artifact_text(content)}


# --- runs that an episode spawned


def test_an_episode_has_its_own_entry_and_then_those_of_the_runs_it_spawned() -> None:
    entries = [entry(0, "a"), entry(0, "a/1"), entry(0, "a/2"), entry(1, "b"), entry(1, "b/1")]
    found, error = read(journals_of(TWO, entries))
    assert error is None
    assert [recorded.decision.event_id for recorded in found] == ["e0", "e1"]
    assert [places(recorded) for recorded in found] == [
        [(0, 0, "a"), (1, 0, "a/1"), (2, 0, "a/2")],
        [(3, 1, "b"), (4, 1, "b/1")],
    ]


def test_an_episode_may_spawn_nothing_between_others_that_do() -> None:
    decisions = [*TWO, completed("e2", 2)]
    entries = [entry(0, "a"), entry(0, "a/1"), entry(1, "b"), entry(2, "c"), entry(2, "c/1")]
    found, error = read(journals_of(decisions, entries))
    assert error is None
    assert [[place for place, _, _ in places(recorded) or ()] for recorded in found] == [[0, 1], [2], [3, 4]]


def test_a_spawned_run_keeps_its_records() -> None:
    [recorded], error = read(journals_of(TWO[:1], [entry(0, "a"), entry(0, "a/1", {"note": "child"}, NOTE)]))
    assert error is None
    assert recorded.episode is not None
    _, child = recorded.episode.entries
    [call] = child.calls
    assert (call.first, call.records) == (0, (b'{"note":"child"}', b'{"note":"x"}'))


def test_decisions_without_episode_are_dealt_nothing() -> None:
    """Deferred work has the entries with the decision that ran it."""
    decisions = [completed("e0", 0), deferred("e1", 1), skipped("e2"), completed("e3", 2), completed("p", 1)]
    entries = [entry(0, "a"), entry(0, "a/1"), entry(2, "c"), entry(1, "b"), entry(1, "b/1")]
    found, error = read(journals_of(decisions, entries))
    assert error is None
    assert [places(recorded) for recorded in found] == [
        [(0, 0, "a"), (1, 0, "a/1")],
        None,
        None,
        [(2, 2, "c")],
        [(3, 1, "b"), (4, 1, "b/1")],
    ]


def test_only_an_episodes_own_run_has_as_many_calls_as_attempts() -> None:
    decisions = [retried("e0", 0, 1)]
    children = [entry(0, "a/1"), entry(0, "a/2", calls=3)]
    found, error = read(journals_of(decisions, [entry(0, "a", calls=2), *children]))
    assert (error, len(found)) == (None, 1)
    dealt, where, message = refusal(journals_of(decisions, [entry(0, "a"), entry(0, "a/1", calls=2)]))
    assert (dealt, where) == (0, "journals[0]")
    assert "it has 1 calls, decision 0 tells of 2" in message


def test_how_a_spawned_run_ended_is_not_the_decisions_termination() -> None:
    lost = Failed(ErrKind.RUNTIME_ERROR)
    with reader_of(TWO[:1], [entry(0, "a"), entry(0, "a/1", termination=lost)]) as reader:
        assert list(check_bundle(reader)) == []
    with reader_of(TWO[:1], [entry(0, "a", termination=lost), entry(0, "a/1")]) as reader:
        [error] = check_bundle(reader)
    assert (error.code, error.where) == ("bundle.inconsistent", "b.json decisions[0].termination")


# --- what closing recorded


def test_the_closing_entry_is_known_once_all_decisions_are_read() -> None:
    journals = journals_of(TWO, [entry(0, "a"), entry(1, "b"), entry(1, "b/1"), entry(None, "flow", NOTE)])
    episodes = journals.episodes()
    for _ in TWO:
        next(episodes)
        assert journals.closing is None
    assert next(episodes, None) is None
    assert journals.closing is not None
    [closing] = journals.closing.entries
    assert (closing.index, closing.episode_id, closing.run_id) == (3, None, "flow")
    assert closing.calls[0].records == (b'{"note":"x"}',)


def test_each_reading_begins_anew() -> None:
    journals = journals_of(TWO, [entry(0, "a"), entry(0, "a/1"), entry(1, "b"), entry(None, "flow")])
    first, _ = read(journals)
    assert journals.closing is not None
    episodes = journals.episodes()
    next(episodes)
    assert journals.closing is None, "a new reading has not come to it yet"
    second, _ = read(journals)
    assert [places(recorded) for recorded in first] == [places(recorded) for recorded in second]
    assert journals.closing is not None


def test_a_program_need_not_record_its_closing() -> None:
    journals = journals_of(TWO, [entry(0, "a"), entry(1, "b")])
    _, error = read(journals)
    assert (error, journals.closing) == (None, None)
    journals.check()


@pytest.mark.parametrize("decisions", [[], [skipped("e0")]])
def test_a_run_without_episodes_has_a_closing_entry_alone(decisions: list[DecisionRecord]) -> None:
    journals = journals_of(decisions, [entry(None, "flow")])
    found, error = read(journals)
    assert ([places(recorded) for recorded in found], error) == ([None] * len(decisions), None)
    assert journals.closing is not None
    assert [each.index for each in journals.closing.entries] == [0]


@pytest.mark.parametrize("episode_id", [0, None])
def test_kernels_spawn_no_runs_and_record_no_closing(episode_id: int | None) -> None:
    entries = [entry(0, "a"), entry(episode_id, "a/1")]
    dealt, where, message = refusal(BundleJournals(reader_of(TWO[:1], entries, kind="kernel")))
    assert (dealt, where) == (0 if episode_id == 0 else 1, "journals[1]")
    assert "it belongs to no decision (journals[1])" in message


def test_graphs_record_nothing() -> None:
    dealt, where, message = refusal(BundleJournals(reader_of(TWO, [entry(0, "a"), entry(None, "a")], kind="graph")))
    assert (dealt, where) == (0, "journals[0]")
    assert "a graph program records nothing in journals" in message


# --- entries that belong to no decision


@pytest.mark.parametrize(
    ("episode_ids", "surplus"),
    [
        ([0, 1, 2], 2),
        ([0, 0, 1, 1, 7], 4),
        ([0, 1, 0], 2),
        ([0, 1, None, None], 3),
        ([0, 1, None, 1], 3),
        ([0, 1, 2, None], 2),
    ],
)
def test_an_entry_too_many_is_found_behind_the_last_decision(episode_ids: list[int | None], surplus: int) -> None:
    entries = [entry(episode_id, "a") for episode_id in episode_ids]
    dealt, where, message = refusal(journals_of(TWO, entries))
    assert (dealt, where) == (2, f"journals[{surplus}]")
    assert "it belongs to no decision" in message


@pytest.mark.parametrize(
    ("episode_ids", "seq", "place"),
    [
        ([2, 0, 1], 0, 0),
        ([None, 0, 1], 0, 0),
        ([1, 0], 0, 0),
        ([0, 2, 1], 1, 1),
        ([0, None, 1], 1, 1),
        ([0, 0, 0], 1, None),
        ([0, None], 1, 1),
        ([0], 1, None),
        ([], 0, None),
    ],
)
def test_a_decision_is_dealt_no_entry_of_another_episode(
    episode_ids: list[int | None], seq: int, place: int | None
) -> None:
    entries = [entry(episode_id, "a") for episode_id in episode_ids]
    dealt, where, message = refusal(journals_of(TWO, entries))
    assert dealt == seq
    if place is None:
        assert where == f"decisions[{seq}]"
        assert f"decision {seq} has no entry" in message
    else:
        assert where == f"journals[{place}]"
        assert f"decision {seq} ran episode {seq}" in message


# --- artifacts


def test_artifacts_may_be_named_by_a_spawned_run_or_by_closing() -> None:
    (one, first), (two, second) = artifact(b"1"), artifact(b"2")
    entries = [entry(0, "a"), entry(0, "a/1", {"artifact": one}), entry(None, "a", {"artifact": two})]
    _, error = read(journals_of(TWO[:1], entries, first | second))
    assert error is None


def test_an_artifact_that_only_an_unread_closing_could_name_is_surplus() -> None:
    name, held = artifact(b"1")
    dealt, where, message = refusal(journals_of(TWO[:1], [entry(0, "a"), entry(0, "a/1")], held))
    assert (dealt, where) == (1, f'artifacts."{name}"')
    assert "is named by no frame" in message


def test_an_artifact_that_a_spawned_run_names_and_that_is_not_there() -> None:
    name, _ = artifact(b"1")
    dealt, where, _ = refusal(journals_of(TWO[:1], [entry(0, "a"), entry(0, "a/1", {"artifact": name})]))
    assert (dealt, where) == (0, f'artifacts."{name}"')


# --- which of several faults is raised


def test_a_damaged_entry_is_raised_when_it_is_its_turn() -> None:
    """It is not known whose it is: the episode before it is whole without it."""
    dealt, where, message = refusal(journals_of(TWO, [entry(0, "a"), damaged(entry(0, "a/1", NOTE)), entry(1, "b")]))
    assert (dealt, where) == (1, "journals[1]")
    assert "digest" in message


def test_a_fault_of_the_kind_is_raised_before_a_damaged_entry_that_was_read_ahead() -> None:
    entries = [entry(0, "a", NOTE, FAULT), damaged(entry(0, "a/1", NOTE)), entry(1, "b")]
    dealt, where, message = refusal(journals_of(TWO, entries))
    assert (dealt, where) == (0, "journals[0].records[2]")
    assert "it cannot be so (journals[0].records[2])" in message


def test_too_few_calls_are_raised_before_a_damaged_entry_behind_them() -> None:
    dealt, where, _ = refusal(journals_of([retried("e0", 0, 1)], [entry(0, "a"), damaged(entry(0, "a/1", NOTE))]))
    assert (dealt, where) == (0, "journals[0]")


def test_a_fault_in_a_spawned_run_is_placed_in_its_entry() -> None:
    entries = [entry(0, "a", NOTE), entry(0, "a/1", NOTE), entry(0, "a/2", NOTE, NOTE, FAULT), entry(1, "b", FAULT)]
    dealt, where, _ = refusal(journals_of(TWO, entries))
    assert (dealt, where) == (0, "journals[2].records[3]")


def test_a_fault_in_a_later_call_of_a_spawned_run_is_placed_in_its_record() -> None:
    dealt, where, _ = refusal(journals_of(TWO[:1], [entry(0, "a"), entry(0, "a/1", NOTE, FAULT, calls=2)]))
    assert (dealt, where) == (0, "journals[1].records[4]")


def test_a_damaged_entry_behind_the_last_episode_is_raised_after_decisions_that_ran_nothing() -> None:
    _, held = artifact(b"1")
    decisions = [completed("e0", 0), skipped("e1"), deferred("e2", 1)]
    dealt, where, _ = refusal(journals_of(decisions, [entry(0, "a"), damaged(entry(None, "a", NOTE))], held))
    assert (dealt, where) == (3, "journals[1]"), "before the artifact that nothing names"


def test_a_fault_in_the_closing_entry_is_raised_last_but_for_surplus_artifacts() -> None:
    _, held = artifact(b"1")
    entries = [entry(0, "a"), entry(1, "b"), entry(None, "flow", NOTE, FAULT)]
    dealt, where, _ = refusal(journals_of(TWO, entries, held))
    assert (dealt, where) == (2, "journals[2].records[2]")


def test_an_entry_behind_the_closing_one_is_raised_before_the_fault_in_it() -> None:
    entries = [entry(0, "a"), entry(1, "b"), entry(None, "flow", FAULT), entry(None, "flow")]
    dealt, where, _ = refusal(journals_of(TWO, entries))
    assert (dealt, where) == (2, "journals[3]")


def test_a_damaged_artifact_is_raised_before_any_entry() -> None:
    name, _ = artifact(b"1")
    journals = journals_of(TWO, [damaged(entry(0, "a", NOTE))], {name: artifact_text(b"2")})
    dealt, where, message = refusal(journals)
    assert (dealt, where) == (0, f'artifacts."{name}"')
    assert "holds bytes whose hash is" in message
