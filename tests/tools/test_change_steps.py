"""What changed from one commit to the next, of what changed in both since the capture."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.programs.changes import Change, Layer, Verb
from ergo_cli.tools.change_steps import step_between

Program = Mapping[str, str]
"""The values of the parts of a program."""

programs = st.dictionaries(st.sampled_from("abcde"), st.sampled_from("123"))


def changes(before: Program, after: Program) -> list[Change]:
    """The changes between two programs, by comparison."""
    found: list[Change] = []
    for part in sorted({*before, *after}):
        old, new = before.get(part), after.get(part)
        if old != new:
            verb = Verb.ADDED if old is None else Verb.REMOVED if new is None else Verb.CHANGED
            found.append(Change(subject=part, verb=verb, before=old, after=new, file="g.yaml"))
    return found


@given(programs, programs, programs)
def test_the_step_between_two_programs_is_their_difference(capture: Program, parent: Program, commit: Program) -> None:
    step = step_between(changes(capture, parent), changes(capture, commit))
    assert sorted(step, key=lambda each: each.subject) == changes(parent, commit)


def test_equal_names_of_two_layers_and_two_files_are_apart() -> None:
    one, other = (Change(subject="version", file=file, before="1", after="2") for file in ("a.yaml", "b.yaml"))
    adapter = Change(subject="version", file="a.yaml", layer=Layer.ADAPTER, before="1", after="2")
    assert step_between([one], [one, other, adapter]) == [other, adapter]
