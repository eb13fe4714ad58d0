"""A random graph with one random edit: replay reports the edit and nothing else, `why` leads to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from edited_graphs import Edited, Expected, edited_graphs, twice_edited_graphs, with_node
from hypothesis import given, settings
from hypothesis import strategies as st
from written_graphs import CLUSTERS, Graph, Node, adapter_text, streams, written

from ergo_cli.bundle.schema import Header
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.loop import run_stream
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changes import Change
from ergo_cli.programs.graph.primitives.primitive import ActionOutcome, Family, TriggerEvent
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.graph.run.interpreter import NodeTrace, trace
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.loading import LoadedProgram, load_program_from_files
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.questions import Question, reply_to
from ergo_cli.replay.results import BundleResult, DivergenceKind, Outcome, as_shown
from ergo_cli.replay.selection import BundlePath
from ergo_cli.replay.session import ReplayRequest, ReplaySession
from ergo_cli.supervisor.seam import Constraints
from tests.support.events import event_line

Payloads = list[dict[str, Any]]


class Replayed(NamedTuple):
    """A bundle of the graph before its edit, and what today's graph makes of it."""

    edited: Edited
    stream: Payloads
    home: Path
    recorded: GraphProgram
    today: GraphProgram
    result: BundleResult
    request: ReplayRequest
    store: ProgramStore


def write(home: Path, graph: Graph) -> LoadedProgram:
    (home / "g.yaml").write_text(written(graph).text)
    for name, text in graph.texts.items():
        (home / name).write_text(text)
    return load_program_from_files(home / "g.yaml", (home,), home / "a.yaml")


class Limits(NamedTuple):
    """The constraints of a run, and of which kinds its events are in turn, with the seconds at which they come."""

    constraints: Constraints = Constraints()
    arrivals: tuple[tuple[str, int], ...] = (("Command", 0),)


UNLIMITED = Limits()


def captured(home: Path, loaded: LoadedProgram, stream: Payloads, store: ProgramStore, limits: Limits) -> None:
    program, adapter = loaded.program, loaded.adapter
    assert isinstance(adapter, Adapter)
    lines = [
        event_line({"type": kind, "id": f"e{number}", "semantic_kind": "tick", "payload": payload, "at": f"{second}s"})
        for number, (payload, (kind, second)) in enumerate(zip(stream, cycle(limits.arrivals), strict=False))
    ]
    header = Header(program.graph_id, limits.constraints, program.provenance, adapter.fingerprint)
    with BundleWriter(str(home / "b.json"), header) as writer:
        events = EventStream(lines, "events", semantic_kinds=SemanticKinds.REQUIRED)
        run_stream(PreparedRun(program, adapter, limits.constraints), events, writer)
        writer.commit()
    assert store.keep(program.ref, program.provenance, adapter.fingerprint, loaded.sources) is None


def replayed(home: Path, edited: Edited, stream: Payloads, limits: Limits = UNLIMITED) -> Replayed:
    (home / "a.yaml").write_text(adapter_text())
    store = ProgramStore(home / "store")
    recorded = write(home, edited.before)
    captured(home, recorded, stream, store, limits)
    today = write(home, edited.after)
    request = ReplayRequest(ProgramFlags(home / "g.yaml", adapter=home / "a.yaml", cluster_paths=(home,)), strict=False)
    [result] = ReplaySession(request, store).results([BundlePath(str(home / "b.json"))])
    assert result.error is None
    return Replayed(edited, stream, home, recorded.program.value, today.program.value, result, request, store)


def as_expected(change: Change) -> Expected:
    file = None if change.file is None else Path(change.file).name
    sides = change.before, change.after
    return Expected(change.subject, change.verb.value, *sides, file, change.line, change.nodes, change.idle)


def check_changes(found: Replayed) -> None:
    """Every change is the edit, each part of it once."""
    assert sorted(map(as_expected, found.result.changes), key=repr) == sorted(found.edited.changes, key=repr)
    if found.result.outcome is Outcome.MATCH:
        assert all(change.effectless for change in found.result.changes)


def check_causes(found: Replayed) -> None:
    """Every divergence names a change, which can only be the edit; what is said to be without effect is never named."""
    changes = found.result.changes
    assert (found.result.outcome is Outcome.DIVERGED) == bool(found.result.divergences)
    for each in (shown for one in found.result.divergences for shown in (one, *(one.by_key or ()))):
        assert each.changes, each
        assert not any(changes[number].idle or changes[number].effectless for number in each.changes), each
        assert each.cause == "program_changed"


