"""The parts of programs written in Python, compared with what a capture keeps of them; the right changes by hand."""

from __future__ import annotations

from typing import Any

from ergo_cli.core.documents import ProgramSource
from ergo_cli.core.json import Member
from ergo_cli.programs.changes import Change, Verb
from ergo_cli.programs.kernel import Complete, KernelProgram, Limits
from ergo_cli.programs.kernel.structure import structure_of as parts_of_kernel
from ergo_cli.programs.parts import Part
from ergo_cli.programs.pipeline import EffectType, PipelineProgram, PipelineSettings, Safety, sink, source, transform
from ergo_cli.programs.pipeline.structure import StagesBehind
from ergo_cli.programs.pipeline.structure import structure_of as parts_of_pipeline
from ergo_cli.programs.plan import Delay, PlanProgram, State, StateMeta, run_config
from ergo_cli.programs.plan.structure import StatesBehind
from ergo_cli.programs.plan.structure import structure_of as parts_of_plan
from ergo_cli.programs.recorded import JournalDifference
from ergo_cli.replay.structure_changes import structure_changes, without_repeats


def load(ctx: Any, io: Any, rec: Any) -> None: ...


def keep(ctx: Any, io: Any, rec: Any) -> None: ...


def passed(event: Any) -> list[Any]:
    return [event]


def taken(event: Any) -> None: ...


LOAD, KEEP, TELL = State("a.main.load", load), State("a.main.keep", keep), State("a.main.tell", keep)


def plan(*states: State, edges: tuple[tuple[str, str], ...] = (), **more: Any) -> list[Part]:
    return list(parts_of_plan(PlanProgram("a", "1", states, edges, **more)))


def pipeline(*stages: Any, edges: tuple[tuple[str, str], ...], **more: Any) -> list[Part]:
    return list(parts_of_pipeline(PipelineProgram("p", stages, edges, **more)))


def changed(before: list[Part], after: list[Part], text: str = "") -> list[Change]:
    return structure_changes([part.plain for part in before], after, [ProgramSource.of("a.py", text)])


def said(changes: list[Change]) -> list[tuple[str, str, str | None, str | None]]:
    return [(change.subject, change.verb.value, change.before, change.after) for change in changes]


def test_a_plan_that_is_as_it_was_has_no_changes() -> None:
    states = plan(LOAD, KEEP, edges=(("a.main.load", "a.main.keep"),))
    assert changed(states, plan(LOAD, KEEP, edges=(("a.main.load", "a.main.keep"),))) == []


def test_a_renamed_state_is_gone_and_another_one_is_new() -> None:
    before = plan(LOAD, KEEP, edges=(("a.main.load", "a.main.keep"),))
    after = plan(State("a.main.read", load), KEEP, edges=(("a.main.read", "a.main.keep"),))
    found = changed(before, after)
    assert said(found) == [
        ("a.main.read", "added", None, "state"),
        ("a.main.keep.after", "changed", "a.main.load", "a.main.read"),
        ("a.main.load", "removed", "state", None),
    ]
    assert [change.nodes for change in found] == [("a.main.read",), ("a.main.keep",), ()]


def test_an_edge_that_leads_elsewhere_is_in_both_states() -> None:
    before = plan(LOAD, KEEP, TELL, edges=(("a.main.load", "a.main.keep"),))
    text = 'states = (\n    State("a.main.keep", keep),\n)\nedges = (\n    ("a.main.load", "a.main.tell"),\n)\n'
    found = changed(before, plan(LOAD, KEEP, TELL, edges=(("a.main.load", "a.main.tell"),)), text)
    assert said(found) == [
        ("a.main.keep.after", "removed", "a.main.load", None),
        ("a.main.tell.after", "added", None, "a.main.load"),
    ]
    assert [(change.file, change.line) for change in found] == [("a.py", 2), ("a.py", 5)]


def test_what_a_state_says_about_itself_and_how_runs_are_driven() -> None:
    before = plan(State("a.main.load", load, StateMeta(timeout=Delay(5))), run_config=run_config(max_attempts=3))
    meta = StateMeta(timeout=Delay(7), tags=("slow",), depends_on=("x",))
    after = plan(State("a.main.load", keep, meta), run_config=run_config(max_attempts=2))
    text = (
        'State(\n    "a.main.load",\n    keep,\n    StateMeta(timeout=Delay(7)),\n)\nrun_config(\n    max_attempts=2)\n'
    )
    found = changed(before, after, text)
    assert {change.subject: (change.before, change.after, change.line, change.idle) for change in found} == {
        "program.run_config.retry_policy.max_attempts": ("3", "2", 7, False),
        "a.main.load.tags": ("[]", '["slow"]', 1, False),
        "a.main.load.depends_on": ("[]", '["x"]', 1, True),
        "a.main.load.handle": ("load", "keep", 1, False),
        "a.main.load.timeout": ("5 ns", "7 ns", 4, False),
    }


def test_the_states_of_a_child_are_parts_too() -> None:
    child = PlanProgram("b", "1", (State("a.main.load", load),))
    found = changed(plan(LOAD), plan(LOAD, children=(child,)))
    assert said(found) == [("b/program", "added", None, "program"), ("b/a.main.load", "added", None, "state")]


