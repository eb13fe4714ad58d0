"""Replay one bundle as ``verification`` asks: the process that it starts in surroundings unlike those of the capture.

``main`` reads a ``Task`` from standard input and writes an ``Answer`` to standard output.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.json import JsonValue
from ergo_cli.errors import ErgoError
from ergo_cli.programs.kinds import unexpected
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.explaining import explain_event
from ergo_cli.replay.results import BundleResult, Divergence, Outcome, Window, as_shown
from ergo_cli.replay.selection import BundlePath
from ergo_cli.replay.session import ReplayRequest, ReplaySession, both_programs
from ergo_cli.stores.inflation import reading_at_most

Outputs = Mapping[str, tuple[Mapping[str, JsonValue], tuple[bytes, ...]]]
"""What each node of an episode gave, by its path: its outputs, and the compact JSON of its effects."""

_FIRST = Window(last=0)


class Task(Struct, frozen=True):
    """The bundle at an absolute path and how to replay it; ``max_input`` is that of ``reading_at_most``.

    ``is_repeated``: again and again in one process, which shows what the program remembers of earlier events.
    """

    bundle: str
    request: ReplayRequest
    is_repeated: bool
    max_input: int | None


class Answer(Struct, frozen=True):
    """The first replay that did not match, else the last one, or the error that ended them.

    ``is_again``: the process had replayed the bundle before. ``outputs`` are those of the first episode that differs.
    """

    outcome: BundleResult | ErgoError
    is_again: bool = False
    outputs: Outputs = {}


def main() -> None:
    """Answer the task on standard input; what the program prints meanwhile is no answer."""
    answers = os.dup(1)
    os.dup2(2, 1)
    answer = _answer(pickle.load(sys.stdin.buffer))
    with open(answers, "wb") as stream:
        pickle.dump(answer, stream)


def first_divergence(result: BundleResult) -> Divergence | None:
    """The first difference in a decision, as reports show it."""
    return next((each for each in as_shown(result.divergences) if each.event_id is not None), None)


def node_outputs(bundle: str, request: ReplayRequest, divergence: Divergence | None) -> Outputs:
    """What each node of today's program gives, here, in the episode of a divergence; nothing where it has no nodes."""
    if divergence is None or divergence.event_id is None:
        return {}
    find = partial(both_programs, flags=request.flags, store=ProgramStore.of_user(), numbers=request.numbers)
    with suppress(ErgoError), open_bundle(bundle) as reader:
        explained = explain_event(reader, find, divergence.event_id, divergence.occurrence)
        if explained.is_traced:
            return {line.path: (line.outputs, line.effects) for part in explained.parts for line in part.lines}
    return {}


def _answer(task: Task) -> Answer:
    answer = Answer(unexpected(ValueError("nothing was replayed")))
    try:
        with reading_at_most(task.max_input):
            for number, result in enumerate(_results(task)):
                answer = Answer(result, is_again=number > 0)
                if result.outcome is not Outcome.MATCH:
                    first = first_divergence(result)
                    return replace(answer, outputs=node_outputs(task.bundle, task.request, first))
    except ErgoError as error:
        return Answer(error)
    except BaseException as error:  # noqa: BLE001 - sys.exit in user code must not look like the process's death
        traceback.print_exception(error)
        return Answer(unexpected(error))
    return answer


def _results(task: Task) -> Iterator[BundleResult]:
    """The bundle once, or three times: a memory of n calls then begins at 0, n, and 2 n plus those of one event."""
    yield _replayed(task)
    if task.is_repeated:
        yield _replayed(task)
        _replayed(task, _FIRST)
        yield _replayed(task)


def _replayed(task: Task, window: Window | None = None) -> BundleResult:
    request = task.request if window is None else replace(task.request, window=window)
    [result] = ReplaySession(request, ProgramStore.of_user()).results([BundlePath(task.bundle)])
    return result
