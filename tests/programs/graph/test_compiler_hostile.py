"""Nothing that an author writes gets into the source of a compiled graph (spec 00 §11)."""

from __future__ import annotations

import io
import keyword
import re
import tokenize
from typing import Any

import pytest
from graph_shorthand import assets, value
from passes import outcome

from ergo_cli.core.values import EffectSpecs, IntentFieldSpec, IntentSpec, MirrorWrite, ValueType, WriteSpec
from ergo_cli.programs.graph.check.catalog import Inventory, build_inventory
from ergo_cli.programs.graph.check.validation import ValidatedGraph, validate
from ergo_cli.programs.graph.expand.expansion import expand
from ergo_cli.programs.graph.model import ClusterDefinition, Edge, ImplNode, Literal, OutputPort, PortRef
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    ActionOutcome,
    ComputeManifest,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    Primitive,
)
from ergo_cli.programs.graph.run.compiler import Generated, compile_graph, generate, interpret_graph

HOSTILE = [
    "'); __import__('os').abort(); ('",
    '"""',
    "\\",
    "\n    raise SystemExit\n",
    "\r\nreturn []\r\n",
    "\tabc",
    "{v0}{c0.__class__}{0}",
    "%s%b%(name)s",
    "lambda",
    "None",
    "c0",
    "v1",
    "effects",
    "get",
    "__builtins__",
    "# noqa\u2028print()",
    "\u202eжё漢字🙂",
    "\x00\x1f\x7f",
    "a" * 100_000,
    "",
]
NUMBER, STRING, EVENT = ValueType.NUMBER, ValueType.STRING, ValueType.EVENT


def inventory(text: str) -> Inventory:
    """A compute and an action whose ports, keys, intents and fields are all called ``text``."""
    compute = ComputeManifest(
        "own", "0.1.0", (InputSpec(text, NUMBER),), (OutputSpec(text, NUMBER), OutputSpec(text + "!", STRING))
    )
    effects = EffectSpecs(
        (WriteSpec(text.lstrip("$"), NUMBER, text + "?"),),
        (
            IntentSpec(
                text,
                (IntentFieldSpec(text, STRING, from_input=text), IntentFieldSpec(text + "p", STRING, from_param="p")),
                (MirrorWrite("$p", STRING, text),),
            ),
        ),
    )
    act = ActionManifest(
        "act",
        "0.1.0",
        (InputSpec("event", EVENT), InputSpec(text, STRING), InputSpec(text + "?", NUMBER)),
        (OutputSpec("outcome", EVENT),),
        (ParameterSpec("p", ParameterType.STRING, required=True),),
        effects,
    )

    def own(inputs: Any, params: Any) -> dict[str, Any]:
        return {text: inputs[text], text + "!": text}

    return build_inventory(
        [Primitive(compute, own), Primitive(act, lambda inputs, params: {"outcome": ActionOutcome.COMPLETED})]
    )


def graph(text: str, own: Inventory) -> ValidatedGraph:
    """Reads the key ``text`` in a node called ``text``, and writes what it found through own and standard actions."""

    def node(node_id: str, reference: str, **bound: Any) -> tuple[str, ImplNode]:
        impl_id, version = reference.split("@")
        bindings = {name: Literal(value(given)) for name, given in bound.items()}
        return node_id, ImplNode(node_id, impl_id, version, bindings)

    nodes = [
        node(text, "context_number_source@0.1.0", key=text),
        node(text + "s", "context_string_source@0.1.0", key=text),
        node(text + "t", "string_source@0.1.0", value=text),
        node(text + "y", "const_bool@0.1.0", value=True),
        node(text + "f", "emit_if_true@0.1.0"),
        node(text + "d", "divide@0.2.0"),
        node(text + "o", "own@0.1.0"),
        node(text + "w", "context_set_number@0.1.0", key=text),
        node(text + "x", "context_set_string@0.1.0", key=text + "x"),
        node(text + "z", "context_set_string@0.1.0", key=text + "z"),
        node(text + "a", "act@0.1.0", p=text),
    ]
    wires = [
        ("y", "value", "f", "input"),
        ("", "value", "o", text),
        ("o", text, "d", "a"),
        ("", "value", "d", "b"),
        *(("f", "event", target, "event") for target in "wxza"),
        ("d", "result", "w", "value"),
        ("s", "value", "x", "value"),
        ("t", "value", "z", "value"),
        ("o", text + "!", "a", text),
        ("o", text, "a", text + "?"),
    ]
    edges = [
        Edge(PortRef(text + source, output), PortRef(text + target, port)) for source, output, target, port in wires
    ]
    outputs = (OutputPort(text, PortRef(text + "a", "outcome")),)
    root = ClusterDefinition(text, "1.0.0", dict(nodes), tuple(edges), (), outputs)
    return validate(expand(assets(root), own.catalog), own.catalog)


def words(source: str) -> set[str]:
    """The names and literals of a source that are neither counted out by the code builder nor the language's."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    meant = (tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.COMMENT)
    found = {token.string for token in tokens if token.type in meant}
    return {word for word in found if not re.fullmatch(r"[cv][0-9]+", word) and not keyword.iskeyword(word)}


OWN_WORDS = words(
    """
pass_ values graph_id event_id effects append extend attempt get whole reading scope intent_scope intent_id join encode
ProducedEffect TRUE FALSE EMITTED NOT_EMITTED run_node missing_output type float str isascii isfinite inf 0.0
"""
)
"""Everything that the source of such a graph may say beside ``c<n>``, ``v<n>`` and keywords."""


def written(text: str) -> tuple[ValidatedGraph, Inventory, Generated]:
    own = inventory(text)
    made = graph(text, own)
    return made, own, generate(made, own)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_hostile_texts_change_nothing(text: str) -> None:
    made, own, _ = written(text)
    compiled, interpreted = compile_graph(made, own), interpret_graph(made, own)
    for given in (4.0, 0.0, text, None):
        values: dict[str, Any] = {} if given is None else {text: given}
        assert outcome(compiled, values, text) == outcome(interpreted, values, text)
    writes = [write for produced in compiled({text: 4.0}, text, text) for write in produced.writes or ()]
    assert {(text, 1.0), (text + "z", text)} <= set(writes)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_the_source_holds_nothing_of_them(text: str) -> None:
    _, _, code = written(text)
    assert words(code.source) <= OWN_WORDS
    assert code.source.isascii()
    assert code.source == written("harmless")[2].source


def test_the_code_sees_no_builtins() -> None:
    made, own, _ = written("x")
    assert compile_graph(made, own).__globals__["__builtins__"] == {}  # pyright: ignore[reportFunctionMemberAccess]