TAKEN_AS = {"limit": "value", "spare": "fallback", "key": "key"}
"""The parameters of the clusters, and those of the nodes in them that take them."""


class Side(NamedTuple):
    """What the interpreter computes for one of the graphs, by the paths of its nodes."""

    nodes: Mapping[str, NodeTrace]

    @classmethod
    def of(cls, program: GraphProgram, event_id: str, payload: Mapping[str, Any]) -> Side:
        values = {key: [*map(float, value)] if isinstance(value, list) else value for key, value in payload.items()}
        traces = trace(program.validated, program.inventory, values, program.graph_id, event_id)
        return cls({each.path: each for each in traces})

    @property
    def failed(self) -> str | None:
        return next((path for path, each in self.nodes.items() if each.has_failed), None)

    def gives(self, path: str) -> Any:
        """What a node gives; of an action whether it acts; None where it did not get that far."""
        node = self.nodes.get(path)
        if node is None:
            return None
        if node.has_failed:
            return "fails"
        [*values] = map(plain, node.outputs.values())
        return values[0] if values else None

    def takes(self, path: str, port: str) -> Any:
        """What comes over the wire of an input."""
        node = self.nodes.get(path)
        return None if node is None or port not in node.inputs else plain(node.inputs[port])

    def parameter(self, path: str, name: str, taker: str) -> Any:
        """A parameter of a node; of an instance of a cluster, by what the node inside that takes it has."""
        if path in self.nodes:
            return self.nodes[path].parameters[name].value
        return self.nodes[taker].parameters[TAKEN_AS[name]].value


def plain(value: Any) -> Any:
    match value:
        case TriggerEvent.EMITTED:
            return "emitted"
        case TriggerEvent.NOT_EMITTED:
            return "not emitted"
        case ActionOutcome():
            return value.value.lower()
        case _:
            return value


def shown(text: str | None) -> Any:
    """The value behind the text of a step: JSON, or the word for an event or a failure."""
    if text is None or text in ("emitted", "not emitted", "fails"):
        return text
    return json.loads(text)


class Chain:
    """The chain of the first divergence, and the episode that it is about."""

    def __init__(self, found: Replayed) -> None:
        bundle = str(found.home / "b.json")
        why = reply_to(Question(bundle), found.request, found.store).why
        assert why is not None
        self.found, self.why = found, why
        record = json.loads(Path(bundle).read_text())
        self._decisions: list[dict[str, Any]] = record["decisions"]
        episodes = [decision["episode_id"] for decision in self._decisions]
        self._origin = episodes.index(episodes[why.seq])
        """The place of the event whose episode it is: limits may have put it off."""
        self._payload: dict[str, Any] = json.loads(bytes(record["events"][self._origin]["payload"]))
        self._recorded, self._today = (
            Side.of(program, str(why.event_id), self._payload) for program in (found.recorded, found.today)
        )

    def check_end(self) -> None:
        """The way on which both sides differ ends at the edit, every other one where values come from."""
        assert list(map(as_expected, self.why.changes)) == list(map(as_expected, self.found.result.changes))
        [first, *_] = as_shown(self.found.result.divergences)
        steps = list(steps_of(self.why.cause))
        assert [step for step in steps if step.is_change] == [step for step in steps if self._is_edit(step)]
        if first.kind is not DivergenceKind.EFFECT_ORDER:
            assert any(step.is_change for step in steps), self.why
        for step in steps:
            if step.differs and not (step.is_change or step.is_repeated or None in (step.recorded, step.today)):
                assert any(source.differs or source.is_change for source in step.sources), step
            if not step.sources and step.key is not None and self._origin == self.why.seq:
                self._check_origin(step)

    def _check_origin(self, step: Cause) -> None:
        """A member that the event did not bring is what an earlier event wrote last."""
        assert step.key is not None
        written = self.why.memory.get(step.key)
        brought = self.found.stream[self.why.seq]
        writes = [
            (place, decision["event_id"], *write["value"].values())
            for place, decision in enumerate(self._decisions[: self.why.seq])
            for effect in decision["effects"]
            for write in effect["effect"]["writes"]
            if write["key"] == step.key
        ]
        if written is None:
            assert step.key in brought or not writes
        else:
            assert (written.seq, written.event_id, self._payload[step.key]) == writes[-1]
            assert brought.get(step.key, writes[-1][2]) == writes[-1][2]

    def check_values(self) -> None:
        """Each side of each step is what the interpreter computes there."""
        root = self.why.cause
        for side, text in ((self._recorded, root.recorded), (self._today, root.today)):
            node = side.nodes.get(root.part)
            if node is None or node.has_failed or node.family is not Family.ACTION:
                assert shown(text) == side.gives(root.part)
            else:
                assert text == ("acts" if node.ran else node.why)
        for parent, step in pairs(root):
            sides = ((self._recorded, step.recorded), (self._today, step.today))
            for side, text in sides:
                assert same(shown(text), self._value(side, parent, step)), (step, text)
        assert [json.loads(each) for each in self.why.recorded] == self._effects(self._recorded)
        assert [json.loads(each) for each in self.why.actual] == self._effects(self._today)

    def _value(self, side: Side, parent: Cause, step: Cause) -> Any:
        if step.role == "":
            path, _, name = step.part.rpartition(".")
            return side.parameter(path, name, parent.part)
        if step.rewired:
            return side.takes(parent.part, step.role)
        return side.gives(step.part)

    def _effects(self, side: Side) -> list[Any]:
        if side.failed is not None or self.why.node not in side.nodes:
            return []
        return [msgspec.to_builtins(each) for each in side.nodes[self.why.node].effects]

    def _is_edit(self, step: Cause) -> bool:
        """Whether a step is a part of the edit: a node, a parameter or a wire.

        A wire or a parameter is known by its line too. A node is not: all instances of a cluster have its lines.
        """
        place = (step.file and Path(step.file).name, step.line)
        changes = [each for each in self.found.edited.changes if not each.idle]
        places = {(each.file, each.line) for each in changes if each.subject not in each.nodes}
        return place in places or any(step.part == each.subject for each in changes)


