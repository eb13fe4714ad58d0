"""A project's own primitives: found, imported, registered and used, or refused with a place and a remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError, PrimitiveError, ProgramError, RuleError
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.project.finding import ProgramFlags, RecordedProgram, find_program_for_replay, find_program_for_run
from ergo_cli.project.loading import load_cluster_from_files, load_program_from_files
from ergo_cli.project.primitives import load_inventory
from ergo_cli.project.project_file import Project, find_project, load_project, locate_project
from ergo_cli.project.store import ProgramStore

Write = Callable[[str, str], Path]
HEAD = 'name = "n"\nversion = "1"\n'
TWICE = """\
from ergo_cli.primitives import compute


@compute("twice", "{version}")
def twice(value: float{more}) -> float:
    return 2.0 * value
"""
GRAPH = """\
kind: cluster
id: doubling
version: "1.0.0"
nodes:
  value:
    impl: context_number_source@0.1.0
    params: {key: value}
  double:
    impl: twice@^1.0
edges:
  - value.value -> double.value
outputs:
  result: double.result
"""


@pytest.fixture(autouse=True)
def _as_if_new(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leaves this process as it was: modules of the project forgotten, the search path as before."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def project(write: Write, primitives: str = '"own"', profile: str = "") -> Project:
    """A project in the folder that the test stands in."""
    profiles = f"[profiles.default]\n{profile}" if profile else "[profiles]\n"
    file = write("elsewhere/ergo.toml", f"primitives = {primitives}\n{HEAD}{profiles}")
    return load_project(file.parent)


def own(write: Write, text: str, path: str = "own.py") -> Path:
    return write(f"elsewhere/{path}", text)


def refused(project: Project, *modules: str) -> ErgoError:
    with pytest.raises(ErgoError) as caught:
        load_inventory(project, modules or ("own",))
    error = caught.value
    assert error.where
    assert error.fix
    return error


# --- what is offered


def test_without_modules_there_is_the_standard_library() -> None:
    assert load_inventory(None, ()) is standard_inventory()


def test_primitives_of_a_module_come_after_the_standard_ones_in_the_order_of_their_definition(
    write: Write, in_folder: Path
) -> None:
    text = TWICE.format(version="1.0.0", more="")
    own(write, text + text.replace("twice", "again").partition("\n")[2] + "another = twice\n")
    inventory = load_inventory(project(write), ("own",))
    ids = [entry.id for entry in inventory.catalog]
    assert ids[:-2] == [entry.id for entry in standard_inventory().catalog]
    assert ids[-2:] == ["twice", "again"]
    assert inventory.computes["twice"].call({"value": 4.0}, {}) == {"result": 8.0}


def test_several_modules_a_package_and_what_one_takes_from_another(write: Write, in_folder: Path) -> None:
    own(write, "", "plant/__init__.py")
    own(write, TWICE.format(version="1.0.0", more=""), "plant/doubling.py")
    own(write, "from plant.doubling import twice\n", "plant/all.py")
    inventory = load_inventory(project(write), ("plant.all", "plant.doubling"))
    assert [entry.id for entry in inventory.catalog].count("twice") == 1


def test_a_primitive_may_be_spelled_out_as_manifest_and_call(write: Write, in_folder: Path) -> None:
    own(
        write,
        "from ergo_cli.programs.graph.primitives.primitive import OutputSpec, SourceManifest\n"
        "from ergo_cli.programs.graph.primitives.primitive import SourcePrimitive\n"
        "from ergo_cli.core.values import ValueType\n"
        'one = SourcePrimitive(SourceManifest("one", "0.1", (OutputSpec("value", ValueType.NUMBER),)),\n'
        '    lambda params, context: {"value": 1.0})\n',
    )
    error = refused(project(write))
    assert error.code == "SRC-2"
    assert str(error.where).endswith("own.py one $.version")


def test_what_a_module_prints_is_no_result(write: Write, in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own(write, "print('hello')\n" + TWICE.format(version="1.0.0", more=""))
    load_inventory(project(write), ("own",))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello\n")


def test_two_projects_with_a_module_of_one_name_have_their_own(
    write: Write, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = []
    for name, version in (("one", "1.0.0"), ("two", "2.0.0")):
        write(f"{name}/own.py", TWICE.format(version=version, more=""))
        write(f"{name}/ergo.toml", HEAD + "[profiles]\n")
        named = locate_project(None, in_folder.parent / name)
        inventory = load_inventory(named, ("own",))
        versions.append(inventory.computes["twice"].manifest.version)
    assert versions == ["1.0.0", "2.0.0"]


# --- trust


def test_a_project_is_trusted_where_it_was_found_from_the_current_folder_or_named(
    write: Write, in_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("far/ergo.toml", HEAD + "[profiles]\n")
    events = write("far/events/e.jsonl", "")
    beside = locate_project(events)
    named = locate_project(events, tmp_path / "far")
    assert beside is not None
    assert named is not None
    assert (beside.trusted, named.trusted) == (False, True)
    monkeypatch.chdir(events.parent)
    here = find_project(Path())
    assert here is not None
    assert here.trusted


def test_nothing_is_imported_from_a_project_that_was_only_found_beside_an_input(
    write: Write, in_folder: Path, tmp_path: Path
) -> None:
    write("far/ergo.toml", f'primitives = "trap"\n{HEAD}[profiles.default]\ngraph = "g.yaml"\n')
    write("far/trap.py", "raise SystemExit('imported')\n")
    write("far/g.yaml", GRAPH)
    events = write("far/e.jsonl", "")
    with pytest.raises(ProgramError) as caught:
        find_program_for_run(ProgramFlags(), events)
    assert caught.value.code == "program.import_refused"
    assert "'trap'" in caught.value.message
    assert "--project DIR" in str(caught.value.fix)
    with pytest.raises(PrimitiveError, match="SystemExit: imported"):
        find_program_for_run(ProgramFlags(project=tmp_path / "far"), events)
    with pytest.raises(ProgramError, match="there is none"):
        load_inventory(None, ("trap",))


# --- modules that cannot be had

FAULTS = [
    ("1 / 0\n", "ZeroDivisionError: division by zero", "own.py:1"),
    ("import math\n\ndef f():\n    math.nothing\n\nf()\n", "AttributeError", "own.py:4"),
    ("import nothing_such\n", "ModuleNotFoundError: No module named 'nothing_such'", "own.py:1"),
    ("def f(:\n    pass\n", "SyntaxError: invalid syntax", "own.py:1:7"),
    ("raise SystemExit(3)\n", "SystemExit: 3", "own.py:1"),
    ("raise BaseException('x')\n", "BaseException: x", "own.py:1"),
    ("x = '\\ud800'.encode()\n", "UnicodeEncodeError", "own.py:1"),
]


@pytest.mark.parametrize(("text", "told", "place"), FAULTS, ids=[fault[1].partition(":")[0] for fault in FAULTS])
def test_a_module_that_cannot_be_imported_is_told_with_its_line(
    text: str, told: str, place: str, write: Write, in_folder: Path
) -> None:
    own(write, text)
    error = refused(project(write))
    assert (type(error), error.code) == (PrimitiveError, "primitive.import_failed")
    assert error.message.startswith("module 'own' cannot be imported: ")
    assert told in error.message
    assert str(error.where).endswith(place)


def test_a_module_that_does_not_exist_is_told_with_the_key_that_names_it(write: Write, in_folder: Path) -> None:
    own(write, "", "plant/__init__.py")
    own(write, TWICE.format(version="1.0.0", more=""), "plant/primitives.py")
    here = project(write)
    error = refused(here, "plant.primitive")
    assert error.code == "primitive.import_failed"
    assert "'plant.primitive' of own primitives was not found" in error.message
    assert error.where == f"{here.file} primitives"
    assert error.fix == "did you mean 'primitives'?"
    assert "nowhere" in refused(here, "nowhere.at.all").message


@pytest.mark.parametrize("name", ["", "own.py/..", ".own", "own primitives", "own:twice"])
def test_what_is_no_name_of_a_module_is_refused(name: str, write: Write, in_folder: Path) -> None:
    error = refused(project(write), name)
    assert (error.code, error.message) == ("primitive.import_failed", f"'{name}' is not the name of a module")


def test_a_module_may_not_have_the_name_of_one_that_python_needs(write: Write, in_folder: Path) -> None:
    own(write, TWICE.format(version="1.0.0", more=""), "json.py")
    assert "has the name of a module that is loaded already" in refused(project(write), "json").message


def test_a_module_without_primitives_is_refused(write: Write, in_folder: Path) -> None:
    own(write, "def twice(value: float) -> float:\n    return 2.0 * value\n")
    error = refused(project(write))
    assert (error.code, error.message) == ("primitive.none_defined", "module 'own' defines no primitive")


# --- registration rules


def test_the_id_of_a_standard_primitive_is_taken(write: Write, in_folder: Path) -> None:
    own(write, TWICE.format(version="9.9.9", more="").replace('"twice"', '"add"'))
    error = refused(project(write))
    assert (type(error), error.code) == (RuleError, "CMP-18")
    assert "Compute 'add' (version 9.9.9) cannot be registered: its id is taken" in error.message
    assert str(error.where).endswith("own.py:4 $.id")


def test_two_modules_may_not_offer_the_same_id(write: Write, in_folder: Path) -> None:
    own(write, TWICE.format(version="1.0.0", more=""))
    own(write, TWICE.format(version="2.0.0", more=""), "other.py")
    error = refused(project(write), "own", "other")
    assert error.code == "CMP-18"
    assert "other.py:4" in str(error.where)


def test_every_broken_rule_is_told_with_its_place(write: Write, in_folder: Path) -> None:
    own(
        write,
        TWICE.format(version="1", more=", name: str = ''")
        + "\n"
        + TWICE.replace("twice", "BadId").format(version="1.0.0", more=""),
    )
    error = refused(project(write))
    assert [each.code for each in (error, *error.causes)] == ["CMP-2", "CMP-13", "CMP-1"]
    assert [str(each.where).rpartition("own.py:")[2] for each in (error, *error.causes)] == [
        "4 $.version",
        "4 $.inputs[].type",
        "11 $.id",
    ]


def test_a_signature_that_no_primitive_can_have_stops_the_import_with_its_rule(write: Write, in_folder: Path) -> None:
    own(write, TWICE.format(version="1.0.0", more=", names: dict = {}"))
    error = refused(project(write))
    assert error.code == "CMP-13"
    assert str(error.where).endswith("own.py:4 $.inputs[].type")


def test_a_primitive_that_is_none_is_told_without_a_traceback(write: Write, in_folder: Path) -> None:
    own(write, "from ergo_cli.programs.graph.primitives.primitive import Primitive\nodd = Primitive(None, None)\n")
    error = refused(project(write))
    assert error.code == "primitive.import_failed"
    assert "own cannot be registered" in error.message


# --- finding and loading


def doubling(write: Write, path: str = "elsewhere/g.yaml") -> Path:
    return write(path, GRAPH)


def test_a_profile_uses_the_projects_primitives_or_its_own(write: Write, in_folder: Path) -> None:
    own(write, TWICE.format(version="1.0.0", more=""))
    own(write, TWICE.format(version="1.5.0", more=""), "other.py")
    doubling(write)
    versions = {}
    for profile in ('graph = "g.yaml"', 'graph = "g.yaml"\nprimitives = ["other"]'):
        project(write, profile=profile)
        found = find_program_for_run(ProgramFlags())
        versions[profile] = found.program.value.inventory.computes["twice"].manifest.version
        assert found.notices == ()
    assert list(versions.values()) == ["1.0.0", "1.5.0"]


def test_a_graph_flag_without_a_profile_uses_the_projects_primitives(write: Write, in_folder: Path) -> None:
    own(write, TWICE.format(version="1.0.0", more=""))
    project(write, profile='graph = "none.yaml"\nprimitives = "nothing"')
    found = find_program_for_run(ProgramFlags(graph=doubling(write)))
    assert found.program.value.inventory.primitive("twice") is not None


def test_the_built_in_program_imports_nothing(write: Write, in_folder: Path) -> None:
    own(write, "raise SystemExit('imported')\n")
    project(write)
    assert find_program_for_run(ProgramFlags()).rule == "built-in ergo:schedule"


def recorded(program, bundle: Path, sources=()) -> RecordedProgram:
    return RecordedProgram(bundle, program.graph_id, program.provenance, "none", sources)


def test_a_program_of_the_store_takes_its_primitives_from_the_callers_project(
    write: Write, in_folder: Path, tmp_path: Path
) -> None:
    own(write, TWICE.format(version="1.0.0", more=""))
    here, store = project(write), ProgramStore(tmp_path / "programs")
    loaded = load_program_from_files(doubling(write, "g.yaml"), inventory=load_inventory(here, ("own",)))
    assert store.keep(loaded.program.ref, loaded.program.provenance, "none", loaded.sources) is None
    kept = find_program_for_replay(recorded(loaded.program, tmp_path / "b.json"), ProgramFlags(), store)
    assert (kept.rule, kept.program.provenance) == ("program store", loaded.program.provenance)
    elsewhere = ProgramStore(tmp_path / "none")
    embedded = recorded(loaded.program, tmp_path / "b.json", loaded.sources)
    assert find_program_for_replay(embedded, ProgramFlags(), elsewhere).rule == "embedded program"


def test_a_primitive_that_nobody_offers_is_named_with_the_key_that_would_offer_it(
    write: Write, in_folder: Path, tmp_path: Path
) -> None:
    own(write, TWICE.format(version="1.0.0", more=""))
    store, graph = ProgramStore(tmp_path / "programs"), doubling(write, "g.yaml")
    loaded = load_program_from_files(graph, inventory=load_inventory(project(write), ("own",)))
    store.keep(loaded.program.ref, loaded.program.provenance, "none", loaded.sources)
    project(write, primitives="[]")
    ways = [
        lambda: find_program_for_replay(recorded(loaded.program, tmp_path / "b.json"), ProgramFlags(), store),
        lambda: find_program_for_run(ProgramFlags(graph=graph)),
        lambda: load_program_from_files(graph),
        lambda: load_cluster_from_files(graph),
    ]
    for way in ways:
        with pytest.raises(PrimitiveError) as caught:
            way()
        error = caught.value
        assert (error.code, error.rule) == ("graph.prepare_failed", "I.6")
        assert "'twice'" in error.message
        assert "'twice'" in str(error.fix)
        assert "the key 'primitives' of ergo.toml" in str(error.fix)


def test_an_exact_version_that_nobody_offers_is_v_8_and_a_near_name_is_pointed_out(
    write: Write, in_folder: Path
) -> None:
    graph = write("g.yaml", GRAPH.replace("twice@^1.0", "negat@0.1.0"))
    with pytest.raises(PrimitiveError) as caught:
        load_program_from_files(graph)
    assert caught.value.rule == "V.8"
    assert str(caught.value.fix).startswith("did you mean 'negate'?")


def test_the_provenance_covers_the_manifest_of_an_own_primitive(write: Write, in_folder: Path) -> None:
    graph, provenances = doubling(write), []
    for number, more in enumerate(("", "", ", *, by: float = 2.0")):
        own(write, TWICE.format(version="1.0.0", more=more), f"own{number}.py")
        inventory = load_inventory(project(write), (f"own{number}",))
        provenances.append(load_program_from_files(graph, inventory=inventory).program.provenance)
    first, same, changed = provenances
    assert first == same != changed
