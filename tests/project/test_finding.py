from __future__ import annotations

from pathlib import Path

import pytest
from project_texts import ADAPTER, GRAPH

from ergo_cli.core.documents import ProgramSource
from ergo_cli.errors import BundleError, ErgoError, ProgramError, ProjectError, ReplayError, UsageError
from ergo_cli.project.finding import (
    ProgramFlags,
    RecordedProgram,
    find_program_for_replay,
    find_program_for_run,
)
from ergo_cli.project.loading import LoadedProgram, load_program_from_files
from ergo_cli.project.store import ProgramStore

HEAD = 'name = "n"\nversion = "1"\n'


@pytest.fixture
def store(tmp_path: Path) -> ProgramStore:
    return ProgramStore(tmp_path / "programs")


def graph(write, path: str, id_: str = "plant", value: float = 1.0) -> Path:
    return write(path, GRAPH.format(id=id_, value=value))


def recorded(loaded: LoadedProgram, bundle: Path, embed: bool = False) -> RecordedProgram:
    adapter = "none" if loaded.adapter is None else loaded.adapter.fingerprint
    sources = loaded.sources if embed else ()
    return RecordedProgram(bundle, loaded.program.graph_id, loaded.program.provenance, adapter, sources)


def keep(store: ProgramStore, loaded: LoadedProgram) -> None:
    adapter = "none" if loaded.adapter is None else loaded.adapter.fingerprint
    assert store.keep(loaded.program.ref, loaded.program.provenance, adapter, loaded.sources) is None


# --- run and capture


def test_a_graph_flag_uses_no_profile_but_keeps_the_project(write, in_folder: Path):
    write("elsewhere/ergo.toml", HEAD + 'numbers = "original"\n[profiles.default]\ngraph = "none.yaml"\n')
    path = graph(write, "elsewhere/g.yaml")
    adapter = write("elsewhere/a.yaml", ADAPTER)
    found = find_program_for_run(ProgramFlags(graph=path, adapter=adapter))
    assert (found.rule, found.program.ref, found.profile) == ("flag --graph", "plant@1.0.0", None)
    assert found.adapter is not None
    assert found.adapter.id == "plant"
    assert found.project is not None
    assert [source.path for source in found.sources] == ["graph.yaml", "adapter.yaml"]


def test_a_graph_flag_replaces_the_program_of_the_profile(write, in_folder: Path):
    write("elsewhere/ergo.toml", HEAD + '[profiles.p]\ngraph = "none.yaml"\nadapter = "a.yaml"\n')
    write("elsewhere/a.yaml", ADAPTER)
    found = find_program_for_run(ProgramFlags(graph=graph(write, "g.yaml"), profile="p"))
    assert found.rule == "flag --graph"
    assert found.adapter is not None
    assert found.profile is not None
    assert found.profile.name == "p"


def test_the_default_profile_is_found_from_the_folder_of_the_input(write, in_folder: Path, tmp_path: Path):
    write("far/ergo.toml", HEAD + '[profiles.default]\ngraph = "g.yaml"\ncolour = 1\n[profiles.x]\ngraph = "x.yaml"\n')
    graph(write, "far/g.yaml")
    found = find_program_for_run(ProgramFlags(), write("far/events/e.jsonl", ""))
    assert (found.rule, found.program.graph_id) == ("profile default of ergo.toml", "plant")
    assert [notice.message for notice in found.notices] == ["unknown key 'profiles.default.colour' is ignored"]


def test_without_a_program_the_built_in_one_is_run(in_folder: Path):
    found = find_program_for_run(ProgramFlags())
    assert (found.rule, found.program.ref) == ("built-in ergo:schedule", "ergo:schedule")
    assert found.program.provenance == ("rpv1:sha256:5ede272333f8c59f6ecd24fd93c2a0be536e35546cee6b218c21b93faa01eca2")
    assert (found.adapter, found.sources, found.profile) == (None, (), None)
    assert "ergo:schedule" in found.notices[0].message


def test_an_adapter_alone_asks_for_a_graph(write, in_folder: Path):
    with pytest.raises(UsageError) as caught:
        find_program_for_run(ProgramFlags(adapter=write("a.yaml", ADAPTER)))
    assert caught.value.code == "cli.missing_required_option"


def test_a_named_profile_needs_a_project(in_folder: Path):
    with pytest.raises(ProjectError, match="could not discover project root") as caught:
        find_program_for_run(ProgramFlags(profile="p"))
    assert caught.value.code == "PRJ-ROOT"


