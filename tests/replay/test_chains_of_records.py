"""Behind every part of every recorded episode stands a chain, and where the program is that of the capture it differs
nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.kind import SaysWhy
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.explaining import Assigned
from ergo_cli.replay.record_reasons import why_recorded
from ergo_cli.replay.session import ReplayRequest, both_programs, one_decision

FIXTURES = Path(__file__).parents[2] / "fixtures"
FLAGS = ProgramFlags(None, None, None, (), None, None)


def steps(cause: Cause) -> Iterator[Cause]:
    yield cause
    for source in cause.sources:
        yield from steps(source)


@pytest.mark.parametrize("bundle", ["settlement/captures/friday.json", "orders/captures/morning.json"])
def test_a_chain_of_the_captured_program_differs_nowhere(
    bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = FIXTURES / bundle
    monkeypatch.chdir(path.parents[1])
    store = ProgramStore(tmp_path)
    request = ReplayRequest(FLAGS, strict=False)

    def find(reader: BundleReader) -> Assigned:
        return both_programs(reader, FLAGS, store, None)

    count = 0
    with open_bundle(str(path)) as reader:
        acting, program = reader.kind.acting, find(reader).program.value
        assert isinstance(acting, SaysWhy)
        for recorded in [*BundleJournals(reader).episodes()][-3:]:
            assert recorded.episode is not None
            for part in acting.parts(program, recorded.episode):
                found = why_recorded(
                    reader,
                    find,
                    lambda seq: one_decision(str(path), request, store, seq),
                    recorded.decision.event_id,
                    part,
                )
                assert found is not None
                different = [each.part for each in steps(found.cause) if each.differs or each.is_change]
                assert different == [], (recorded.decision.event_id, part)
                count += 1
    assert count > 30