def steps_of(cause: Cause) -> Iterator[Cause]:
    yield cause
    for source in cause.sources:
        yield from steps_of(source)


def pairs(cause: Cause) -> Iterator[tuple[Cause, Cause]]:
    for source in cause.sources:
        yield cause, source
        yield from pairs(source)


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


def check_end(found: Replayed) -> None:
    if found.result.outcome is Outcome.DIVERGED:
        Chain(found).check_end()


def check_values(found: Replayed) -> None:
    if found.result.outcome is Outcome.DIVERGED:
        Chain(found).check_values()


@settings(max_examples=30)
@given(edited=edited_graphs(), stream=streams)
def test_every_change_is_the_edit(edited: Edited, stream: Payloads, tmp_path_factory: pytest.TempPathFactory) -> None:
    check_changes(replayed(tmp_path_factory.mktemp("g"), edited, stream))


@settings(max_examples=30)
@given(edited=edited_graphs(), stream=streams)
def test_every_divergence_names_the_edit(
    edited: Edited, stream: Payloads, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_causes(replayed(tmp_path_factory.mktemp("g"), edited, stream))


@settings(max_examples=20)
@given(edited=edited_graphs(), stream=streams)
def test_why_ends_at_the_edit(edited: Edited, stream: Payloads, tmp_path_factory: pytest.TempPathFactory) -> None:
    check_end(replayed(tmp_path_factory.mktemp("g"), edited, stream))


@settings(max_examples=20)
@given(edited=edited_graphs(), stream=streams)
def test_the_values_of_the_chain_are_those_of_the_interpreter(
    edited: Edited, stream: Payloads, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_values(replayed(tmp_path_factory.mktemp("g"), edited, stream))


arrivals = st.lists(st.tuples(st.sampled_from(["Command", "Pump"]), st.integers(0, 30)), min_size=1, max_size=5)
limited = st.builds(
    Limits,
    st.builds(
        Constraints,
        max_in_flight=st.none() | st.integers(1, 2),
        max_per_window=st.none() | st.integers(1, 2),
        rate_window=st.none() | st.integers(0, 10 * 10**9),
        max_retries=st.integers(0, 2),
    ),
    arrivals.map(tuple),
)


def check_all(found: Replayed) -> None:
    for check in (check_changes, check_causes, check_end, check_values):
        check(found)


@settings(max_examples=20)
@given(edited=edited_graphs(), stream=streams, limits=limited)
def test_edits_are_found_under_limits(
    edited: Edited, stream: Payloads, limits: Limits, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_all(replayed(tmp_path_factory.mktemp("g"), edited, stream, limits))


def differences(found: Replayed) -> set[tuple[int, str, str, str]]:
    return {
        (each.seq, each.kind.value, wherever(each.path), repr((each.expected, each.actual)))
        for each in found.result.divergences
    }


def wherever(path: str) -> str:
    """A path without the places of effects, which other effects before them shift."""
    return re.sub(r"^effects\[\d+\]", "effects[]", path)


@pytest.mark.slow
@settings(max_examples=20)
@given(edits=twice_edited_graphs(), stream=streams)
def test_what_names_the_first_of_two_edits_alone_is_there_without_the_second(
    edits: tuple[Edited, Edited], stream: Payloads, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = edits
    both = Edited("both", first.before, second.after, ())
    found = replayed(tmp_path_factory.mktemp("g"), both, stream)
    single = replayed(tmp_path_factory.mktemp("g"), first, stream)
    alone, failing = (
        differences(single),
        {each.seq for each in single.result.divergences if each.kind is DivergenceKind.TERMINATION},
    )
    of_first, of_second = ({change.subject for change in edit.changes} for edit in edits)
    for divergence in found.result.divergences:
        subjects = {found.result.changes[number].subject for number in divergence.changes}
        assert subjects
        # Alone, an edit may end the pass before its effects: then the other one has a part in their being there.
        if subjects <= of_first - of_second and divergence.seq not in failing:
            each = divergence
            values = repr((each.expected, each.actual))
            assert (each.seq, each.kind.value, wherever(each.path), values) in alone


@pytest.mark.slow
@settings(max_examples=1500)
@given(edited=edited_graphs(), stream=streams, limits=limited | st.just(UNLIMITED))
def test_edits_are_found_at_length(
    edited: Edited, stream: Payloads, limits: Limits, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check_all(replayed(tmp_path_factory.mktemp("g"), edited, stream, limits))


def flag(value: str) -> Node:
    return Node("const_bool@0.1.0", {"value": value})


def setting(key: str) -> Node:
    return Node("context_set_bool@0.1.0", {"key": f'"{key}"'})


EMIT = Node("emit_if_true@0.1.0")


def graph(nodes: Mapping[str, Node], *wires: str) -> Graph:
    """A graph with these wires: ``gate.event -> set.event``."""
    ends = (tuple(tuple(end.split(".")) for end in wire.split(" -> ")) for wire in wires)
    return Graph(nodes, {target: source for source, target in ends}, {}, CLUSTERS)  # type: ignore[misc]


TWO_GATES = graph(
    {
        "on1": flag("true"),
        "on2": flag("true"),
        "g1": EMIT,
        "g2": EMIT,
        "s1": setting("b1"),
        "s2": setting("b1"),
    },
    "on1.value -> g1.input",
    "on2.value -> g2.input",
    "g1.event -> s1.event",
    "g2.event -> s2.event",
    "on1.value -> s1.value",
    "on2.value -> s2.value",
)


def compared(home: Path, before: Graph, after: Graph) -> Replayed:
    return replayed(home, Edited("by hand", before, after, ()), [{}])


def named(found: Replayed) -> list[tuple[str, str, str | None, list[str]]]:
    """Each divergence as text reports show it, with the node and the subjects of the changes that it names."""
    changes = found.result.changes
    divergences = as_shown(found.result.divergences)
    return [
        (each.kind.value, each.path, each.node, [changes[number].subject for number in each.changes])
        for each in divergences
    ]


def test_of_two_actions_with_the_same_effect_the_one_that_lacks_it_today_is_named(tmp_path: Path) -> None:
    after = with_node(TWO_GATES, "on1", flag("false"))
    found = compared(tmp_path, TWO_GATES, after)
    assert named(found) == [("effect_missing", "effects[1]", "s1", ["on1.value"])]
    why = Chain(found).why
    assert (why.node, len(why.recorded), why.actual) == ("s1", 1, ())
    back = compared(tmp_path, after, TWO_GATES)
    assert named(back) == [("effect_extra", "effects[1]", "s1", ["on1.value"])]


def test_a_node_that_is_new_is_named_for_the_order_of_effects_that_it_shifts(tmp_path: Path) -> None:
    """Nodes run by their numbers as texts: ``n10`` before ``n9``."""
    idle = {f"f{number}": Node("boolean_source@0.1.0") for number in range(4)}
    before = with_node(TWO_GATES._replace(nodes={**idle, **TWO_GATES.nodes}), "s2", setting("b2"))
    found = compared(tmp_path, before, with_node(before, "a", Node("boolean_source@0.1.0")))
    assert named(found) == [("effect_order", "effects", "s2", ["a"])]
    assert [change.effectless for change in found.result.changes] == [False]


def test_an_action_that_another_gate_feeds_is_named_for_the_order_of_effects(tmp_path: Path) -> None:
    nodes = {
        "on1": flag("true"),
        "on2": flag("true"),
        "g1": EMIT,
        "g2": Node("emit_if_event_and_true@0.1.0"),
        "j": setting("b1"),
        "k": setting("b2"),
    }
    wires = ["on1.value -> g1.input", "g1.event -> g2.event", "on2.value -> g2.condition", "g1.event -> k.event"]
    wires += ["on1.value -> j.value", "on1.value -> k.value"]
    late, early = graph(nodes, *wires, "g2.event -> j.event"), graph(nodes, *wires, "g1.event -> j.event")
    assert named(compared(tmp_path, late, early)) == [("effect_order", "effects", "j", ["j.event"])]
    assert named(compared(tmp_path, early, late)) == [("effect_order", "effects", "j", ["j.event"])]


def test_a_change_that_two_inputs_take_is_shown_once(tmp_path: Path) -> None:
    number = Node("const_number@0.1.0", {"value": "2.0"})
    before = graph(
        {
            "lim": number,
            "two": number,
            "less": Node("lt@0.1.0"),
            "g": EMIT,
            "s": Node("context_set_number@0.1.0", {"key": '"n1"'}),
        },
        "lim.value -> less.a",
        "two.value -> less.b",
        "less.result -> g.input",
        "g.event -> s.event",
        "lim.value -> s.value",
    )
    found = compared(tmp_path, before, with_node(before, "lim", Node("const_number@0.1.0", {"value": "1.0"})))
    steps = [step for step in steps_of(Chain(found).why.cause) if step.part == "lim"]
    assert [(step.role, step.is_change, step.is_repeated) for step in steps] == [
        ("a", True, False),
        ("value", False, True),
    ]


def test_of_two_changes_behind_an_action_none_is_without_effect(tmp_path: Path) -> None:
    """The first node that differs is not always the one that decides: here ``low`` differs, ``on`` decides."""
    one, two, nine = (Node("const_number@0.1.0", {"value": text}) for text in ("1.0", "2.0", "9.0"))
    before = graph(
        {"low": one, "nine": nine, "less": Node("lt@0.1.0"), "on": flag("true"), "z": EMIT, "zz": setting("b1")},
        "low.value -> less.a",
        "nine.value -> less.b",
        "on.value -> z.input",
        "z.event -> zz.event",
        "less.result -> zz.value",
    )
    found = compared(tmp_path, before, with_node(with_node(before, "low", two), "on", flag("false")))
    assert found.result.divergences[0].origin == "low"
    assert named(found) == [("effect_missing", "effects[0]", "zz", ["low.value", "on.value"])]
    assert [change.effectless for change in found.result.changes] == [False, False]


def test_a_pass_that_fails_names_what_the_failing_node_depends_on(tmp_path: Path) -> None:
    one, two, none = (Node("const_number@0.1.0", {"value": text}) for text in ("1.0", "2.0", "0.0"))
    before = TWO_GATES._replace(
        nodes={**TWO_GATES.nodes, "a": one, "b": one, "c": two, "d": Node("divide@0.2.0")},
        wires={**TWO_GATES.wires, ("d", "a"): ("b", "value"), ("d", "b"): ("c", "value")},
    )
    found = compared(tmp_path, before, with_node(with_node(before, "a", two), "c", none))
    assert named(found) == [
        ("termination", "termination", None, ["c.value"]),
        ("effect_missing", "effects[0]", "s1", ["c.value"]),
        ("effect_missing", "effects[1]", "s2", ["c.value"]),
    ]
