"""The names of the package root suffice to call everything that it offers."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

import ergo_cli
from ergo_cli import primitives

GIVEN = {
    "ActionManifest",
    "Adapter",
    "BundleReader",
    "BundleResult",
    "CaptureBundle",
    "Completed",
    "ComputeManifest",
    "Divergence",
    "EgressConfig",
    "Ergo",
    "Explanation",
    "FileResult",
    "ForkedRun",
    "GraphAssets",
    "Inspection",
    "Interrupted",
    "Interruption",
    "Inventory",
    "KeptRuns",
    "ListedRun",
    "LoadedProgram",
    "Notice",
    "Primitive",
    "ProfileRunner",
    "Program",
    "ProjectSummary",
    "ResumedRun",
    "RunSummary",
    "ShownRun",
    "SourceManifest",
    "StepOutcome",
    "TimedRun",
    "TriggerManifest",
}
"""Classes whose values a caller is given by another name, and never makes."""


@cache
def unseen_names(module: str) -> Mapping[str, Any]:
    """What a module imports for its annotations alone."""
    tree = ast.parse(Path(inspect.getfile(import_module(module))).read_text(encoding="utf-8"))
    blocks = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = (each for block in blocks for each in block.body if isinstance(each, ast.ImportFrom))
    return {
        name.asname or name.name: getattr(import_module(each.module or ""), name.name)
        for each in imports
        for name in each.names
    }


def hints(value: Any) -> dict[str, Any]:
    """The annotations of a function or of a class with its bases."""
    owners = value.__mro__ if inspect.isclass(value) else (value,)
    names: dict[str, Any] = {}
    for owner in owners:
        if owner.__module__.startswith("ergo_cli"):
            names |= unseen_names(owner.__module__)
    return get_type_hints(value, localns=names)


def classes(hint: Any) -> Iterator[type]:
    """Every class in an annotation."""
    if isinstance(hint, list):
        for each in hint:
            yield from classes(each)
        return
    origin = get_origin(hint) or hint
    if inspect.isclass(origin):
        yield origin
    for each in get_args(hint):
        yield from classes(each)


def exported() -> dict[str, Any]:
    return {name: getattr(ergo_cli, name) for name in ergo_cli.__all__}


def methods(owner: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods and properties of a class, its own and inherited."""
    for name in dir(owner):
        member = inspect.getattr_static(owner, name)
        if name.startswith("_"):
            continue
        function = getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
        if inspect.isfunction(function) and function.__module__.startswith("ergo_cli"):
            yield name, function


def is_struct(value: type) -> bool:
    return hasattr(value, "__struct_fields__")


def constructor(owner: type) -> dict[str, Any]:
    """The parameters of a class that callers make."""
    if is_struct(owner):
        fields = hints(owner)
        return {name: fields[name] for name in owner.__struct_fields__}  # type: ignore[attr-defined]
    init = owner.__init__  # type: ignore[misc]
    return hints(init) if inspect.isfunction(init) and init.__module__.startswith("ergo_cli") else {}


def parameters() -> Iterator[tuple[str, Any]]:
    """Every parameter that a caller of an exported name gives, with its annotation."""
    for name, value in exported().items():
        callables: dict[str, dict[str, Any]] = {}
        if not inspect.isclass(value):
            callables[name] = hints(value)
        else:
            callables |= {f"{name}.{each}": hints(function) for each, function in methods(value)}
            if name not in GIVEN and not issubclass(value, BaseException):
                callables[name] = constructor(value)
        for place, taken in callables.items():
            yield from ((f"{place}({each})", hint) for each, hint in taken.items() if each != "return")


def missing(offered: Collection[Any]) -> list[str]:
    """The parameters that need a class which is not offered."""
    return [
        place
        for place, hint in parameters()
        for each in classes(hint)
        if each.__module__.startswith("ergo_cli") and each not in offered
    ]


def test_every_class_in_a_parameter_is_exported() -> None:
    assert missing(exported().values()) == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("Pattern", "ReplayOptions(ignore)"),
        ("Program", "Target(program)"),
        ("BundleReader", "replay_bundles(find)"),
        ("GraphAssets", "RunConfig(graph)"),
        ("Target", "replay_bundle(target)"),
        ("Resumption", "KeptRuns.resume(asked)"),
        ("SourceManifest", "ErgoBuilder.add_source(primitive)"),
    ],
)
def test_a_class_that_is_not_exported_is_noticed(name: str, place: str) -> None:
    assert place in missing([value for each, value in exported().items() if each != name])


def test_the_walk_sees_parameters_of_every_form() -> None:
    seen = dict(parameters())
    for place in (
        "replay_bundle(target)",
        "Ergo.from_project(path)",
        "Ergo.run(config)",
        "ErgoBuilder.add_source(primitive)",
        "EgressConfig.builder(default_ack_timeout)",
        "Target(program)",
        "ReplayOptions(ignore)",
        "ChannelPolicy(startup)",
    ):
        assert place in seen, place


def test_what_a_caller_is_given_comes_from_an_exported_name() -> None:
    waiting = [hints(value).get("return") for value in exported().values() if inspect.isfunction(value)]
    waiting += [hints(getattr(primitives, name)).get("return") for name in ("source", "compute", "trigger", "action")]
    for name, value in exported().items():
        if inspect.isclass(value) and name not in GIVEN:
            waiting.append(value)
    found: set[type] = set()
    while waiting:
        for each in classes(waiting.pop()):
            if each in found or not each.__module__.startswith("ergo_cli"):
                continue
            found |= set(each.__mro__)
            waiting += [hints(function).get("return") for _, function in methods(each)]
            if is_struct(each):
                waiting += constructor(each).values()
    assert {name for name in GIVEN if getattr(ergo_cli, name) not in found} == set()


def test_paths_are_texts_or_path_likes() -> None:
    assert [place for place, hint in parameters() if Path in classes(hint)] == []
    forms = [str(hint) for _, hint in parameters() if "PathLike" in str(hint)]
    assert len(forms) > 20
    assert all("str | os.PathLike[str]" in form for form in forms)


def test_every_name_is_found_and_no_other_is() -> None:
    assert sorted(set(ergo_cli.__all__)) == list(ergo_cli.__all__)
    assert set(ergo_cli._HOMES) == set(ergo_cli.__all__)  # pyright: ignore[reportPrivateUsage]
    assert all(exported().values())


def test_every_replay_is_strict_by_default() -> None:
    assert ergo_cli.ReplayOptions().strict
    assert ergo_cli.ReplayConfig("b.json", "g.yaml").options == ergo_cli.ReplayOptions()
    replays = (ergo_cli.replay_bundle, ergo_cli.replay_bundles, ergo_cli.iter_replays, ergo_cli.Ergo.replay_bundle)
    for replay in replays:
        assert inspect.signature(replay).parameters["options"].default == ergo_cli.ReplayOptions(), replay
