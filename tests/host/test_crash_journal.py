"""Crash journals: what is in them at every moment, and the bundles that are made of them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from ergo_cli.bundle.schema import Header, IntentAck
from ergo_cli.core.values import Intent
from ergo_cli.errors import CaptureWriteError, ErgoError, UsageError
from ergo_cli.host import recovery as recovering
from ergo_cli.host.crash_journal import CrashJournal
from ergo_cli.host.effects import SentIntent
from ergo_cli.host.perform import KeepRequest, RunOptions, perform
from ergo_cli.host.recovery import recover
from ergo_cli.host.run_plan import RunRequest, plan_run
from ergo_cli.supervisor.seam import Constraints
from ergo_cli.testing.worlds import ScriptedDispatcher
from tests.channels.ingress_drivers import scripted
from tests.channels.ingress_runs import PROGRAM, replayed
from tests.host.stages import Stage, desk, publishes, writes
from tests.support.events import tick

HEADER = Header("g", Constraints(), "rpv1:sha256:test")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def tick_lines(count: int) -> str:
    event = {"type": "Command", "semantic_kind": "tick", "at": "1500ms"}
    lines = ({"kind": "event", "event": {**event, "payload": {"x": n + 0.5}}} for n in range(count))
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def journal(tmp_path: Path) -> bytes:
    """The journal of a run of four events, as it stands before the run removes it, beside the run's own ``b.json``."""
    (tmp_path / "e.jsonl").write_text(tick_lines(4))
    file, copies = tmp_path / "run.journal", list[bytes]()
    plan = plan_run(RunRequest(PROGRAM, str(tmp_path / "e.jsonl")))
    perform(
        plan,
        KeepRequest(tmp_path / "b.json"),
        lambda: copies.append(file.read_bytes()),
        RunOptions(journal=file),
    )
    assert not file.exists()
    assert [copy.count(b"\n") for copy in copies] == [2, 3, 4, 5]
    return copies[-1]


def recovered(tmp_path: Path, text: bytes) -> Path:
    (tmp_path / "left.journal").write_bytes(text)
    bundle = tmp_path / "recovered.json"
    bundle.unlink(missing_ok=True)
    recover(tmp_path / "left.journal", str(bundle))
    return bundle


def refused(tmp_path: Path, text: bytes) -> ErgoError:
    with pytest.raises(ErgoError) as caught:
        recovered(tmp_path, text)
    assert not (tmp_path / "recovered.json").exists()
    assert caught.value.fix
    return caught.value


def test_the_lines_of_a_journal(journal: bytes) -> None:
    head, first, *_ = map(json.loads, journal.splitlines())
    assert list(head) == [
        "journal",
        "graph_id",
        "config",
        "adapter_provenance",
        "runtime_provenance",
        "egress_provenance",
    ]
    assert (head["journal"], head["egress_provenance"], head["config"]["max_retries"]) == ("ergo.journal/2", None, 0)
    assert list(first) == ["event", "decision"]
    assert (first["event"]["payload"], first["event"]["event_time"]) == ('{"x":0.5}', {"secs": 1, "nanos": 500000000})
    assert first["decision"]["effects"][0]["effect"]["kind"] == "set_context"
    assert b": " not in journal


def test_a_whole_journal_gives_the_runs_own_bundle(journal: bytes, tmp_path: Path) -> None:
    assert recovered(tmp_path, journal).read_bytes() == (tmp_path / "b.json").read_bytes()


def test_every_cut_gives_the_steps_before_it(journal: bytes, tmp_path: Path) -> None:
    lines = journal.splitlines(keepends=True)
    for steps in (1, 2, 3):
        whole = b"".join(lines[: steps + 1])
        for torn in (b"", lines[steps + 1][:1], lines[steps + 1][:-1]):
            assert replayed(recovered(tmp_path, whole + torn)) == steps


@pytest.mark.parametrize("lines", [0, 1])
def test_a_journal_without_a_step(journal: bytes, tmp_path: Path, lines: int) -> None:
    kept = journal.splitlines(keepends=True)
    error = refused(tmp_path, b"".join(kept[:lines]) + kept[lines][:-1])
    assert error.code == "driver.output_incomplete"


def damaged(journal: bytes) -> dict[str, bytes]:
    head, first, *rest = journal.splitlines(keepends=True)
    step = json.loads(first)
    other_id = json.dumps({**step, "decision": {**step["decision"], "event_id": "other"}})
    return {
        "no JSON": head + b"{oops\n" + first,
        "blank": head + b"\n" + first,
        "another format": head.replace(b"journal/2", b"journal/1") + first,
        "no head": first + b"".join(rest),
        "unknown member": head + first.replace(b'{"event"', b'{"more":1,"event"'),
        "payload": head + first.replace(b"0.5", b"0.7", 1),
        "effect": head + first.replace(b'{"Number":0.5}', b'{"Number":0.7}'),
        "another event's decision": head + other_id.encode() + b"\n",
        "not UTF-8": head + first.replace(b"fixture_evt_1", b"\xff", 1),
        "time out of range": head + first.replace(b'"secs":1', b'"secs":18446744073709551616', 1),
        "count out of range": head.replace(b'"max_retries":0', b'"max_retries":18446744073709551616') + first,
        "nested too deep": head + b'{"event":' + b"[" * 200 + b"]" * 200 + b',"decision":{}}\n' + first,
    }


def test_any_other_bad_line_is_refused(journal: bytes, tmp_path: Path) -> None:
    for name, text in damaged(journal).items():
        error = refused(tmp_path, text)
        assert (error.code, str(error.where).startswith(f"{tmp_path}/left.journal:")) == ("journal.corrupt", True), name


