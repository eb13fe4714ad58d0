"""Render the runs that wait at the end of a run: what they ask, and the command that answers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.errors import without_passwords
from ergo_cli.host.run_plan import RunPlan, RunRequest
from ergo_cli.report.document import WaitingDocument
from ergo_cli.report.text import Block, Line, Tone, shorten, value_text
from ergo_cli.supervisor.journals import WaitingRun, WaitingRuns

_LISTED = 10
_WIDTH = 70
_NOT_FOR_LISTS = ("--program", "--artifacts")


class Answers(Struct, frozen=True):
    """How the waiting runs of a command are answered: the options that find their store and program again."""

    options: tuple[str, ...] | None

    @classmethod
    def of(cls, request: RunRequest, plan: RunPlan) -> Answers:
        """The options of the command that ran, a password of the store hidden; None where no store keeps the runs."""
        if plan.store is None:
            return cls(None)
        flags = request.flags
        named = (
            ("--store", None if request.store is None else without_passwords(request.store)),
            ("--artifacts", request.artifacts),
            ("--program", flags.program),
            ("--profile", flags.profile),
            ("--project", None if flags.project is None else str(flags.project)),
        )
        return cls(tuple(part for option, value in named if value is not None for part in (option, value)))

    def listing(self) -> str | None:
        """The command that lists all waiting runs, which needs only their store; None where no store keeps them."""
        if self.options is None:
            return None
        pairs = zip(self.options[::2], self.options[1::2], strict=True)
        place = [part for option, value in pairs if option not in _NOT_FOR_LISTS for part in (option, value)]
        return shlex.join(("ergo", "runs", "list", "--status", "blocked", *place))

    def command(self, run_id: str) -> str | None:
        """The command that answers a run; None where there is none."""
        if self.options is None:
            return None
        place = ("--", run_id) if run_id.startswith("-") else (run_id,)
        words = ("--value", "true", *self.options)
        ordered = (*words, *place) if len(place) > 1 else (*place, *words)
        return shlex.join(("ergo", "runs", "resume", *ordered))


def waiting_documents(waiting: WaitingRuns, answers: Answers) -> tuple[WaitingDocument, ...]:
    """One document for each waiting run that is known by name."""
    return tuple(
        WaitingDocument(
            run.run_id,
            None if run.question is None else Raw(run.question),
            run.signal,
            answers.command(run.run_id),
        )
        for run in waiting.first
    )


def waiting_blocks(waiting: WaitingRuns, answers: Answers) -> Iterator[Block]:
    """The lines for people; none where no run waits."""
    if not waiting.count:
        return
    yield Line()
    for run in waiting.first[:_LISTED]:
        yield Line(f"  {run.run_id}  {_wish(run)}")
        command = answers.command(run.run_id)
        if command is not None:
            yield Line(f"       {command}", Tone.FAINT)
    left = waiting.count - _LISTED
    if left > 0:
        listing = answers.listing()
        yield Line(f"  and {left:,} more" + ("" if listing is None else f": {listing}"))
    if answers.options is None:
        yield Line("  they are kept in memory only; --store keeps them, so that they can be answered", Tone.FAINT)


def _wish(run: WaitingRun) -> str:
    if run.question is None:
        return f"waits for signal {run.signal}"
    return f"asks  {shorten(_question(msgspec.json.decode(run.question)), _WIDTH)}"


def _question(value: JsonValue) -> str:
    """A question in words: the text that it is or that its member ``ask`` is, then its other members."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return value_text(value)
    asked = value.get("ask")
    words = [asked] if isinstance(asked, str) else []
    others = {name: each for name, each in value.items() if name != "ask" or not words}
    return "  ".join([*words, *(f"{name}={value_text(each)}" for name, each in others.items())])
