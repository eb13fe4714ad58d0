"""Streams that a test runs, and what it looks at afterwards: plain values, so that a failed assertion is readable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.bundle.schema import DecisionRecord, termination_name
from ergo_cli.core.json import free_text
from ergo_cli.core.levels import FailOn
from ergo_cli.core.values import SET_CONTEXT, NativeValue
from ergo_cli.host.perform import KeepRequest, perform
from ergo_cli.host.run_plan import RunRequest, plan_run
from ergo_cli.programs.kind import Line
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.explaining import Assigned, explain_event
from ergo_cli.replay.session import ReplayRequest, compared, find_for_bundle
from ergo_cli.report.comparisons import DIFF, REPLAY, Shown, render_comparison
from ergo_cli.report.layout import WIDTH, plain_lines

Events = str | PathLike[str] | Iterable[Mapping[str, Any]]
"""A stream: the path of its file, or its lines as dictionaries."""


class Record(Struct, frozen=True):
    """What a program in Python recorded: its kind; the step, action, state or stage; what went in and came out."""

    kind: str
    place: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Decided(Struct, frozen=True):
    """What was decided for one event, as plain values."""

    event_id: str
    decision: str
    """``Invoke``, ``Defer`` or ``Skip``."""
    termination: str | None
    """``Completed``, ``TimedOut``, ``Aborted``, ``Failed(…)``; None where no episode ran."""
    writes: dict[str, NativeValue]
    """The keys of the context that were set, with their last values."""
    intents: list[dict[str, Any]]
    """Each with its ``kind`` and its fields."""
    effects: list[str]
    """The kinds of all effects, in order."""


class Captured:
    """A stream that was run; its bundle is at ``path``. Other paths are relative to pytest's root folder."""

    def __init__(self, path: Path, flags: ProgramFlags, root: Path) -> None:
        self.path = path
        self._flags = flags
        self._root = root
        with open_bundle(path) as reader:
            self.decisions = [_decided(record) for record in reader.decisions()]

    def __getitem__(self, event_id: str) -> Decided:
        """The decision for an event, of several with one id the last. Fails the test where there is none."""
        found = [each for each in self.decisions if each.event_id == event_id]
        if not found:
            known = ", ".join(dict.fromkeys(each.event_id for each in self.decisions))
            pytest.fail(f"nothing was decided for '{event_id}', only for {known}")
        return found[-1]

    @property
    def intents(self) -> list[dict[str, Any]]:
        """The intents of all events, in order."""
        return [intent for each in self.decisions for intent in each.intents]

    def records(self, event_id: str) -> list[Record]:
        """What a program in Python recorded for an event, in order; of a graph its nodes."""
        lines = self._lines(event_id)
        return [Record(line.impl, line.path, dict(line.inputs), dict(line.outputs)) for line in lines]

    def assert_replays(self) -> None:
        """Fail the test unless the program decides the same again, strictly: it is deterministic."""
        result = compared(str(self.path), ReplayRequest(self._flags, strict=True), ProgramStore.of_user())
        rendered = render_comparison("replay", [result], REPLAY, shown=Shown(program=self._flags.words))
        if rendered.report.exit_code:
            pytest.fail("\n".join(plain_lines(rendered.blocks, WIDTH)), pytrace=False)

    def assert_decides_as(self, bundle: str | PathLike[str]) -> None:
        """Fail the test unless the same was decided as a kept bundle has it, event by event; evidence may differ."""
        kept = str(self._root / fspath(bundle))
        rendered = render_comparison("diff", [diff_bundles(kept, str(self.path), fail_on=FailOn.DECISION)], DIFF)
        if rendered.report.exit_code:
            pytest.fail("\n".join(plain_lines(rendered.blocks, WIDTH)), pytrace=False)

    def _lines(self, event_id: str) -> Iterator[Line]:
        def today(reader: BundleReader) -> Assigned:
            found = find_for_bundle(reader, self._flags, ProgramStore.of_user())
            return Assigned(found.program, adapter=found.adapter)

        with open_bundle(self.path) as reader:
            explained = explain_event(reader, today, event_id)
        for part in explained.parts:
            yield from part.lines


def capture(events: Events, root: Path, project: Path, profile: str | None, folder: Path) -> Captured:
    """Run ``events`` through the program of a profile; the bundle goes below ``folder``. Raises ErgoError.

    The path of a stream is relative to ``root``.
    """
    flags = ProgramFlags(profile=profile, project=project)
    number = sum(1 for _ in folder.glob("ergo-capture-*.json")) + 1
    stream = root / events if isinstance(events, str | PathLike) else _written(events, folder, number)
    plan = plan_run(RunRequest(flags, events=str(stream), dry_run=True))
    bundle = folder / f"ergo-capture-{number}.json"
    perform(replace(plan, store=None, artifacts=None), KeepRequest(output=bundle))
    return Captured(bundle, flags, root)


def _written(lines: Iterable[Mapping[str, Any]], folder: Path, number: int) -> Path:
    path = folder / f"ergo-events-{number}.jsonl"
    path.write_bytes(b"".join(free_text(line) + b"\n" for line in lines))
    return path


def _decided(record: DecisionRecord) -> Decided:
    effects = [captured.effect for captured in record.effects]
    return Decided(
        record.event_id,
        record.decision.value,
        None if record.termination is None else termination_name(record.termination),
        {write.key: write.value.native for effect in effects for write in effect.writes},
        [
            {"kind": intent.kind, **{field.name: field.value.native for field in intent.fields}}
            for effect in effects
            if effect.kind != SET_CONTEXT
            for intent in effect.intents
        ],
        [effect.kind for effect in effects],
    )