def test_python_programs_need_a_project_and_exclude_a_graph(write, in_folder: Path):
    write("elsewhere/trap.py", "raise SystemExit('imported')\n")
    with pytest.raises(ProgramError, match="there is none") as caught:
        find_program_for_run(ProgramFlags(program="trap:program"))
    assert caught.value.code == "program.import_refused"
    assert "ergo.toml" in str(caught.value.fix)
    with pytest.raises(UsageError) as conflict:
        find_program_for_run(ProgramFlags(program="trap:program", graph=Path("g.yaml")))
    assert conflict.value.code == "cli.conflicting_options"


def test_clusters_come_from_the_profile_then_from_the_flag(write, in_folder: Path, tmp_path: Path):
    outer = GRAPH.format(id="outer", value=1).replace("impl: number_source@0.1.0", "cluster: inner@^1.0")
    outer = outer.replace("    params: {value: 1}\n", "")
    write("p/g.yaml", outer)
    write("p/ergo.toml", HEAD + '[profiles.p]\ngraph = "g.yaml"\n')
    graph(write, "more/inner.yaml", "inner", 2.0)
    flags = ProgramFlags(project=tmp_path / "p", cluster_paths=(tmp_path / "more",))
    found = find_program_for_run(flags)
    assert [source.path for source in found.sources] == ["graph.yaml", "clusters/inner@1.0.0.yaml"]
    with pytest.raises(ErgoError) as caught:
        find_program_for_run(ProgramFlags(project=tmp_path / "p"))
    assert caught.value.causes[0].code == "DIS-NOT-FOUND"


# --- replay


def test_replay_prefers_flag_then_profile_then_store_then_bundle(write, in_folder: Path, store: ProgramStore):
    loaded = load_program_from_files(graph(write, "g.yaml"), (), write("a.yaml", ADAPTER))
    bundle = write("elsewhere/b.json", "")
    record = recorded(loaded, bundle, embed=True)
    assert find_program_for_replay(record, ProgramFlags(), store).rule == "embedded program"
    keep(store, loaded)
    assert find_program_for_replay(record, ProgramFlags(), store).rule == "program store"
    write("elsewhere/ergo.toml", HEAD + '[profiles.p]\ngraph = "../g.yaml"\n')
    assert find_program_for_replay(record, ProgramFlags(), store).rule == "profile p of ergo.toml"
    flagged = find_program_for_replay(record, ProgramFlags(graph=graph(write, "h.yaml", "other")), store)
    assert (flagged.rule, flagged.program.graph_id) == ("flag --graph", "other")


def test_a_kept_program_brings_its_adapter_unless_a_flag_replaces_it(write, in_folder: Path, store: ProgramStore):
    loaded = load_program_from_files(graph(write, "g.yaml"), (), write("a.yaml", ADAPTER))
    keep(store, loaded)
    record = recorded(loaded, write("b.json", ""))
    found = find_program_for_replay(record, ProgramFlags(), store)
    assert found.adapter is not None
    assert found.adapter.fingerprint == record.adapter_provenance
    other = write("other.yaml", ADAPTER.replace("id: plant", "id: other"))
    replaced = find_program_for_replay(record, ProgramFlags(adapter=other), store)
    assert replaced.adapter is not None
    assert replaced.adapter.id == "other"


def test_nothing_found_says_what_was_passed_over(write, in_folder: Path, store: ProgramStore):
    loaded = load_program_from_files(graph(write, "g.yaml"))
    record = recorded(loaded, write("b.json", ""))
    with pytest.raises(ProgramError) as caught:
        find_program_for_replay(record, ProgramFlags(), store)
    assert caught.value.code == "program.not_found"
    keep(store, loaded)
    next(store.root.rglob("graph.yaml")).write_text("changed")
    with pytest.raises(ProgramError) as caught:
        find_program_for_replay(record, ProgramFlags(), store)
    assert "the digest of 'graph.yaml' does not match its text" in caught.value.details[-1]
    assert caught.value.fix


