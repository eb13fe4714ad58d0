"""Render what became of a capture that was replayed elsewhere before its bundle was moved into place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, exit_code
from ergo_cli.host.perform import RunResult
from ergo_cli.replay.results import Outcome
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.comparisons import REPLAY, bundle_document, extent
from ergo_cli.report.document import error_document, failure_outcome, gravest
from ergo_cli.report.error_text import near
from ergo_cli.report.first_decision import first_decision
from ergo_cli.report.text import Block, Fields, Line, Row, Rows, Tone
from ergo_cli.tools.verification import Verification

_NOT_DETERMINISTIC = 1


def with_verification(
    run: CommandResult, result: RunResult, found: Verification | ErgoError, program: Sequence[str]
) -> CommandResult:
    """The rendered ``run`` with what its verification came to, in front where the bundle does not hold.

    ``program`` are the words of a command line that select the program.
    """
    if isinstance(found, ErgoError):
        return _not_verified(run, result, found)
    document = bundle_document(replace(found.result, warnings=(*found.result.warnings, Notice(_where(found)))))
    report = replace(run.report, bundles=(document,))
    if found.holds:
        return replace(run, report=report, blocks=tuple(map(_as_verified, run.blocks)))
    code = gravest((run.report.exit_code, _NOT_DETERMINISTIC))
    report = replace(report, outcome=Outcome.DIVERGED.value, exit_code=code)
    return replace(run, report=report, blocks=tuple(_blocks(result, found, program)))


def _as_verified(block: Block) -> Block:
    """The fields of a run with one more."""
    if not isinstance(block, Fields):
        return block
    return replace(block, pairs=(*block.pairs, ("verified", "replayed in two other processes")))


def _not_verified(run: CommandResult, result: RunResult, error: ErgoError) -> CommandResult:
    code = gravest((run.report.exit_code, exit_code(error.code)))
    report = replace(run.report, outcome=failure_outcome(code), exit_code=code, error=error_document(error))
    verdict = Line(f"not verified  {near(result.bundle or '')}", Tone.BAD)
    return replace(run, report=report, blocks=(verdict, *_kept(result)), errors=(*run.errors, error))


def _blocks(result: RunResult, found: Verification, program: Sequence[str]) -> Iterator[Block]:
    """Verdict, surroundings, the first decision that differs, where the bundle is."""
    verdict = f"not deterministic  {near(found.result.path)}  {extent(found.result)}"
    yield Line(verdict, Tone.BAD)
    yield Line(f"replayed   {_process(found)}")
    yield Line(f"           {' '.join(found.surroundings)}")
    yield from first_decision(found.result, REPLAY, program, verbose=False, named=False)
    yield from _kept(result)


def _where(found: Verification) -> str:
    return f"replayed {_process(found)}, {' '.join(found.surroundings)}"


def _process(found: Verification) -> str:
    return "by a process that had replayed it before" if found.is_again else "by another process, in another folder"


def _kept(result: RunResult) -> Iterator[Block]:
    rows = [Row((f"kept       {near(result.bundle or '')}",))]
    if result.destination is not None:
        rows.append(Row((f"unchanged  {near(result.destination)}",)))
    yield Rows(tuple(rows))