def test_a_record_depends_on_its_state_and_on_those_before_it() -> None:
    child = PlanProgram("b", "1", (State("b.main.see", load),))
    edges = (("a.main.keep", "a.main.load"),)
    behind = StatesBehind(PlanProgram("a", "1", (LOAD, KEEP, TELL), edges, children=(child,)))
    assert behind("a.main.keep#0", None) == {"a.main.keep"}
    assert behind("a.main.load#1", None) == {"a.main.keep", "a.main.tell", "a.main.load"}
    assert behind("b.main.see#0", None) == {"b.main.see"}
    assert behind("a.main.gone#0", None) == {"a.main.gone"}
    entered = JournalDifference((Member("state_id"),), "a.main.load", "a.main.keep")
    assert behind("a.main.keep#0", entered) == {"a.main.keep", "a.main.load"}
    assert behind(None, None) == {"a.main.load", "a.main.keep", "a.main.tell", "b.main.see"}


def test_a_stage_in_the_middle_and_the_one_that_reads_it_now() -> None:
    ends = source("in", passed), sink("out", taken)
    before = pipeline(*ends, edges=(("in", "out"),))
    text = 'stages = (\n    source("in", passed),\n    transform("mid", passed),\n)\n'
    text += 'edges = (("in", "mid"),\n    ("mid", "out"))\n'
    after = pipeline(*ends, transform("mid", passed), edges=(("in", "mid"), ("mid", "out")))
    found = changed(before, after, text)
    assert said(found) == [("out.after", "changed", "in", "mid"), ("mid", "added", None, "transform")]
    assert [(change.line, change.nodes) for change in found] == [(6, ("out",)), (3, ("mid",))]


def test_the_settings_of_a_pipeline_are_in_all_its_stages_unless_they_decide_nothing() -> None:
    stages, edges = (source("in", passed), sink("out", taken)), (("in", "out"),)
    before = pipeline(*stages, edges=edges, effects={"pay": EffectType("m:pay", Safety.IDEMPOTENT)})
    settings = PipelineSettings(drain_timeout_ms=5, source_contract="warn", fsync="episode")
    effects = {"pay": EffectType("m:pay", Safety.IDEMPOTENT, 2)}
    found = changed(before, pipeline(*stages, edges=edges, settings=settings, effects=effects))
    assert {change.subject: (change.before, change.after, change.idle, change.nodes) for change in found} == {
        "settings.source_contract": ("abort", "warn", False, ("in", "out")),
        "settings.drain_timeout_ms": (None, "5", False, ("in", "out")),
        "settings.fsync": ("record", "episode", True, ()),
        "effects.pay.schema_version": ("1", "2", False, ("in", "out")),
    }


def test_a_stage_of_another_type_has_only_settings_in_common() -> None:
    before = pipeline(source("in", passed), sink("out", taken), edges=(("in", "out"),))
    after = pipeline(
        source("in", passed), transform("out", passed, logic_version="2"), sink("end", taken),
        edges=(("in", "out"), ("out", "end")),
    )  # fmt: skip
    assert said(changed(before, after)) == [
        ("out", "changed", "sink", "transform"),
        ("out.logic_version", "changed", "1", "2"),
        ("end", "added", None, "sink"),
    ]


def test_a_row_depends_on_its_stage_and_on_those_that_lead_to_it() -> None:
    stages = source("in", passed), transform("mid", passed), sink("out", taken)
    behind = StagesBehind(PipelineProgram("p", stages, (("in", "mid"), ("mid", "out"))))
    assert behind("mid", None) == {"in", "mid"}
    assert behind("gone", None) == {"gone"}
    assert behind(None, None) == {"in", "mid", "out"}


def test_the_limits_of_a_kernel_program_are_settings() -> None:
    def program(limits: Limits) -> list[Part]:
        return list(parts_of_kernel(KernelProgram("k", dict, lambda state: Complete(), "m:f", limits=limits)))

    found = changed(program(Limits()), program(Limits(max_steps=9, max_tool_calls=2)), "Limits(max_steps=9)")
    assert said(found) == [
        ("limits.max_steps", "changed", "1000000", "9"),
        ("limits.max_tool_calls", "added", None, "2"),
    ]
    assert found[0].line == 1


def test_a_part_that_is_written_twice_has_no_place() -> None:
    text = 'transform("mid", passed)\ntransform("mid", passed)\n'
    ends = source("in", passed), sink("out", taken)
    after = pipeline(*ends, transform("mid", passed, ordered_delivery=False), edges=(("in", "mid"), ("mid", "out")))
    before = pipeline(*ends, transform("mid", passed), edges=(("in", "mid"), ("mid", "out")))
    [change] = changed(before, after, text)
    assert (change.subject, change.file, change.line) == ("mid.ordered_delivery", None, None)


def test_a_long_value_is_compared_and_not_shown() -> None:
    before = plan(LOAD, input_params={"list": ["x" * 300]})
    [change] = changed(before, plan(LOAD, input_params={"list": ["y" * 300]}))
    assert (change.subject, change.verb) == ("program.input_params.list", Verb.CHANGED)
    assert (change.before, change.after) == (None, None)


def test_the_code_around_a_setting_is_not_named_again() -> None:
    setting = Change(subject="settings.fsync", before="a", after="b", file="a.py", line=3, structural=True)
    same = Change(subject="program", before="'a'", after="'b'", file="a.py", line=3)
    wide, other = Change(subject="program", file="a.py", line=3), Change(subject="in f", before="1", after="2", line=9)
    assert without_repeats([same, wide, other], [setting]) == [wide, other]