def test_a_kept_program_of_another_provenance_is_passed_over(write, in_folder: Path, store: ProgramStore):
    loaded = load_program_from_files(graph(write, "g.yaml"))
    other = load_program_from_files(graph(write, "h.yaml", value=2.0))
    assert store.keep("plant@1.0.0", loaded.program.provenance, "none", other.sources) is None
    record = recorded(loaded, write("b.json", ""), embed=True)
    found = find_program_for_replay(record, ProgramFlags(), store)
    assert found.rule == "embedded program"
    assert found.program.provenance == loaded.program.provenance
    assert "another provenance" in found.notices[0].message


def test_embedded_sources_that_do_not_fit_are_refused(write, in_folder: Path, store: ProgramStore):
    source = ProgramSource("graph.yaml", "0" * 64, GRAPH.format(id="plant", value=1.0))
    bundle = write("b.json", "")
    record = RecordedProgram(bundle, "plant", "rpv1:sha256:" + "0" * 64, "none", (source,))
    with pytest.raises(BundleError, match="does not match its text") as caught:
        find_program_for_replay(record, ProgramFlags(), store)
    assert caught.value.code == "bundle.parse_failed"


def test_schedule_is_replayed_with_itself_before_any_profile(write, in_folder: Path, store: ProgramStore):
    write("elsewhere/ergo.toml", HEAD + '[profiles.p]\ngraph = "none.yaml"\n')
    record = RecordedProgram(write("b.json", ""), "ergo:schedule", "rpv1:sha256:" + "0" * 64, "none")
    assert find_program_for_replay(record, ProgramFlags(), store).rule == "built-in ergo:schedule"
    with pytest.raises(ReplayError) as caught:
        find_program_for_replay(record, ProgramFlags(adapter=write("a.yaml", ADAPTER)), store)
    assert caught.value.code == "replay.unexpected_adapter"
    flagged = find_program_for_replay(record, ProgramFlags(graph=graph(write, "g.yaml")), store)
    assert flagged.rule == "flag --graph"


PROFILES = """\
[profiles.a]
graph = "a.yaml"
[profiles.b]
graph = "b.yaml"
capture_output = "out/b.json"
[profiles.c]
graph = "c.yaml"
"""


def test_several_profiles_the_one_that_captures_here(write, in_folder: Path, tmp_path: Path, store: ProgramStore):
    write("ergo.toml", HEAD + PROFILES)
    for name in "abc":
        graph(write, f"{name}.yaml", "plant", ord(name))
    loaded = load_program_from_files(tmp_path / "a.yaml")
    found = find_program_for_replay(recorded(loaded, write("out/b.json", "")), ProgramFlags(), store)
    assert found.rule == "profile b of ergo.toml"
    found = find_program_for_replay(recorded(loaded, write("captures/c.capture.json", "")), ProgramFlags(), store)
    assert found.rule == "profile c of ergo.toml"


def test_several_profiles_the_one_with_the_graph_id(write, in_folder: Path, tmp_path: Path, store: ProgramStore):
    write("ergo.toml", HEAD + PROFILES)
    graph(write, "a.yaml", "alpha")
    graph(write, "b.yaml", "beta")
    write("c.yaml", "kind: [")
    record = recorded(load_program_from_files(tmp_path / "b.yaml"), write("foreign.json", ""))
    assert find_program_for_replay(record, ProgramFlags(), store).rule == "profile b of ergo.toml"


def test_several_profiles_that_disagree_leave_it_to_the_store(
    write, in_folder: Path, tmp_path: Path, store: ProgramStore
):
    write("ergo.toml", HEAD + PROFILES)
    for name in "abc":
        graph(write, f"{name}.yaml", "plant", ord(name))
    loaded = load_program_from_files(tmp_path / "a.yaml")
    keep(store, loaded)
    record = recorded(loaded, write("foreign.json", ""))
    assert find_program_for_replay(record, ProgramFlags(), store).rule == "program store"
    write("ergo.toml", HEAD + PROFILES.replace('"b.yaml"', '"a.yaml"').replace('"c.yaml"', '"a.yaml"'))
    assert find_program_for_replay(record, ProgramFlags(), store).rule == "profile a of ergo.toml"


def test_several_profiles_a_named_one_is_taken(write, in_folder: Path, tmp_path: Path, store: ProgramStore):
    write("ergo.toml", HEAD + PROFILES)
    graph(write, "c.yaml", "gamma")
    record = recorded(load_program_from_files(graph(write, "x.yaml")), write("foreign.json", ""))
    flags = ProgramFlags(profile="c", project=tmp_path)
    assert find_program_for_replay(record, flags, store).rule == "profile c of ergo.toml"