def test_a_line_beyond_the_limit_is_named(journal: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovering, "LINE_LIMIT", 1 << 20)
    error = refused(tmp_path, journal + b"x" * (1 << 20) + b"\n")
    assert (error.code, error.where) == ("journal.corrupt", f"{tmp_path}/left.journal:6:1")


def test_a_journal_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ErgoError) as caught:
            recover(path, str(tmp_path / "b.json"))
        assert caught.value.code == "journal.read_failed"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_a_new_journal(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(tick_lines(1))
    (tmp_path / "run.journal").write_text("of yesterday")
    plan = plan_run(RunRequest(PROGRAM, str(tmp_path / "e.jsonl")))
    with pytest.raises(ErgoError) as caught:
        perform(plan, KeepRequest(tmp_path / "b.json"), options=RunOptions(journal=tmp_path / "run.journal"))
    assert caught.value.code == "journal.exists"
    assert (tmp_path / "run.journal").read_text() == "of yesterday"
    assert not (tmp_path / "b.json").exists()


def test_a_journal_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(CaptureWriteError) as caught:
        CrashJournal(tmp_path / "nowhere" / "run.journal", HEADER)
    assert caught.value.fix == "name another file with --journal"


@pytest.mark.parametrize(
    ("number", "helps"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "make the folder writable"), (errno.EIO, "check the disk")],
)
def test_a_journal_on_a_bad_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, helps: str) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CaptureWriteError, match=os.strerror(number)) as caught:
        CrashJournal(tmp_path / "run.journal", HEADER)
    assert caught.value.fix == f"{helps}, or name another file with --journal"
    assert list(tmp_path.iterdir()) == []


def test_a_refused_run_leaves_its_journal(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(tick_lines(2) + "nonsense\n")
    plan = plan_run(RunRequest(PROGRAM, str(tmp_path / "e.jsonl")))
    with pytest.raises(ErgoError):
        perform(plan, KeepRequest(tmp_path / "b.json"), options=RunOptions(journal=tmp_path / "run.journal"))
    assert not (tmp_path / "b.json").exists()
    recover(tmp_path / "run.journal", str(tmp_path / "b.json"))
    assert replayed(tmp_path / "b.json") == 2


def test_a_run_that_keeps_no_bundle_removes_its_journal_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(tick_lines(2))
    perform(plan_run(RunRequest(PROGRAM, str(tmp_path / "e.jsonl"))), options=RunOptions(journal=tmp_path / "j"))
    assert not (tmp_path / "j").exists()


def test_bundle_and_journal_in_one_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(tick_lines(1))
    plan = plan_run(RunRequest(PROGRAM, str(tmp_path / "e.jsonl")))
    place = tmp_path / "there" / ".." / "b.json"
    with pytest.raises(UsageError) as caught:
        perform(plan, KeepRequest(tmp_path / "b.json"), options=RunOptions(journal=place))
    assert caught.value.code == "cli.conflicting_options"
    assert [path.name for path in tmp_path.iterdir()] == ["e.jsonl"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_broken_run_removes_its_journal_only_where_there_is_a_bundle(tmp_path: Path, *, kept: bool) -> None:
    driver = tuple(scripted(tmp_path / "pid", "hello", "events:2", "exit:3"))
    keep = KeepRequest(tmp_path / "b.json") if kept else None
    result = perform(plan_run(RunRequest(PROGRAM, driver=driver)), keep, options=RunOptions(journal=tmp_path / "j"))
    assert result.error is not None
    assert (tmp_path / "j").exists() is not kept
    if not kept:
        recover(tmp_path / "j", str(tmp_path / "b.json"))
    assert replayed(tmp_path / "b.json") == 2


class Watching(ScriptedDispatcher):
    """Keeps what the journal ends with at the moment of each dispatch."""

    def __init__(self, file: Path) -> None:
        super().__init__({"publish": "broker"})
        self.last_lines: list[bytes] = []
        self._file = file

    def dispatch(self, kind: str, intent: Intent) -> IntentAck:
        self.last_lines.append(self._file.read_bytes().splitlines()[-1])
        return super().dispatch(kind, intent)


def test_intents_are_noted_before_they_are_sent(tmp_path: Path) -> None:
    file = tmp_path / "run.journal"
    dispatcher = Watching(file)
    with CrashJournal(file, HEADER, "epv1:sha256:test") as journal:
        stage = Stage(desk(), dispatcher, journal=journal)
        stage.runner.step(tick("a"))
        stage.invoker.give_effects("b", [writes(("y", 1.0)), publishes("i1", "i2")])
        stage.runner.step(tick("b"))
    noted = [
        b'{"intent":{"event_id":"b","intent_id":"i1","channel":"broker"}}',
        b'{"intent":{"event_id":"b","intent_id":"i2","channel":"broker"}}',
    ]
    assert dispatcher.last_lines == noted
    *before, step = file.read_bytes().splitlines(keepends=True)
    assert before[2:] == [line + b"\n" for line in noted]
    assert [ack["intent_id"] for ack in json.loads(step)["decision"]["intent_acks"]] == ["i1", "i2"]
    whole = recover(file, str(tmp_path / "whole.json"))
    assert (whole.steps, whole.unconfirmed) == (2, ())
    file.write_bytes(b"".join(before))
    cut = recover(file, str(tmp_path / "cut.json"))
    assert (cut.steps, cut.unconfirmed) == (1, (SentIntent("b", "i1", "broker"), SentIntent("b", "i2", "broker")))
    assert (tmp_path / "cut.json").read_bytes().endswith(b'"egress_provenance":"epv1:sha256:test"}\n')


def test_a_journal_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "run.journal"
    before = os.umask(0)
    try:
        with CrashJournal(file, HEADER):
            assert file.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
